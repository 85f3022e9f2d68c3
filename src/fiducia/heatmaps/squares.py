"""Gaussians on squares, with the rounding of the published code of HRNet, ADNet, STAR and HIH."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["reduced_gaussian", "square_gaussian", "square_profile"]


def square_profile(place: Tensor, side: int, sigma: float) -> Tensor:
    """Return the Gaussian of a published target along one axis.

    The square begins at ``trunc(p - 3 sigma)``, truncated towards zero, has ``6 sigma + 1`` cells, and its centre is the cell
    ``(6 sigma + 1) // 2`` behind its beginning. So sigma 1.5 gives 10 cells round the point rounded, and sigma 1.0 gives 7
    round the point floored; within 3 sigma of the first cell the centre is one further.

    Args:
        place: p ``(...)`` in cells, an integer is a cell's centre; nan gives zeros.
        side: number of cells.
        sigma: in cells.

    Returns:
        ``(..., side)``, peak 1.
    """
    known = torch.where(torch.isfinite(place), place, torch.full_like(place, -1e4))[..., None]
    start, end = torch.trunc(known - 3 * sigma), torch.trunc(known + 3 * sigma + 1)
    span = math.ceil(6 * sigma + 1)
    cells = torch.arange(side, dtype=place.dtype, device=place.device)
    inside = (cells >= start) & (cells < start + span) & (cells < end)
    bell = torch.exp(-0.5 * ((cells - start - math.floor((6 * sigma + 1) / 2)) / sigma) ** 2)
    return torch.where(inside, bell, torch.zeros_like(bell))


def square_gaussian(xy_map: Tensor, size: tuple[int, int], sigma: float = 1.5) -> Tensor:
    """Draw the published target heatmaps; see :func:`square_profile`.

    Args:
        xy_map: points ``(..., 2)`` in map cells; a point that is nan gets an empty map.
        size: ``(h, w)`` of the maps.
        sigma: in cells.

    Returns:
        ``(..., h, w)``.
    """
    across, down = square_profile(xy_map[..., 0], size[1], sigma), square_profile(xy_map[..., 1], size[0], sigma)
    return down[..., :, None] * across[..., None, :]


def reduced_gaussian(xy_fine: Tensor, side: int, sigma: float = 1.5, *, published: bool = False) -> Tensor:
    """Draw Gaussians on a canvas of four times the side, and reduce it bilinearly: the point maps of ADNet and STAR.

    A cell is then the mean of the four middle pixels of its 4x4 pixels; sigma 1.5 leaves peaks of 0.81 at most.

    Args:
        xy_fine: points ``(..., 2)`` in pixels of the canvas; a point that is nan gets an empty map.
        side: of the maps in cells.
        sigma: in pixels of the canvas.
        published: on squares round the rounded point, see :func:`square_profile`; else round the point itself.

    Returns:
        ``(..., side, side)``.
    """
    if published:
        fine = square_profile(xy_fine, 4 * side, sigma)
    else:
        known = torch.isfinite(xy_fine).all(-1, keepdim=True)
        place = torch.where(known, xy_fine, torch.full_like(xy_fine, -1e4))[..., None]
        cells = torch.arange(4 * side, dtype=xy_fine.dtype, device=xy_fine.device)
        fine = torch.exp(-0.5 * ((cells - place) / sigma) ** 2)
    reduced: Tensor = fine.view(*fine.shape[:-1], side, 4)[..., 1:3].mean(-1)
    across, down = reduced.unbind(-2)
    return down[..., :, None] * across[..., None, :]
