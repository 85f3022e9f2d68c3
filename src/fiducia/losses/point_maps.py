"""The loss of point maps: small Gaussians that tell ADNet's and STAR's attention where each landmark is."""

from __future__ import annotations

import torch
from torch import Tensor

from ..heatmaps.squares import reduced_gaussian
from ..structures import ModelOutput
from .base import LossContext, Term
from .named_maps import Rule, awing_of_maps, check_rule
from .registry import register
from .stages import Stages, check_stages
from .targets import Targets

__all__ = ["PointMaps"]


def _example(context: LossContext, crops: int) -> dict[str, Tensor]:
    """Return point maps for the contract tests."""
    return {"points": torch.rand(crops, context.num_points, 16, 16) * 0.9 + 0.05}


@register("point_maps", needs=("maps.points",), example=_example)
class PointMaps(Term):
    """Adaptive Wing loss of point maps (ADNet, Huang et al., ICCV 2021; STAR, Zhou et al., CVPR 2023).

    Targets: :func:`fiducia.heatmaps.squares.reduced_gaussian`, drawn at four times the maps' side.

    Args:
        context: what the network gives.
        sigma: of the Gaussians, in quarters of a cell.
        rule: ``cells``, or ``published`` for Gaussians round the rounded point.
        stages: see :data:`~fiducia.losses.stages.Stages`; the published training sums them ``doubling``.

    Raises:
        ValueError: sigma is not positive, or an unknown option.
    """

    def __init__(
        self, context: LossContext, *, sigma: float = 1.5, rule: Rule = "cells", stages: Stages = "doubling"
    ) -> None:
        super().__init__(context)
        check_stages(stages)
        if sigma <= 0:
            raise ValueError(f"point_maps: sigma > 0; found {sigma}")
        self.sigma, self.stages, self.published = sigma, stages, check_rule("point_maps", rule)

    def forward(self, output: ModelOutput, targets: Targets) -> Tensor:
        """Return the mean over the points that are labelled."""
        maps = output.maps["points"]
        side = maps[-1].shape[-1]
        with torch.no_grad():
            target = reduced_gaussian(targets.cells(4 * side), side, self.sigma, published=self.published)
        return awing_of_maps(maps, target, targets.seen, targets, self.stages)
