"""FAN's network: a stem and stacked hourglasses, each with heatmaps of its own that feed the next (ICCV 2017)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from .fan_blocks import FanBlock, FanHourglass, FanStem

__all__ = ["FanStack", "FanTrunk"]


class FanTrunk(nn.Module):
    """Stem and stacks.

    Args:
        num_points: K.
        size: side of the input in pixels, a multiple of ``4 * 2 ** depth``.
        stacks: hourglasses one after the other.
        depth: halvings in each.
        channels: C of the maps.
        pooling: ``"average"`` or ``"max"``.

    Raises:
        ValueError: a size that does not divide, or less than one stack.
    """

    def __init__(
        self,
        num_points: int,
        size: int,
        *,
        stacks: int = 4,
        depth: int = 4,
        channels: int = 256,
        pooling: str = "average",
    ) -> None:
        super().__init__()
        if stacks < 1:
            raise ValueError(f"FAN has one stack or more; found {stacks}")
        if size % (4 * 2**depth):
            raise ValueError(f"hourglasses of depth {depth} need a size that divides by {4 * 2**depth}; found {size}")
        self.stem = FanStem(channels, pooling)
        self.stacks = nn.ModuleList(
            FanStack(num_points, channels, depth, pooling, last=i == stacks - 1) for i in range(stacks)
        )

    def forward(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """Images ``(B, 3, S, S)`` in [0, 1] → linear heatmaps ``(B, K, S / 4, S / 4)`` a stack, and the last stack's features.

        The features ``(B, C, S / 4, S / 4)`` are what the last 1x1 convolution reads.
        """
        x = self.stem(x)
        heatmaps: list[Tensor] = []
        features = x
        for stack in self.stacks:
            x, maps, features = stack(x)
            heatmaps.append(maps)
        return heatmaps, features


class FanStack(nn.Module):
    """One hourglass, its heatmaps, and what it hands to the next.

    Args:
        maps: number of heatmaps.
        channels: C.
        depth: halvings of the hourglass.
        pooling: ``"average"`` or ``"max"``.
        last: it hands on nothing.
    """

    def __init__(self, maps: int, channels: int, depth: int, pooling: str, last: bool) -> None:
        super().__init__()
        self.hourglass = FanHourglass(channels, depth, pooling)
        self.top = FanBlock(channels, channels)
        self.conv = nn.Conv2d(channels, channels, 1)
        self.norm = nn.BatchNorm2d(channels)
        self.head = nn.Conv2d(channels, maps, 1)
        self.last = last
        if not last:
            self.from_features = nn.Conv2d(channels, channels, 1)
            self.from_maps = nn.Conv2d(maps, channels, 1)

    def forward(self, x: Tensor, seen: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """``(B, C, h, w)`` → the next stack's input, heatmaps ``(B, K, h, w)``, features ``(B, C, h, w)``.

        Args:
            x: what this stack's findings are added to.
            seen: what the hourglass reads, where it is not ``x`` itself.
        """
        features = F.relu(self.norm(self.conv(self.top(self.hourglass(x if seen is None else seen)))))
        maps = self.head(features)
        if self.last:
            return x, maps, features
        return x + self.from_features(features) + self.from_maps(maps), maps, features
