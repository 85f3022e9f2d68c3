"""The largest cell, as Sect. 3.1 says."""

from __future__ import annotations

import torch
from torch import Tensor

from .decode import register
from .peaks import peak

__all__ = ["argmax"]


@register("argmax", within=0.51)
def argmax(p: Tensor) -> Tensor:
    """The largest cell (Sect. 3.1): whole cells, so half a cell off at worst."""
    x, y = peak(p)
    return torch.stack([x, y], dim=-1).to(p.dtype)
