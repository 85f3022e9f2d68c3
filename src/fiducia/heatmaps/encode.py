"""Points → heatmaps: truncated Gaussians in map cells (eqs 1-2)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["encode"]

_FAR = -1e4


def encode(
    xy_map: Tensor,
    size: tuple[int, int],
    *,
    sigma: float = 1.5,
    radius: float = 5.0,
    quantize: bool = False,
    norm: str = "peak1",
) -> Tensor:
    """Draw a truncated Gaussian at every point (eq. 1), as products of a row and a column.

    Args:
        xy_map: points ``(..., K, 2)`` in map cells; a point that is nan gets an empty map.
        size: ``(h, w)`` of the maps.
        sigma: standard deviation in cells (the paper's 1.5, which it calls a variance).
        radius: cells further from the centre than this are 0.
        quantize: move the centre to the centre of its cell first (eq. 2): an integer is a cell's centre here, so this rounds
            to the nearest integer, halves up.
        norm: ``"peak1"`` (FaRL) or ``"density"``, the factor 1/(2 pi sigma^2) of eq. 1.

    Returns:
        ``(..., K, h, w)`` in the dtype of ``xy_map``, on its device.

    Raises:
        ValueError: an unknown ``norm``.
    """
    if norm not in ("peak1", "density"):
        raise ValueError(f"heatmap_norm is 'peak1' or 'density'; found {norm!r}")
    centre = torch.where(torch.isfinite(xy_map).all(-1, keepdim=True), xy_map, torch.full_like(xy_map, _FAR))
    if quantize:
        centre = torch.floor(centre + 0.5)
    h, w = size
    scale = -0.5 / sigma**2
    columns = torch.arange(w, dtype=centre.dtype, device=centre.device)
    rows = torch.arange(h, dtype=centre.dtype, device=centre.device)
    across = torch.exp(scale * (columns - centre[..., :1]) ** 2)
    down = torch.exp(scale * (rows - centre[..., 1:]) ** 2)
    maps = down[..., :, None] * across[..., None, :]
    # exp is monotonic, so "further than the radius" is "smaller than the rim's value": no second distance map.
    maps = F.threshold(maps, math.exp(scale * radius**2) * (1 - 1e-5), 0.0, inplace=True)
    return maps if norm == "peak1" else maps / (2 * math.pi * sigma**2)
