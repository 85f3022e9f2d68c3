"""AWing on maps other than a network's heatmaps: what the losses of edge, point and boundary maps share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from .awing import awing_map, weight_map
from .stages import Stages, at_least_single, stage_mean
from .targets import Targets

__all__ = ["Rule", "awing_of_maps", "check_rule"]

Rule = Literal["cells", "published"]
"""``cells``: targets are drawn by this package's convention; ``published``: with the rounding of the published code, for
networks whose pixel rule is the published one."""


def check_rule(loss: str, rule: str) -> bool:
    """Return whether the rule is the published one.

    Raises:
        ValueError: neither ``cells`` nor ``published``.
    """
    if rule not in ("cells", "published"):
        raise ValueError(f"{loss}: rule is 'cells' or 'published'; found {rule!r}")
    return rule == "published"


def awing_of_maps(maps: Sequence[Tensor], target: Tensor, where: Tensor, targets: Targets, stages: Stages) -> Tensor:
    """Return the adaptive Wing loss with its weight map, the mean over the cells of the maps that count.

    Args:
        maps: stages of ``(N, M, h, w)``, values in [0, 1].
        target: ``(N, M, h, w)`` in [0, 1].
        where: bool ``(N, M)``: which maps count.
        targets: for the mean over all processes.
        stages: see :data:`~fiducia.losses.stages.Stages`.
    """

    def one(stage: Tensor) -> Tensor:
        values = at_least_single(stage)
        truth = target.to(values.dtype)
        return targets.mean((awing_map(values, truth) * weight_map(truth)).mean((-2, -1)), where)

    return stage_mean(maps, stages, one)
