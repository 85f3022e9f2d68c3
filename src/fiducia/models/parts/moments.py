"""Maps read by their moments: the mean position is the point, and the mass about it says how sure it is."""

from __future__ import annotations

import torch
from torch import Tensor

from ...heatmaps.decode import map_spread
from ...structures import Prediction

__all__ = ["expected_points", "read_moments"]

REACH = 1 / 16
"""A map's mass counts as near its point within this share of the map's side, in x and in y."""


def expected_points(maps: Tensor, size: int, *, published: bool = False) -> Tensor:
    """Return each map's mean position, weighted by its values, ``(B, K, 2)`` in crop pixels.

    A map without mass has its point in the middle of the crop.

    Args:
        maps: ``(B, K, h, w)``, 0 or more.
        size: S, side of the crop in pixels.
        published: ADNet's and STAR's grid, which puts the first cell at crop pixel -0.5 and the last one at S - 0.5; else cell c is
            crop pixel ``(c + 0.5) * S / w - 0.5``.
    """
    maps = maps.float()
    across, down = maps.sum(-2), maps.sum(-1)
    mass = across.sum(-1).clamp(min=1e-6)
    # Multiplied and added up, not by a matrix product, which autocast would compute in half precision.
    x, y = (across * _grid(across, published)).sum(-1), (down * _grid(down, published)).sum(-1)
    return ((torch.stack([x, y], dim=-1) / mass[..., None] + 1) * size - 1) / 2


def read_moments(maps: Tensor, points: Tensor, size: int, *, published: bool = False) -> Prediction:
    """Return the prediction of maps whose expected points are known.

    Args:
        maps: ``(B, K, h, w)``, 0 or more.
        points: ``(B, K, 2)`` from :func:`expected_points`.
        size: S, side of the crop in pixels.
        published: as in :func:`expected_points`.

    Returns:
        the points; as confidence, the share of the map's mass within :data:`REACH` of the point; as spread, the covariance of
        the mass.
    """
    maps, points = maps.detach().float(), points.float()
    w = maps.shape[-1]
    centre = (2 * points.detach() + 1) / size - 1
    x = (_grid(maps[0, 0, 0], published) - centre[..., :1]).abs() <= 2 * REACH
    y = (_grid(maps[0, 0, :, 0], published) - centre[..., 1:]).abs() <= 2 * REACH
    near = (maps * (y[..., :, None] & x[..., None, :])).sum((-2, -1))
    share = near / maps.sum((-2, -1)).clamp(min=1e-6)
    spread = map_spread(maps, size) * ((w / max(w - 1, 1)) ** 2 if published else 1.0)
    return Prediction(points=points, confidence=share.clamp(0.0, 1.0), spread=spread)


def _grid(line: Tensor, published: bool) -> Tensor:
    """Return the cells' places on [-1, 1], where -1 and 1 are the outer edges of the crop, for a line of cells ``(..., n)``."""
    n = line.shape[-1]
    cells = torch.arange(n, dtype=line.dtype, device=line.device)
    return cells / max(n - 1, 1) * 2 - 1 if published else (2 * cells + 1) / n - 1
