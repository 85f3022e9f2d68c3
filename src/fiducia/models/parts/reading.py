"""A 1x1 head and the expectation decode as one product: the form in which exported graphs read heatmaps fastest."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["ExpectationHead"]


class ExpectationHead(nn.Module):
    """A 1x1 head and the expectation decode in one, on maps that lie channels last, as convolutions leave them.

    Heatmaps of 68 points are the largest tensor of a small network; laid out cells first they need no reordering, and
    their three moments (x, y, mass) are one product with a table. ``1 / (1 + exp(-z))`` is the sigmoid, which
    OpenVINO computes faster as an operation of its own than as the tail of the product before it.

    Args:
        head: the 1x1 convolution to logits.
        side: cells a side of the maps.
        size: side of the crop in pixels.
    """

    weight: Tensor
    bias: Tensor
    moments: Tensor

    def __init__(self, head: nn.Conv2d, side: int, size: int) -> None:
        super().__init__()
        stride = size / side
        self.count = head.out_channels
        self.register_buffer("weight", -head.weight.detach().flatten(1).float())
        bias = head.bias if head.bias is not None else torch.zeros(self.count)
        self.register_buffer("bias", -bias.detach().float())
        # Measured from the crop's middle, where sums of both signs lose least to rounding.
        self.middle = (side * stride - 1) / 2
        cells = stride * (torch.arange(side, dtype=torch.float32) - (side - 1) / 2)
        y, x = torch.meshgrid(cells, cells, indexing="ij")
        self.register_buffer("moments", torch.stack([x.flatten(), y.flatten(), torch.ones(side * side)]))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """``(N, C, side, side)`` → points ``(N, K, 2)`` in crop pixels and confidence ``(N, K)`` in [0, 1]."""
        cells = features.permute(0, 2, 3, 1).flatten(0, 2)
        p = 1 / (1 + torch.exp(F.linear(cells, self.weight, self.bias)))
        p = p.view(-1, self.moments.shape[1], self.count)
        sums = self.moments @ p
        xy = sums[:, :2] / sums[:, 2:].clamp(min=1e-6) + self.middle
        return xy.transpose(1, 2), p.amax(1)
