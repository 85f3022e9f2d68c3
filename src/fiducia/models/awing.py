"""AWing's network: FAN that also draws the face's boundary, and convolutions that know where they are."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from ..heatmaps.decode import heatmap_decoders
from ..structures import ModelOutput, Prediction
from .base import LandmarkModel
from .parts.blocks import ResidualBlock
from .parts.coordconv import CoordConv
from .parts.inputs import InputScaling
from .parts.pixels import PixelOptions, from_outer_edge
from .parts.plain_hourglass import PlainHourglass
from .registry import register

__all__ = ["AWing"]


class _Stack(nn.Module):
    """One hourglass and its maps, the boundary last; all but the last stack hand something on."""

    def __init__(self, channels: int, maps: int, *, first: bool, last: bool) -> None:
        super().__init__()
        self.coord = CoordConv(channels, channels, masked=not first)
        self.hourglass = PlainHourglass(4, lambda: ResidualBlock(channels, channels), pool="average")
        self.top = ResidualBlock(channels, channels)
        self.conv = nn.Conv2d(channels, channels, 1)
        self.norm = nn.BatchNorm2d(channels)
        self.maps = nn.Conv2d(channels, maps, 1)
        self.carry = None if last else nn.Conv2d(channels, channels, 1)
        self.feed = None if last else nn.Conv2d(maps, channels, 1)

    def forward(self, x: Tensor, boundary: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """``(B, C, h, w)`` and the boundary of the stack before → maps ``(B, K + 1, h, w)``, features, the next input."""
        features = self.top(self.hourglass(self.coord(x, boundary)))
        features = F.relu(self.norm(self.conv(features)))
        maps = self.maps(features)
        if self.carry is not None and self.feed is not None:
            x = x + self.carry(features) + self.feed(maps)
        return maps, features, x


@register("awing", size=256, about="AWing's stacked hourglass with boundary and CoordConv (Wang et al., ICCV 2019)")
class AWing(LandmarkModel):
    """FAN with a boundary map and CoordConv (Wang, Bo, Li, "Adaptive Wing Loss for Robust Face Alignment", ICCV 2019).

    Every stack gives linear maps at a quarter of the crop's side: one a landmark, and one of the boundary. The boundary tells
    the next stack's coordinate channels where to speak. The published decoding is the largest cell and a quarter of a cell
    towards its larger neighbours; the published pixel rule is :func:`.parts.pixels.from_outer_edge`.

    Args:
        num_points: K.
        size: S, a multiple of 64.
        pixels: the pixel rule.
        stacks: hourglasses.
        channels: of the hourglasses, a multiple of 4.

    Raises:
        ValueError: a size that does not divide.
    """

    decoders = heatmap_decoders("quarter")

    def __init__(
        self,
        num_points: int,
        size: int = 256,
        *,
        pixels: PixelOptions = PixelOptions(),
        stacks: int = 4,
        channels: int = 256,
    ) -> None:
        super().__init__(num_points, size)
        if size % 64 or stacks < 1:
            raise ValueError(f"AWing takes crops whose side is a multiple of 64, and 1 or more stacks; found {size}, {stacks}")
        self.pixels = pixels
        self.scaling = InputScaling()
        half = channels // 2
        self.coord = CoordConv(3, channels // 4, 7, 2)
        self.norm = nn.BatchNorm2d(channels // 4)
        self.stem = nn.Sequential(
            ResidualBlock(channels // 4, half),
            nn.AvgPool2d(2),
            ResidualBlock(half, half),
            ResidualBlock(half, channels),
        )
        self.stacks = nn.ModuleList(
            _Stack(channels, num_points + 1, first=i == 0, last=i == stacks - 1) for i in range(stacks)
        )

    def forward(self, images: Tensor) -> ModelOutput:
        """Crops ``(B, 3, S, S)`` → of all stacks, heatmaps ``(B, K, S / 4, S / 4)`` and ``maps.boundary`` ``(B, 1, S / 4, S / 4)``."""
        x = self.stem(F.relu(self.norm(self.coord(self.scaling(images)))))
        heatmaps: list[Tensor] = []
        boundaries: list[Tensor] = []
        features = x
        for stack in self.stacks:
            maps, features, x = stack(x, boundaries[-1] if boundaries else None)
            heatmaps.append(maps[:, :-1])
            boundaries.append(maps[:, -1:])
        return ModelOutput(heatmaps=heatmaps, linear=True, maps={"boundary": boundaries}, features=features)

    def decode(self, output: ModelOutput, method: str | None = None) -> Prediction:
        """Read the final maps; see :meth:`LandmarkModel.decode`."""
        prediction = self.decode_heatmaps(output, method)
        return from_outer_edge(prediction) if self.pixels.published else prediction

    def default_loss(self) -> dict[str, dict[str, Any]]:
        """AWing with its weight map on the heatmaps and on the boundary, which counts as one landmark more."""
        return {
            "heatmap": {"kind": "awing", "weight": 1.0, "weighted": True},
            "boundary": {"kind": "boundary", "weight": 1.0 / self.num_points},
        }
