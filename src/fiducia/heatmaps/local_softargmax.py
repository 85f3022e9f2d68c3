"""The mean position near the largest cell, as SH-FAN decodes, with the pull towards whole cells removed."""

from __future__ import annotations

import torch
from torch import Tensor

from .decode import register
from .peaks import peak, window

__all__ = ["local_softargmax"]


@register("local_softargmax", within=0.05)
def local_softargmax(p: Tensor) -> Tensor:
    """Mean position in the 5x5 cells round the largest, weighted by softmax(10 p) (SH-FAN), and refined once.

    SH-FAN's window sits on whole cells, which pulls a peak between two cells up to 0.1 towards the nearer one. A second
    look through a window that moves with the point (a smooth edge two cells away) takes that pull off.

    Like every decoder that starts at the largest cell, it depends on rounding where two cells are equally large: of a map
    with one peak both lead to the same point, within a thousandth of a cell; on the flat maps of a network that has hardly
    been trained they may lead to different ones.
    """
    half = 3
    x, y = peak(p)
    near = window(p, half, x, y)
    offsets = torch.arange(-half, half + 1, dtype=p.dtype, device=p.device)
    weight = torch.exp(10.0 * (near - near.amax((-2, -1), keepdim=True)))
    # What is outside the map is no evidence; softmax would count its zeros.
    h, w = p.shape[-2:]
    rows_in = ((y[..., None] + offsets >= 0) & (y[..., None] + offsets <= h - 1)).to(p.dtype)
    columns_in = ((x[..., None] + offsets >= 0) & (x[..., None] + offsets <= w - 1)).to(p.dtype)
    weight = weight * rows_in[..., :, None] * columns_in[..., None, :]
    shift = torch.zeros(*x.shape, 2, dtype=p.dtype, device=p.device)
    for _ in range(6):
        across = (3.0 - (offsets - shift[..., :1]).abs()).clamp(0.0, 1.0)
        down = (3.0 - (offsets - shift[..., 1:]).abs()).clamp(0.0, 1.0)
        local = weight * down[..., :, None] * across[..., None, :]
        mass = local.sum((-2, -1))
        shift = torch.stack([local.sum(-2) @ offsets, local.sum(-1) @ offsets], dim=-1) / mass[..., None]
    return torch.stack([x, y], dim=-1).to(p.dtype) + shift
