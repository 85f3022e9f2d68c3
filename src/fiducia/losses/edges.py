"""The loss of edge maps: one map a curve of the face, as ADNet and STAR draw them."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import UsageError
from ..heatmaps.lines import FINE, complete, draw_edges, draw_edges_published
from ..schemes.curves import curves
from ..structures import ModelOutput
from .base import LossContext, Term
from .named_maps import Rule, awing_of_maps, check_rule
from .registry import register
from .stages import Stages, check_stages
from .targets import Targets

__all__ = ["Edges"]


def _example(context: LossContext, crops: int) -> dict[str, Tensor]:
    """Return edge maps for the contract tests."""
    return {"edges": torch.rand(crops, len(curves(context.scheme)), 16, 16) * 0.9 + 0.05}


@register("edges", needs=("maps.edges",), example=_example)
class Edges(Term):
    """Adaptive Wing loss of edge maps, one map a curve (ADNet, Huang et al., ICCV 2021; STAR, Zhou et al., CVPR 2023).

    A curve with a point that is not labelled does not count. Targets: :func:`fiducia.heatmaps.lines.draw_edges`.

    Args:
        context: gives the landmark set, whose curves are :func:`fiducia.schemes.curves.curves`.
        rule: ``cells``, or ``published`` for targets exactly as published, which OpenCV draws on the CPU: slow on a GPU.
        stages: see :data:`~fiducia.losses.stages.Stages`; the published training sums them ``doubling``.

    Raises:
        ValueError: a landmark set without edges, or an unknown option.
    """

    def __init__(self, context: LossContext, *, rule: Rule = "cells", stages: Stages = "doubling") -> None:
        super().__init__(context)
        check_stages(stages)
        self.curves, self.stages = curves(context.scheme), stages
        self.draw = draw_edges_published if check_rule("edges", rule) else draw_edges
        if not self.curves:
            raise ValueError(
                f"edges: the landmark set {context.scheme.name!r} has no edges; give it edges = [[...], ...]"
            )

    def forward(self, output: ModelOutput, targets: Targets) -> Tensor:
        """Return the mean over the curves that are labelled."""
        maps = output.maps["edges"]
        if maps[-1].shape[1] != len(self.curves):
            raise UsageError(
                f"edges: the network draws {maps[-1].shape[1]} edge maps, the landmark set {self.context.scheme.name!r} has "
                f"{len(self.curves)} curves; build the network for this landmark set"
            )
        side = maps[-1].shape[-1]
        target = self.draw(targets.cells(FINE * side), self.curves, side)
        shown = torch.where(targets.seen[..., None], targets.xy, torch.full_like(targets.xy, torch.nan))
        return awing_of_maps(maps, target, complete(shown, self.curves), targets, self.stages)
