"""The centroid of a disc round the largest cell, as ibug's FAN decodes."""

from __future__ import annotations

import torch
from torch import Tensor

from .decode import register
from .peaks import peak

__all__ = ["centroid"]


@register("centroid", within=0.12)
def centroid(p: Tensor) -> Tensor:
    """Mean position in the disc round the largest cell, of a tenth of the map's side (FAN as hhj1897/face_alignment reads it).

    Negative values count as 0. A map without a positive value in the disc has its point at the upper left corner, as published.
    """
    x, y = peak(p)
    h, w = p.shape[-2:]
    columns = torch.arange(w, dtype=p.dtype, device=p.device)
    rows = torch.arange(h, dtype=p.dtype, device=p.device)
    across, down = (columns - x[..., None]) ** 2, (rows - y[..., None]) ** 2
    near = down[..., :, None] + across[..., None, :] <= 0.01 * h * w
    mass = p.clamp(min=0.0) * near
    total = mass.sum((-2, -1))
    safe = total.clamp(min=1e-12)
    # In cells from the map's edge, where an empty map has 0.
    point = torch.stack([mass.sum(-2) @ (columns + 0.5), mass.sum(-1) @ (rows + 0.5)], dim=-1) / safe[..., None]
    return point - 0.5
