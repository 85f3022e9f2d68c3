"""FAN's building blocks (Bulat and Tzimiropoulos, ICCV 2017): the hierarchical block and the hourglass made of it."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from .blocks import ResidualBlock
from .plain_hourglass import PlainHourglass, make_pool

__all__ = ["FanBlock", "FanHourglass", "FanStem"]

FanBlock = ResidualBlock
"""FAN's block is the package's residual block: norm - ReLU - convolution thrice, the three outputs side by side."""


class FanStem(nn.Module):
    """From the image to ``channels`` maps at a quarter of its size.

    Args:
        channels: C of the output.
        pooling: ``"average"`` (the authors' networks) or ``"max"`` (a second code base's).
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


class FanHourglass(PlainHourglass):
    """An hourglass of FAN's blocks; upsampling by repetition.

    Args:
        channels: C, in and out, a multiple of 4.
        depth: halvings, 1 or more; h and w divide by ``2 ** depth``.
        pooling: ``"average"`` or ``"max"``.

    Raises:
        ValueError: ``depth`` below 1, or an unknown ``pooling``.
    """

    def __init__(self, channels: int = 256, depth: int = 4, pooling: str = "average") -> None:
        super().__init__(depth, lambda: FanBlock(channels, channels), pooling=pooling)
