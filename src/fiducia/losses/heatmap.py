"""Losses of heatmaps against target heatmaps, for networks that give one map a landmark."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from ..structures import ModelOutput
from .reading import weigh_and_read
from .registry import register
from .targets import Targets

__all__ = ["heatmap_bce", "heatmap_mse", "stage_mean"]

Stages = Literal["final", "intermediate", "all"]


@register("bce", needs=("logits",))
def heatmap_bce(
    output: ModelOutput,
    targets: Targets,
    *,
    sigma: float | None = None,
    radius: float | None = None,
    stages: Stages = "final",
) -> Tensor:
    """Binary cross-entropy of heatmap logits, the mean over a map's cells (Sect. 3.1).

    Args:
        output: with logits ``(N, K, h, w)``.
        targets: the truth.
        sigma: of the target Gaussians in cells; None = the recipe's ``heatmap.sigma``.
        radius: of the target Gaussians in cells; None = the recipe's.
        stages: ``final``; ``intermediate``: all but the final one, averaged; or ``all``.
    """

    def one(maps: Tensor) -> Tensor:
        entropy, _ = read_once(maps, targets, sigma, radius)
        return targets.mean(entropy, targets.seen)

    return stage_mean(output.heatmaps, stages, one)


@register("heatmap_mse", needs=("heatmaps",))
def heatmap_mse(
    output: ModelOutput,
    targets: Targets,
    *,
    sigma: float | None = None,
    radius: float | None = None,
    stages: Stages = "all",
) -> Tensor:
    """Mean squared error of heatmaps, as HRNet and FAN are trained; logits pass a sigmoid first.

    Args:
        output: with maps ``(N, K, h, w)`` of any side, one stage or several.
        targets: the truth.
        sigma: of the target Gaussians in cells; None = the recipe's ``heatmap.sigma``.
        radius: of the target Gaussians in cells; None = the recipe's.
        stages: as in :func:`heatmap_bce`.
    """

    def one(maps: Tensor) -> Tensor:
        values = maps.float() if output.linear else torch.sigmoid(maps.float())
        target = targets.heatmaps(maps.shape[-1], sigma=sigma, radius=radius)
        return targets.mean((values - target).square().mean((-2, -1)), targets.seen)

    return stage_mean(output.heatmaps, stages, one)


def stage_mean(stages: list[Tensor], which: Stages, one: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the mean of a loss over the chosen stages of an output; 0 where there is no such stage."""
    if which not in ("final", "intermediate", "all"):
        raise ValueError(f"stages is 'final', 'intermediate' or 'all'; found {which!r}")
    chosen = {"final": stages[-1:], "intermediate": stages[:-1], "all": stages}[which]
    if not chosen:
        return stages[-1].sum() * 0.0
    return torch.stack([one(stage) for stage in chosen]).mean()


def read_once(
    logits: Tensor, targets: Targets, sigma: float | None = None, radius: float | None = None
) -> tuple[Tensor, Tensor]:
    """Return cross-entropy ``(N, K)`` and expected cells ``(N, K, 2)`` of logits, computed once a batch for all losses."""

    def read() -> tuple[Tensor, Tensor]:
        return weigh_and_read(logits, targets.heatmaps(logits.shape[-1], sigma=sigma, radius=radius))

    return targets.once(("read", id(logits), sigma, radius), read)
