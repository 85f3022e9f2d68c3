"""The coordinate loss: distances between predicted and true points, in shares of the crop's side."""

from __future__ import annotations

from torch import Tensor

from ..heatmaps.decode import decoders
from ..structures import ModelOutput
from .base import LossContext, Term
from .distances import distances
from .heatmap import read_once
from .registry import register
from .stages import Stages, at_least_single, check_stages, stage_mean
from .targets import Targets

__all__ = ["CoordinateLoss", "point_stages", "read_points", "true_points"]


@register("coord", needs=("points|heatmaps",))
class CoordinateLoss(Term):
    """Distance between the predicted and the true points, in [0, 1] of the crop's side (Sect. 3.1).

    A network's own points are compared where it gives any; else its heatmaps are read by expectation, which passes the
    gradient on. Points that heatmaps read can only lie between the centres of the border cells; others are left out.

    Args:
        context: what the network gives.
        distance: a registered distance, such as ``norm`` (FaRL), ``l1``, ``mse``, ``smooth_l1`` or ``wing``.
        stages: see :data:`~fiducia.losses.stages.Stages`.
    """

    def __init__(self, context: LossContext, *, distance: str = "norm", stages: Stages = "final") -> None:
        super().__init__(context)
        self.distance = distances.get(distance, "distance: ")
        check_stages(stages)
        self.stages = stages

    def forward(self, output: ModelOutput, targets: Targets) -> Tensor:
        """Return the mean distance over the points that are supervised."""

        def one(stage: Tensor) -> Tensor:
            predicted, where = read_points(output, stage, targets)
            error = self.distance(predicted[where], true_points(targets)[where])
            return error.sum() / targets.count(where, error.dtype)

        return stage_mean(point_stages(output), self.stages, one)


def point_stages(output: ModelOutput) -> list[Tensor]:
    """Return the stages that points are read from: of points where the network gives any, else of heatmaps."""
    return output.points or output.heatmaps


def read_points(output: ModelOutput, stage: Tensor, targets: Targets) -> tuple[Tensor, Tensor]:
    """Return a stage's points as coordinates that a loss can train, and which of them it should see.

    Args:
        output: of the network.
        stage: one of :func:`point_stages`.
        targets: the truth.

    Returns:
        ``(N, K, 2)`` in [0, 1] of the crop's side, and bool ``(N, K)``.
    """
    if output.points:
        return (at_least_single(stage) + 0.5) / targets.size, targets.inside
    side = stage.shape[-1]
    if output.linear:
        cells = decoders["expectation"](at_least_single(stage).clamp(min=0.0))
    else:
        _, cells = read_once(stage, targets)
    return (cells + 0.5) / side, targets.on_map(side)


def true_points(targets: Targets) -> Tensor:
    """Return the true points ``(N, K, 2)`` in [0, 1] of the crop's side; nan where not labelled."""
    return (targets.xy + 0.5) / targets.size
