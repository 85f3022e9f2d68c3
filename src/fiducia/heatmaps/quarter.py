"""The largest cell and a quarter of a cell, as HRNet and FAN decode."""

from __future__ import annotations

import torch
from torch import Tensor

from .decode import register
from .peaks import peak, window

__all__ = ["quarter"]


@register("quarter", within=0.26)
def quarter(p: Tensor) -> Tensor:
    """The largest cell, moved a quarter of a cell towards its larger neighbour in x and in y (HRNet, FAN)."""
    x, y = peak(p)
    near = window(p, 1, x, y)
    step = torch.stack([near[..., 1, 2] - near[..., 1, 0], near[..., 2, 1] - near[..., 0, 1]], dim=-1)
    h, w = p.shape[-2:]
    # A peak on the border lacks a neighbour; the published code then takes no step, in x or in y.
    inner = (x > 0) & (x < w - 1) & (y > 0) & (y < h - 1)
    return torch.stack([x, y], dim=-1).to(p.dtype) + 0.25 * step.sign() * inner[..., None]
