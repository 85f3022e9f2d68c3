"""A network, a loss, a data set and a detector in one file outside the package. docs/plugins.md explains it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

import fiducia
from fiducia.data.source import DatasetSpec
from fiducia.heatmaps import decoders
from fiducia.losses import Targets
from fiducia.models import LandmarkModel, Options

# --- A network: two stages of linear heatmaps, and offsets that refine each peak. ---


class Trunk(Options):
    """An option group; a recipe sets it as model.options.trunk.width = 24."""

    width: int = 16


@fiducia.models.register("two_stage", size=64, about="a toy: two stages of linear heatmaps and an offset map")
class TwoStage(LandmarkModel):
    """Three convolutions to a quarter of the crop's side, then two stages of maps."""

    decoders = ("offset", "argmax")

    def __init__(self, num_points: int, size: int, *, trunk: Trunk = Trunk()) -> None:
        super().__init__(num_points, size)
        if size % 4:
            raise ValueError(f"size must be a multiple of 4; found {size}")
        w = trunk.width
        self.trunk = nn.Sequential(
            nn.Conv2d(3, w, 5, 2, 2),
            nn.ReLU(),
            nn.Conv2d(w, w, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(w, w, 3, 1, 1),
            nn.ReLU(),
        )
        self.first = nn.Conv2d(w, num_points, 1)
        self.join = nn.Sequential(nn.Conv2d(w + num_points, w, 5, 1, 2), nn.ReLU())
        self.second = nn.Conv2d(w, num_points, 1)
        self.offsets = nn.Conv2d(w, 2 * num_points, 1)

    def forward(self, images: Tensor) -> fiducia.ModelOutput:
        x = self.trunk(images.to(self.first.weight.dtype) / 255 - 0.5)
        first = self.first(x)
        features = self.join(torch.cat([x, first], dim=1))
        return fiducia.ModelOutput(
            heatmaps=[first, self.second(features)],
            linear=True,  # values in [0, 1], not logits
            maps={"offsets": [self.offsets(features)]},
            features=features,
        )

    def decode(self, output: fiducia.ModelOutput, method: str | None = None) -> fiducia.Prediction:
        method = self.check_method(method)
        maps = output.heatmaps[-1].float()
        side = maps.shape[-1]
        cells = decoders["argmax"](maps)
        if method == "offset":
            index = (cells[..., 1] * side + cells[..., 0]).long()
            offsets = output.maps["offsets"][-1].float().unflatten(1, (self.num_points, 2)).flatten(3)
            cells = cells + offsets.gather(-1, index[..., None, None].expand(-1, -1, 2, 1)).squeeze(-1)
        points = (cells + 0.5) * (self.size / side) - 0.5
        return fiducia.Prediction(points=points, confidence=maps.flatten(2).amax(-1).clamp(0, 1))

    def default_loss(self) -> dict[str, dict[str, Any]]:
        return {"maps": {"kind": "heatmap_mse", "weight": 10.0}, "offsets": {"kind": "offset_l1", "weight": 0.1}}


# --- A loss: a function of the network's output and the targets. ---


@fiducia.losses.register("offset_l1", needs=("linear", "maps.offsets"))
def offset_l1(output: fiducia.ModelOutput, targets: Targets, *, reach: float = 2.0) -> Tensor:
    """Mean absolute error of the offsets, in the cells within ``reach`` of a point."""
    maps = output.maps["offsets"][-1]
    side = maps.shape[-1]
    grid = torch.arange(side, dtype=maps.dtype, device=maps.device)
    cells = torch.nan_to_num(targets.cells(side).to(maps.dtype))
    wanted = torch.stack(
        torch.broadcast_tensors(
            cells[..., 0, None, None] - grid[None, None, None, :], cells[..., 1, None, None] - grid[None, None, :, None]
        ),
        dim=2,
    )
    near = (wanted.square().sum(2, keepdim=True) <= reach**2).to(maps.dtype)
    error = (maps.unflatten(1, (-1, 2)) - wanted).abs() * near
    each = error.sum((2, 3, 4)) / near.sum((2, 3, 4)).clamp(min=1.0)
    return targets.mean(each, targets.on_map(side))


# --- A data set: images of four coloured dots, drawn once. ---

COLOURS = [(255, 60, 60), (60, 255, 60), (80, 80, 255), (255, 255, 60)]
SCHEME = """
name = "dots4"
names = ["red", "green", "blue", "yellow"]
mirror = []
edges = [[0, 1, 2, 3, 0]]
"""


def draw(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return an image (H, W, 3) and its four points (4, 2)."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 40, (120, 120, 3), dtype=np.uint8)
    xy = np.array([[40, 40], [80, 40], [80, 80], [40, 80]]) + rng.uniform(-9, 9, (4, 2))
    for (x, y), colour in zip(xy, COLOURS, strict=True):
        cv2.circle(image, (round(x * 16), round(y * 16)), 5 * 16, colour, -1, cv2.LINE_AA, 4)
    return image, xy


def read(root: str, split: str, scheme: str | None) -> list[fiducia.Record]:
    """Return the faces of one split; ``root`` is the text after the colon: the number of images."""
    folder = Path(tempfile.gettempdir()) / "fiducia-dots"
    folder.mkdir(exist_ok=True)
    (folder / "dots4.toml").write_text(SCHEME)
    records = []
    for i in range(int(root or 40)):
        path = folder / f"{split}_{i}.png"
        image, xy = draw(i + (10_000 if split == "test" else 0))
        if not path.exists():
            cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        visible = np.full(4, 2, np.int8)
        records.append(fiducia.Record(image=path, xy=xy, visible=visible, scheme=str(folder / "dots4.toml")))
    return records


fiducia.datasets.add(
    "dots", DatasetSpec(name="dots", summary="four coloured dots", splits=("train", "test"), read=read)
)


# --- A detector: the box of everything bright. ---


class Bright:
    """One face: everything brighter than 120."""

    name = "bright"

    def __call__(self, image: np.ndarray) -> Sequence[fiducia.Detection]:
        rows, columns = np.nonzero(image.max(axis=2) > 120)
        if len(rows) == 0:
            return []
        box = np.array([columns.min() + 4.5, rows.min() + 4.5, columns.max() - 4.5, rows.max() - 4.5], dtype=float)
        return [fiducia.Detection(box=box, score=1.0)]


@fiducia.detectors.register("bright")
def bright(_: str) -> Bright:
    """The box of everything bright."""
    return Bright()
