"""AWing's network: FAN that also draws the face's boundary, and convolutions that know where they are."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ..heatmaps.decode import heatmap_decoders
from ..schemes.curves import boundary_curves
from ..schemes.sets import Scheme
from ..structures import ModelOutput, Prediction
from .base import LandmarkModel
from .parts.blocks import ZERO_TO_ONE, Normalize
from .parts.coordconv import CoordConv, with_coordinates
from .parts.fan_blocks import FanStem
from .parts.fan_trunk import FanStack
from .registry import register

__all__ = ["AWing"]

DEPTH = 4
"""Halvings of every hourglass."""


@register(
    "awing",
    size=256,
    about="AWing's stacked hourglass with boundary and CoordConv (Wang et al., ICCV 2019)",
    test_options={"stacks": 2, "channels": 16},
    test_size=64,
)
class AWing(LandmarkModel):
    """FAN with a boundary map and CoordConv (Wang, Bo, Li, "Adaptive Wing Loss for Robust Face Alignment", ICCV 2019).

    Every stack gives linear maps at a quarter of the crop's side: one a landmark, and one of the boundary. Before each
    hourglass, coordinate channels are appended; from the second stack on, two more show the coordinates only where the
    boundary of the stack before is. The published decoding is the largest cell and a quarter of a cell towards its larger
    neighbours. Published points count from the crop's outer edge; in crop pixels that is this package's own rule.

    Args:
        num_points: K.
        size: S, a multiple of 64.
        scheme: the landmark set. Without one, or without edges in it, the default loss leaves the boundary map free.
        stacks: hourglasses.
        channels: of the hourglasses, a multiple of 4.

    Raises:
        ValueError: a size that does not divide.
    """

    def __init__(
        self,
        num_points: int,
        size: int = 256,
        *,
        scheme: Scheme | None = None,
        stacks: int = 4,
        channels: int = 256,
    ) -> None:
        super().__init__(num_points, size)
        self.decoders = heatmap_decoders("quarter")
        if size % (4 * 2**DEPTH) or stacks < 1:
            raise ValueError(f"expected a side that is a multiple of 64, and 1 or more stacks; found {size}, {stacks}")
        self.has_boundary = scheme is not None and bool(boundary_curves(scheme))
        self.normalize = Normalize(ZERO_TO_ONE)
        self.stem = FanStem(channels, inputs=6)
        self.coords = nn.ModuleList(CoordConv(channels, channels, masked=i > 0) for i in range(stacks))
        self.stacks = nn.ModuleList(
            FanStack(num_points + 1, channels, DEPTH, "average", last=i == stacks - 1) for i in range(stacks)
        )

    def forward(self, images: Tensor) -> ModelOutput:
        """Crops ``(B, 3, S, S)`` → of all stacks, heatmaps ``(B, K, S / 4, S / 4)`` and ``maps.boundary``, one map each."""
        x = self.stem(with_coordinates(self.normalize(images)))
        heatmaps: list[Tensor] = []
        boundaries: list[Tensor] = []
        features = x
        for coord, stack in zip(self.coords, self.stacks, strict=True):
            x, maps, features = stack(x, coord(x, boundaries[-1] if boundaries else None))
            heatmaps.append(maps[:, :-1])
            boundaries.append(maps[:, -1:])
        return ModelOutput(heatmaps=heatmaps, linear=True, maps={"boundary": boundaries}, features=features)

    def decode(self, output: ModelOutput, method: str | None = None) -> Prediction:
        """Read the last stack's heatmaps."""
        return self.decode_heatmaps(output, method)

    def default_loss(self) -> dict[str, dict[str, Any]]:
        """AWing with its weight map on the heatmaps and on the boundary, which counts as one landmark more."""
        losses: dict[str, dict[str, Any]] = {"heatmap": {"kind": "awing", "weight": 1.0}}
        if self.has_boundary:
            losses["boundary"] = {"kind": "boundary", "weight": 1.0 / self.num_points}
        return losses
