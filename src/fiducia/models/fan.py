"""FAN, the face alignment network: one to four stacked hourglasses of hierarchical blocks."""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor

from ..heatmaps.decode import heatmap_decoders
from ..structures import ModelOutput, Prediction
from .base import LandmarkModel, Options
from .parts.blocks import ZERO_TO_ONE, Normalize
from .parts.fan_trunk import FanTrunk
from .registry import register

__all__ = ["FAN", "FanOptions"]


class FanOptions(Options):
    """The stacked hourglasses of FAN.

    Attributes:
        stacks: hourglasses one after the other.
        depth: halvings in each; the crop's side divides by ``4 * 2 ** depth``.
        channels: of all maps between the stem and the heads.
        pooling: ``average`` as the authors have it; ``max`` as in the two-stack models of a second code base.
    """

    stacks: int = 4
    depth: int = 4
    channels: int = 256
    pooling: Literal["average", "max"] = "average"


@register(
    "fan",
    size=256,
    about="FAN with 4 stacks (Bulat and Tzimiropoulos, ICCV 2017)",
    test_options={"trunk": {"stacks": 2, "depth": 2, "channels": 32}},
    test_size=64,
)
@register(
    "fan2",
    size=256,
    about="FAN with 2 stacks",
    options={"trunk": {"stacks": 2}},
    test_options={"trunk": {"depth": 2, "channels": 32}},
    test_size=64,
)
@register(
    "fan1",
    size=256,
    about="FAN with 1 stack",
    options={"trunk": {"stacks": 1}},
    test_options={"trunk": {"depth": 2, "channels": 32}},
    test_size=64,
)
class FAN(LandmarkModel):
    """FAN (Bulat and Tzimiropoulos, "How far are we from solving the 2D & 3D face alignment problem?", ICCV 2017).

    Every stack gives one linear heatmap a landmark at a quarter of the crop's side, and feeds it to the next. The published
    decoding is the largest cell and a quarter of a cell towards its larger neighbours.

    Published points count from the outer edge of the crop: cell x, from 0, is read as x + 0.5. 1adrianb/face-alignment counts
    cells from 1 and takes off 0.5; hhj1897/face_alignment puts the centres of cells at x + 0.5; and both map the sides of the
    crop to 0 and to the side of the map. In crop pixels that is this package's own rule, ``(x + 0.5) * S / w - 0.5``, so
    converted checkpoints need no other; the recorded points of both code bases are reproduced so. What is left out: the first
    code base rounds the crop's corner to whole pixels of the photograph, which moves its points by up to one of them.

    Args:
        num_points: K.
        size: S, a multiple of ``4 * 2 ** trunk.depth``: 64 as published.
        trunk: the hourglasses.

    Raises:
        ValueError: a size that does not divide, or an option out of range.
    """

    published_decoder = "quarter"

    def __init__(self, num_points: int, size: int = 256, *, trunk: FanOptions = FanOptions()) -> None:
        super().__init__(num_points, size)
        self.decoders = heatmap_decoders(self.published_decoder)
        self.normalize = Normalize(ZERO_TO_ONE)
        self.trunk = FanTrunk(num_points, size, **trunk.model_dump())

    def forward(self, images: Tensor) -> ModelOutput:
        """Crops ``(B, 3, S, S)`` in [0, 255] → heatmaps ``(B, K, S / 4, S / 4)`` a stack, and the last stack's features."""
        heatmaps, features = self.trunk(self.normalize(images))
        return ModelOutput(heatmaps=heatmaps, linear=True, features=features)

    def decode(self, output: ModelOutput, method: str | None = None) -> Prediction:
        """Read the last stack's heatmaps."""
        return self.decode_heatmaps(output, method)

    def default_loss(self) -> dict[str, dict[str, Any]]:
        """Return the squared error of all stacks' maps.

        FAN's training code was not published, nor how wide its Gaussians were; they are the recipe's. The loss ``fan_mse`` has
        the wide ones that its repository draws.
        """
        return {"heatmap": {"kind": "heatmap_mse", "stages": "all"}}
