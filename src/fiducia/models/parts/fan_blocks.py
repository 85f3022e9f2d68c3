"""FAN's building blocks (Bulat and Tzimiropoulos, ICCV 2017): the hierarchical block and the hourglass made of it."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from .blocks import ResidualBlock, check_choice

__all__ = ["FanBlock", "FanHourglass", "FanStem", "make_pool"]

FanBlock = ResidualBlock
"""FAN's block is the package's residual block: norm - ReLU - convolution thrice, the three outputs side by side."""


def make_pool(kind: str) -> nn.Module:
    """Return a pool that halves a map: ``"average"`` (the authors' networks) or ``"max"`` (a second code base's)."""
    return nn.AvgPool2d(2) if check_choice("pooling", kind, ("average", "max")) == "average" else nn.MaxPool2d(2)


class FanStem(nn.Module):
    """From the image to ``channels`` maps at a quarter of its size.

    Args:
        channels: C of the output.
        pooling: see :func:`make_pool`.
        inputs: channels of the image.
    """

    def __init__(self, channels: int = 256, pooling: str = "average", inputs: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, 64, 7, 2, 3)
        self.norm = nn.BatchNorm2d(64)
        self.first = FanBlock(64, 128)
        self.pool = make_pool(pooling)
        self.second = FanBlock(128, 128)
        self.third = FanBlock(128, channels)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs, H, W)`` → ``(B, channels, H / 4, W / 4)``."""
        x = self.first(F.relu(self.norm(self.conv(x))))
        return self.third(self.second(self.pool(x)))


class FanHourglass(nn.Module):
    """An hourglass: ``depth`` halvings and back, a block on every skip; upsampling by repetition; skip and way back add up.

    Args:
        channels: C, in and out, a multiple of 4.
        depth: halvings, 1 or more; h and w divide by ``2 ** depth``.
        pooling: see :func:`make_pool`.

    Raises:
        ValueError: ``depth`` below 1, or an unknown ``pooling``.
    """

    def __init__(self, channels: int = 256, depth: int = 4, pooling: str = "average") -> None:
        super().__init__()
        if depth < 1:
            raise ValueError(f"an hourglass has a depth of 1 or more; found {depth}")
        self.skip = FanBlock(channels, channels)
        self.pool = make_pool(pooling)
        self.before = FanBlock(channels, channels)
        self.inner: nn.Module = (
            FanHourglass(channels, depth - 1, pooling) if depth > 1 else FanBlock(channels, channels)
        )
        self.after = FanBlock(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, h, w)`` → the same shape."""
        low = self.after(self.inner(self.before(self.pool(x))))
        return self.skip(x) + F.interpolate(low, scale_factor=2, mode="nearest")
