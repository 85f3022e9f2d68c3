"""What happens to the pixels first: the scaling that a published network was trained with."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "InputScaling"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
"""Of R, G, B in [0, 1]."""
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Of R, G, B in [0, 1]."""


class InputScaling(nn.Module):
    """uint8 or float RGB in [0, 255] → ``(value / 255 - mean) / std``, and the channel order of the network.

    Args:
        mean: of R, G, B in [0, 1]. The default, with the default of ``std``, gives [0, 1].
        std: of R, G, B in [0, 1].
        bgr: the network was trained on B, G, R.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, mean: Sequence[float] = (0.0, 0.0, 0.0), std: Sequence[float] = (1.0, 1.0, 1.0), *, bgr: bool = False
    ) -> None:
        super().__init__()
        self.bgr = bgr
        self.register_buffer("mean", 255 * torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """``(B, 3, H, W)`` in [0, 255] → the same shape, scaled."""
        scaled = (images.to(self.mean.dtype) - self.mean) / self.std
        return scaled.flip(1) if self.bgr else scaled
