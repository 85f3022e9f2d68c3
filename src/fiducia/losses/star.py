"""STAR loss: coordinate errors along the axes of the heatmap's own uncertainty (Zhou et al., CVPR 2023)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..structures import ModelOutput
from .base import LossContext, Term
from .distances import euclidean_smooth_l1, euclidean_wing
from .heatmap import map_values
from .moments import Grid, grid_of, map_moments, principal_axes, to_grid
from .registry import register
from .stages import Stages, check_stages, stage_mean
from .targets import Targets

__all__ = ["Star", "star_points"]

_DISTANCES: dict[str, Callable[[Tensor], Tensor]] = {
    "smooth_l1": lambda square: euclidean_smooth_l1(square, floor=1e-6),
    "wing": euclidean_wing,
    "l1": lambda square: square.clamp(min=1e-12).sqrt(),
    "l2": lambda square: square,
}
"""Name → function of squared lengths. ``smooth_l1`` and ``wing`` are STAR's; ``l1`` is the length, ``l2`` its square."""


def star_points(
    maps: Tensor,
    truth: Tensor,
    *,
    version: int = 2,
    distance: str = "smooth_l1",
    weight: float = 1.0,
    grid: Grid = "edges",
) -> Tensor:
    """Return the STAR loss of every point.

    With the map's mean m, its eigenvalues l_i, its axes v_i and the axis errors ``e_i = v_i . (truth - m)``:

    * version 2 (released): ``sum over i of D(e_i) / sqrt(l_i + 1e-5) + weight * sum of |l_i|``;
    * version 1 (first): ``D(|(e_1 / sqrt(l_1 + 1e-5), e_2 / sqrt(l_2 + 1e-5))|) + weight * sum of |l_i|``.

    Args:
        maps: ``(N, K, h, w)``, 0 or more.
        truth: ``(N, K, 2)`` in [-1, 1].
        version: 1 or 2.
        distance: D: ``smooth_l1`` (knee 0.01), ``wing`` (omega 0.01, epsilon 2), ``l1`` or ``l2``.
        weight: of the eigenvalues, which keeps the map small.
        grid: where -1 and 1 lie on the map.

    Returns:
        ``(N, K)``.
    """
    mean, covariance = map_moments(maps, grid)
    values, axes = principal_axes(covariance)
    errors = (axes @ (truth - mean)[..., None])[..., 0]
    scale = (values.clamp(min=0.0) + 1e-5).sqrt()
    measure = _DISTANCES[distance]
    if version == 1:
        apart = measure((errors / scale).square().sum(-1))
    else:
        apart = (measure(errors.square()) / scale).sum(-1)
    return apart + weight * values.abs().sum(-1)


@register("star", needs=("heatmaps",))
class Star(Term):
    """STAR loss: errors along the axes of the heatmap's spread weigh less where the spread is large.

    See :func:`star_points` for the equation. Each stage is judged by its own map. Truths between the border cells' centres and
    the border cannot be reached by a mean over cells and are left out.

    Args:
        context: what the network gives.
        version: 2 as released, or 1.
        distance: ``smooth_l1``, ``wing``, ``l1`` or ``l2``.
        spread: weight of the eigenvalues, which keeps the maps small.
        grid: ``edges``, which matches this package's decoders, or ``centres``, as the published network reads its maps.
        stages: see :data:`~fiducia.losses.stages.Stages`; the published training sums them ``doubling``.
    """

    def __init__(
        self,
        context: LossContext,
        *,
        version: int = 2,
        distance: str = "smooth_l1",
        spread: float = 1.0,
        grid: Grid = "edges",
        stages: Stages = "all",
    ) -> None:
        super().__init__(context)
        if version not in (1, 2):
            raise ValueError(f"star: version is 1 or 2; found {version!r}")
        if distance not in _DISTANCES:
            raise ValueError(f"star: distance is one of {', '.join(_DISTANCES)}; found {distance!r}")
        check_stages(stages)
        grid_of(2, grid, torch.zeros(()))
        self.version, self.distance, self.spread = version, distance, spread
        self.grid, self.stages = grid, stages

    def forward(self, output: ModelOutput, targets: Targets) -> Tensor:
        """Return the mean over the points that a map can reach."""

        def one(stage: Tensor) -> Tensor:
            maps = map_values(stage, output.linear).clamp(min=0.0)
            where = targets.on_map(maps.shape[-1])
            truth = torch.where(where[..., None], to_grid(targets.xy, targets.size), torch.zeros_like(targets.xy))
            each = star_points(
                maps,
                truth.to(maps.dtype),
                version=self.version,
                distance=self.distance,
                weight=self.spread,
                grid=self.grid,
            )
            return targets.mean(each, where)

        return stage_mean(output.heatmaps, self.stages, one)
