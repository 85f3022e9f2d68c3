"""What an encoder of several resolutions is."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

__all__ = ["PyramidTrunk"]


class PyramidTrunk(nn.Module, ABC):
    """An encoder that gives maps of several strides.

    Attributes:
        channels: stride in pixels → channels of its map.
    """

    channels: dict[int, int]

    @abstractmethod
    def forward(self, x: Tensor) -> dict[int, Tensor]:
        """Normalised crops ``(B, 3, S, S)`` → stride → map ``(B, channels[stride], S / stride, S / stride)``."""
