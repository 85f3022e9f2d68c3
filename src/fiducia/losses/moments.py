"""The mean and the covariance of a map's mass in coordinates of [-1, 1], and the axes of a 2x2 covariance."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

__all__ = ["Grid", "grid_of", "map_moments", "principal_axes", "to_grid"]

Grid = Literal["edges", "centres"]
"""Where -1 and 1 lie on a map. ``edges``: the outer edges of the border cells, as everywhere in this package; ``centres``: the
centres of the border cells, as in the published code of ADNet and STAR."""


def grid_of(side: int, grid: Grid, like: Tensor) -> Tensor:
    """Return the coordinates of a map's cells along an axis ``(side,)``, in [-1, 1].

    Raises:
        ValueError: an unknown ``grid``.
    """
    cells = torch.arange(side, dtype=like.dtype, device=like.device)
    if grid == "edges":
        return (2 * cells + 1) / side - 1
    if grid == "centres":
        return 2 * cells / (side - 1) - 1
    raise ValueError(f"grid is 'edges' or 'centres'; found {grid!r}")


def to_grid(xy: Tensor, size: int) -> Tensor:
    """Crop pixels ``(..., 2)`` → [-1, 1] between the outer edges of a crop of a size; ADNet's and STAR's targets too."""
    return (2 * xy + 1) / size - 1


def map_moments(maps: Tensor, grid: Grid = "edges") -> tuple[Tensor, Tensor]:
    """Return the mean ``(N, K, 2)`` and the weighted covariance ``(N, K, 2, 2)`` of maps, in units of half a map's side.

    Weights w are the map over its sum (1e-6 at least). The covariance is the unbiased one for weights (STAR):
    ``sum w (c - m)(c - m)^T / (V1 - V2 / V1)``, ``V1 = sum w + 1e-5``, ``V2 = sum w^2 + 1e-5``.

    Args:
        maps: ``(N, K, h, w)``, 0 or more.
        grid: where -1 and 1 lie.
    """
    weights = maps / maps.sum((-2, -1), keepdim=True).clamp(min=1e-6)
    columns, rows = grid_of(maps.shape[-1], grid, maps), grid_of(maps.shape[-2], grid, maps)
    across, down = weights.sum(-2), weights.sum(-1)
    mean = torch.stack([across @ columns, down @ rows], dim=-1)
    dx, dy = columns - mean[..., :1], rows - mean[..., 1:]
    xx, yy = (across * dx.square()).sum(-1), (down * dy.square()).sum(-1)
    xy = ((weights @ dx[..., None])[..., 0] * dy).sum(-1)
    v1, v2 = across.sum(-1) + 1e-5, weights.square().sum((-2, -1)) + 1e-5
    covariance = torch.stack([torch.stack([xx, xy], dim=-1), torch.stack([xy, yy], dim=-1)], dim=-2)
    return mean, covariance / (v1 - v2 / v1)[..., None, None]


def principal_axes(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """Return the eigenvalues ``(..., 2)`` of symmetric 2x2 matrices, ascending, and their unit eigenvectors ``(..., 2, 2)``.

    In closed form: ``(a + c) / 2 -+ r``, ``r = sqrt(((a - c) / 2)^2 + b^2)``, the larger one's axis at half the angle of
    ``((a - c) / 2, b)``. Row i of the eigenvectors is axis i; its sign is arbitrary. Where the two eigenvalues are equal to
    one part in a thousand, no gradient passes through the direction, which would grow without bound.
    """
    a, b, c = covariance[..., 0, 0], covariance[..., 0, 1], covariance[..., 1, 1]
    half, middle = (a - c) / 2, (a + c) / 2
    nothing = (half == 0) & (b == 0)
    # hypot does not underflow where squares would; it has no gradient at (0, 0).
    radius = torch.hypot(torch.where(nothing, torch.ones_like(half), half), b)
    cosine, sine = half / radius + nothing.to(half.dtype), b / radius
    settled = radius > 1e-3 * middle.abs()
    cosine, sine = torch.where(settled, cosine, cosine.detach()), torch.where(settled, sine, sine.detach())
    radius = torch.where(nothing, torch.zeros_like(radius), radius)
    # Of cos^2(t / 2) = (1 + cos t) / 2 and sin^2(t / 2) = (1 - cos t) / 2, the larger one loses no digits.
    flat = cosine >= 0
    large = ((1 + torch.where(flat, cosine, -cosine)) / 2).sqrt()
    small = sine / (2 * large)
    x, y = torch.where(flat, large, small), torch.where(flat, small, large)
    major, minor = torch.stack([x, y], dim=-1), torch.stack([-y, x], dim=-1)
    return torch.stack([middle - radius, middle + radius], dim=-1), torch.stack([minor, major], dim=-2)
