"""A map's first and second moments as a point and its spread, in crop pixels."""

from __future__ import annotations

import torch
from torch import Tensor

from ...structures import Prediction

__all__ = ["expected_points", "read_moments"]


def expected_points(maps: Tensor, size: int, *, published: bool = False) -> Tensor:
    """Return each map's mean position, weighted by its values, ``(B, K, 2)`` in crop pixels.

    Args:
        maps: ``(B, K, h, w)``, 0 or more.
        size: S, side of the crop in pixels.
        published: ADNet's and STAR's grid, which puts the first cell at crop pixel -0.5 and the last one at S - 0.5; else cell c is
            crop pixel ``(c + 0.5) * S / w - 0.5``.
    """
    across, down, mass = _marginals(maps)
    columns, rows = _grid(across, published), _grid(down, published)
    mean = torch.stack([(across * columns).sum(-1), (down * rows).sum(-1)], dim=-1) / mass[..., None]
    return ((mean + 1) * size - 1) / 2


def read_moments(maps: Tensor, points: Tensor, size: int, *, published: bool = False) -> Prediction:
    """Return the prediction of maps whose expected points are known.

    Args:
        maps: ``(B, K, h, w)``, 0 or more.
        points: ``(B, K, 2)`` from :func:`expected_points`.
        size: S, side of the crop in pixels.
        published: as in :func:`expected_points`.

    Returns:
        the points; as confidence, the share of the map's mass within a sixteenth of its side of the point, in x and in y; as
        spread, the covariance of the mass.
    """
    maps, points = maps.detach().float(), points.float()
    across, down, mass = _marginals(maps)
    grids = (_grid(across, published), _grid(down, published))
    centre = (2 * points.detach() + 1) / size - 1
    x, y = grids[0] - centre[..., :1], grids[1] - centre[..., 1:]
    mixed = (maps * y[..., :, None] * x[..., None, :]).sum((-2, -1))
    var_x, var_y = (across * x**2).sum(-1), (down * y**2).sum(-1)
    spread = torch.stack([var_x, mixed, mixed, var_y], dim=-1) / mass[..., None] * (size / 2) ** 2
    reach = 1 / 8  # a sixteenth of the side, on a grid from -1 to 1
    near = (y.abs() <= reach)[..., :, None] & (x.abs() <= reach)[..., None, :]
    share = (maps * near).sum((-2, -1)) / mass
    return Prediction(points=points, confidence=share.clamp(0.0, 1.0), spread=spread.unflatten(-1, (2, 2)))


def _marginals(maps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the sums of columns ``(B, K, w)`` and rows ``(B, K, h)`` and the mass ``(B, K)``, in float32 at least."""
    maps = maps.float()
    across = maps.sum(-2)
    return across, maps.sum(-1), across.sum(-1).clamp(min=1e-6)


def _grid(marginal: Tensor, published: bool) -> Tensor:
    """Return the cells' places on [-1, 1], where -1 and 1 are the outer edges of the crop."""
    n = marginal.shape[-1]
    cells = torch.arange(n, dtype=marginal.dtype, device=marginal.device)
    return cells / max(n - 1, 1) * 2 - 1 if published else (2 * cells + 1) / n - 1
