"""The coordinate loss: distances between predicted and true points, in shares of the crop's side."""

from __future__ import annotations

import torch
from torch import Tensor

from ..heatmaps.decode import decoders
from ..structures import ModelOutput
from .base import LossContext, Term
from .distances import distances
from .heatmap import read_once
from .registry import register
from .targets import Targets

__all__ = ["CoordinateLoss"]


@register("coord", needs=("points|heatmaps",))
class CoordinateLoss(Term):
    """Distance between the predicted and the true points, in [0, 1] of the crop's side (Sect. 3.1).

    A network's own points are compared where it gives any; else its final heatmaps are read by expectation, which passes the
    gradient on. Points that heatmaps read can only lie between the centres of the border cells; others are left out.

    Args:
        context: what the network gives.
        distance: a registered distance: ``norm`` (FaRL), ``l1``, ``mse``, ``smooth_l1``, ``wing``.
        stages: ``final``, or ``all`` stages of points, averaged.
    """

    def __init__(self, context: LossContext, *, distance: str = "norm", stages: str = "final") -> None:
        super().__init__(context)
        self.distance = distances.get(distance, "distance: ")
        if stages not in ("final", "all"):
            raise ValueError(f"stages is 'final' or 'all'; found {stages!r}")
        self.stages = stages

    def forward(self, output: ModelOutput, targets: Targets) -> Tensor:
        """Return the mean distance over the points that are supervised."""
        if output.points:
            chosen = output.points[-1:] if self.stages == "final" else output.points
            parts = [self._compare((points + 0.5) / targets.size, targets, targets.inside) for points in chosen]
            return torch.stack(parts).mean() if len(parts) > 1 else parts[0]
        maps = output.heatmaps[-1]
        side = maps.shape[-1]
        if output.linear:
            cells = decoders["expectation"](maps.float().clamp(min=0.0))
        else:
            _, cells = read_once(maps, targets)
        return self._compare((cells + 0.5) / side, targets, targets.on_map(side))

    def _compare(self, predicted: Tensor, targets: Targets, where: Tensor) -> Tensor:
        truth = (targets.xy + 0.5) / targets.size
        error = self.distance(predicted[where], truth[where])
        return error.sum() / targets.count(where, error.dtype)
