"""Anisotropic direction loss: errors across a contour weigh more than errors along it (ADNet, Huang et al., ICCV 2021)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..schemes.curves import curves
from ..schemes.sets import Scheme
from ..structures import ModelOutput
from .base import LossContext, Term
from .coordinate import point_stages, read_points
from .distances import euclidean_smooth_l1
from .moments import Grid, grid_of, to_grid
from .registry import register
from .stages import Stages, at_least_single, check_stages, stage_mean
from .targets import Targets

__all__ = ["AnisotropicDirection", "Curve", "anisotropy", "direction_points", "normals", "scheme_curves"]

Curve = tuple[Sequence[int], bool]
"""The points along a contour in order, and whether the last one is joined to the first."""


def scheme_curves(scheme: Scheme) -> list[Curve]:
    """Return a landmark set's contours for :func:`normals`: the published ones of ADNet, or chains of an own set's edges."""
    return [(list(curve.points), curve.closed) for curve in curves(scheme)]


def normals(truth: Tensor, curves: Sequence[Curve]) -> Tensor:
    """Return the unit normals of the contours at the true points; zero for a point on no contour.

    For a point x with the neighbours p and n along its contour: ``normalise(normalise(p - x) + normalise(n - x))``, the
    bisector of the angle. A coordinate in which p and n agree is taken from ``p - x`` turned by 90 degrees, (-dy, dx): so at
    the end of an open contour, whose single neighbour counts twice, the normal stands on the segment. A point on two
    contours has the neighbours of the one listed last.

    Args:
        truth: ``(N, K, 2)`` in any unit; nan = not labelled.
        curves: contours of two points or more.

    Returns:
        ``(N, K, 2)``; zero, too, where a neighbour is not labelled. The other axis, the tangent, is (-ny, nx).
    """
    before, after = list(range(truth.shape[1])), list(range(truth.shape[1]))
    for indices, closed in curves:
        last = len(indices) - 1
        for place, point in enumerate(indices):
            previous, following = (place - 1) % len(indices), (place + 1) % len(indices)
            if not closed:
                previous, following = (1 if place == 0 else place - 1), (last - 1 if place == last else place + 1)
            before[point], after[point] = indices[previous], indices[following]
    p, n = truth[:, before] - truth, truth[:, after] - truth
    turned = torch.stack([-p[..., 1], p[..., 0]], dim=-1)
    found = _unit(torch.where(p == n, turned, _unit(p) + _unit(n)))
    return torch.where(torch.isfinite(found).all(-1, keepdim=True), found, torch.zeros_like(found))


def anisotropy(maps: Tensor, centre: Tensor, normal: Tensor, grid: Grid = "edges") -> Tensor:
    """Return lambda ``(N, K)`` in [1, 9]: how much further a map's mass reaches along the contour than across it.

    ``E[((c - centre) . t)^2] / max(E[((c - centre) . n)^2], 1e-6)`` over the cells c of the map over its sum (1e-6 at least),
    with the normal n and the tangent t.

    Args:
        maps: ``(N, K, h, w)``, 0 or more.
        centre: ``(N, K, 2)`` in [-1, 1], such as the predicted points.
        normal: ``(N, K, 2)``, unit or zero.
        grid: where -1 and 1 lie on the map.
    """
    weights = maps / maps.sum((-2, -1), keepdim=True).clamp(min=1e-6)
    dx = grid_of(maps.shape[-1], grid, maps) - centre[..., :1]
    dy = grid_of(maps.shape[-2], grid, maps) - centre[..., 1:]
    xx, yy = (weights.sum(-2) * dx.square()).sum(-1), (weights.sum(-1) * dy.square()).sum(-1)
    xy = ((weights @ dx[..., None])[..., 0] * dy).sum(-1)
    nx, ny = normal[..., 0], normal[..., 1]
    across = nx.square() * xx + 2 * nx * ny * xy + ny.square() * yy
    along = ny.square() * xx - 2 * nx * ny * xy + nx.square() * yy
    return (along / across.clamp(min=1e-6)).clamp(1.0, 9.0)


def direction_points(predicted: Tensor, truth: Tensor, normal: Tensor, ratio: Tensor) -> Tensor:
    """Return the anisotropic direction loss of every point.

    With the error's component n along the normal and t along the tangent: smooth L1 (knee 0.01) of
    ``sqrt(2 lambda / (lambda + 1) n^2 + 2 / (lambda + 1) t^2)``; a point without a normal has its plain length.

    Args:
        predicted: ``(N, K, 2)`` in [-1, 1].
        truth: ``(N, K, 2)``, the same.
        normal: ``(N, K, 2)`` of :func:`normals`.
        ratio: lambda ``(N, K)`` of :func:`anisotropy`.

    Returns:
        ``(N, K)``.
    """
    error = predicted - truth
    nx, ny = normal[..., 0], normal[..., 1]
    across = (error[..., 0] * nx + error[..., 1] * ny).square()
    along = (error[..., 1] * nx - error[..., 0] * ny).square()
    weighed = (2 * ratio * across + 2 * along) / (ratio + 1)
    return euclidean_smooth_l1(torch.where(normal.norm(dim=-1) < 0.5, error.square().sum(-1), weighed))


def _example(context: LossContext, crops: int) -> dict[str, Tensor]:
    """Return a map ``attention`` for the contract tests."""
    return {"attention": torch.rand(crops, context.num_points, 16, 16) ** 8}


@register("adl", needs=("points|heatmaps", "maps.attention|heatmaps"), example=_example)
class AnisotropicDirection(Term):
    """Anisotropic direction loss: errors across a contour weigh more, the more the attention map is drawn out along it.

    Normals come from the true points and the scheme's curves. Attention map and centre are those of the last stage, without
    gradient, for all stages: ``maps.attention`` where the network names one, else its heatmaps. See :func:`direction_points`.
    A network without points of its own has them read from its heatmaps, as the coordinate loss does.

    Args:
        context: gives the scheme.
        grid: ``edges``, as in the rest of this package, or ``centres``, as the published network reads its maps.
        stages: see :data:`~fiducia.losses.stages.Stages`; the published training sums them ``doubling``.
    """

    def __init__(self, context: LossContext, *, grid: Grid = "edges", stages: Stages = "all") -> None:
        super().__init__(context)
        check_stages(stages)
        grid_of(2, grid, torch.zeros(()))
        self.curves = scheme_curves(context.scheme)
        self.grid, self.stages = grid, stages

    def forward(self, output: ModelOutput, targets: Targets) -> Tensor:
        """Return the mean over the points in the crop."""
        truth = to_grid(targets.xy, targets.size)
        normal = normals(truth, self.curves)
        stages = point_stages(output)
        attention = output.maps.get("attention")
        maps = attention[-1] if attention else output.heatmaps[-1]
        maps = at_least_single(maps.detach())
        if not attention and not output.linear:
            maps = torch.sigmoid(maps)
        centre = 2 * read_points(output, stages[-1], targets)[0].detach() - 1
        ratio = anisotropy(maps.clamp(min=0.0), centre, normal.to(maps.dtype), self.grid)

        def one(stage: Tensor) -> Tensor:
            points, where = read_points(output, stage, targets)
            known = torch.where(where[..., None], truth, torch.zeros_like(truth)).to(points.dtype)
            each = direction_points(2 * points - 1, known, normal.to(points.dtype), ratio.to(points.dtype))
            return targets.mean(each, where)

        return stage_mean(stages, self.stages, one)


def _unit(vector: Tensor) -> Tensor:
    """Return vectors of length 1; zero stays zero."""
    return vector / vector.norm(dim=-1, keepdim=True).clamp(min=1e-6)
