"""The loss of boundary maps, one map a curve, as LAB and PropNet draw them."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import UsageError
from ..heatmaps.lines import complete, draw_boundary
from ..schemes.curves import boundary_curves
from ..structures import ModelOutput
from .base import LossContext, Term
from .registry import register
from .stages import Stages, at_least_single, check_stages, stage_mean
from .targets import Targets

__all__ = ["Boundaries"]


def _example(context: LossContext, crops: int) -> dict[str, Tensor]:
    """Return boundary maps for the contract tests."""
    return {"boundaries": torch.rand(crops, len(boundary_curves(context.scheme)), 16, 16) * 0.9 + 0.05}


@register("boundaries", needs=("maps.boundaries",), example=_example)
class Boundaries(Term):
    """Mean squared error of boundary maps, one map a curve (LAB, Wu et al., CVPR 2018; PropNet, Huang et al., CVPR 2020).

    ``boundary`` is the loss for all curves on one map. A curve with a point that is not labelled does not count. Targets:
    ``exp(-d^2 / (2 sigma^2))`` of the distance d to the curve, 0 from 3 sigma on.

    Args:
        context: gives the landmark set, whose curves are :func:`fiducia.schemes.curves.boundary_curves`.
        sigma: of the lines, in cells.
        stages: see :data:`~fiducia.losses.stages.Stages`.

    Raises:
        ValueError: a landmark set without edges, sigma not positive, or an unknown word for ``stages``.
    """

    def __init__(self, context: LossContext, *, sigma: float = 1.0, stages: Stages = "all") -> None:
        super().__init__(context)
        check_stages(stages)
        if sigma <= 0:
            raise ValueError(f"boundaries: sigma > 0; found {sigma}")
        self.curves = boundary_curves(context.scheme)
        if not self.curves:
            raise ValueError(
                f"boundaries: the landmark set {context.scheme.name!r} has no edges; give it edges = [[...], ...], or leave "
                "this loss out"
            )
        self.sigma, self.stages = sigma, stages

    def forward(self, output: ModelOutput, targets: Targets) -> Tensor:
        """Return the mean over the curves that are labelled."""
        shown = torch.where(targets.seen[..., None], targets.xy, torch.full_like(targets.xy, torch.nan))
        where = complete(shown, self.curves)

        def one(maps: Tensor) -> Tensor:
            if maps.shape[1] != len(self.curves):
                raise UsageError(
                    f"boundaries: the network draws {maps.shape[1]} boundary maps, the landmark set "
                    f"{self.context.scheme.name!r} has {len(self.curves)} curves; build the network for this landmark set"
                )
            side = maps.shape[-1]
            truth = targets.once(("boundaries", side, self.sigma), lambda: self._draw(targets.cells(side), side))
            values = at_least_single(maps)
            return targets.mean((values - truth.to(values.dtype)).square().mean((-2, -1)), where)

        return stage_mean(output.maps["boundaries"], self.stages, one)

    def _draw(self, cells: Tensor, side: int) -> Tensor:
        """Return the target maps ``(N, E, side, side)`` for points in map cells."""
        return torch.cat([draw_boundary(cells, [curve], side, self.sigma) for curve in self.curves], dim=1)
