"""The loss of the boundary map: all curves of the face on one map, as AWing draws them."""

from __future__ import annotations

import torch
from torch import Tensor

from ..heatmaps.lines import complete, draw_boundary
from ..schemes.curves import boundary_curves
from ..structures import ModelOutput
from .base import LossContext, Term
from .named_maps import awing_of_maps
from .registry import register
from .stages import Stages, check_stages
from .targets import Targets

__all__ = ["Boundary"]

LOWER_BROWS = ("right_brow_bottom", "left_brow_bottom")


def _example(_context: LossContext, crops: int) -> dict[str, Tensor]:
    """Return boundary maps for the contract tests."""
    return {"boundary": torch.rand(crops, 1, 16, 16) * 0.9 + 0.05}


@register("boundary", needs=("maps.boundary",), example=_example)
class Boundary(Term):
    """Adaptive Wing loss of one map of all the face's curves (AWing, Wang et al., ICCV 2019; LAB, Wu et al., CVPR 2018).

    A face with a point on a curve that is not labelled does not count. Targets: :func:`fiducia.heatmaps.lines.draw_boundary`.

    Args:
        context: gives the landmark set, whose curves are :func:`fiducia.schemes.curves.boundary_curves`.
        sigma: of the lines, in cells.
        lower_brows: draw WFLW's two lower brows too; the published code leaves them out.
        stages: see :data:`~fiducia.losses.stages.Stages`.

    Raises:
        ValueError: a landmark set without edges, sigma not positive, or an unknown option.
    """

    def __init__(
        self, context: LossContext, *, sigma: float = 1.0, lower_brows: bool = False, stages: Stages = "all"
    ) -> None:
        super().__init__(context)
        check_stages(stages)
        if sigma <= 0:
            raise ValueError(f"boundary: sigma > 0; found {sigma}")
        left_out = LOWER_BROWS if context.scheme.name == "wflw98" and not lower_brows else ()
        self.curves = tuple(c for c in boundary_curves(context.scheme) if c.name not in left_out)
        if not self.curves:
            raise ValueError(
                f"boundary: the landmark set {context.scheme.name!r} has no edges; give it edges = [[...], ...], or leave this "
                "loss out"
            )
        self.sigma, self.stages = sigma, stages

    def forward(self, output: ModelOutput, targets: Targets) -> Tensor:
        """Return the mean over the faces whose curves are labelled."""
        maps = output.maps["boundary"]
        side = maps[-1].shape[-1]
        target = draw_boundary(targets.cells(side), self.curves, side, self.sigma)
        shown = torch.where(targets.seen[..., None], targets.xy, torch.full_like(targets.xy, torch.nan))
        where = complete(shown, self.curves).all(1, keepdim=True)
        return awing_of_maps(maps, target, where, targets, self.stages)
