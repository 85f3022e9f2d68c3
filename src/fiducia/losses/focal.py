"""Focal binary cross-entropy of heatmap logits."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import PositiveFloat
from torch import Tensor

from ..structures import ModelOutput
from .base import LossContext, Term
from .registry import register
from .stages import Stages, at_least_single, check_stages, stage_mean
from .targets import Targets

__all__ = ["FocalBCE", "focal_bce_map"]


def focal_bce_map(logits: Tensor, target: Tensor, gamma: float = 2.0) -> Tensor:
    """Return ``|y - p|^gamma * -(y ln p + (1 - y) ln(1 - p))`` of every cell, p the sigmoid of the logits.

    The focal loss (Lin et al., ICCV 2017) in its form for targets y between 0 and 1 (quality focal loss, Li et al., NeurIPS
    2020). At gamma 0 it is the binary cross-entropy.
    """
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (target - torch.sigmoid(logits)).abs().pow(gamma) * entropy


@register("focal_bce", needs=("logits",))
class FocalBCE(Term):
    """Focal binary cross-entropy of heatmap logits: cells that are right already weigh little. The mean over a map's cells.

    Args:
        context: what the network gives.
        gamma: 0 gives ``bce``; else 1 or more, so that the gradient exists at p = y.
        sigma: of the target Gaussians in cells; None = the recipe's.
        radius: of the target Gaussians in cells; None = the recipe's.
        stages: see :data:`~fiducia.losses.stages.Stages`.

    Raises:
        ValueError: gamma is negative, or between 0 and 1.
    """

    def __init__(
        self,
        context: LossContext,
        *,
        gamma: float = 2.0,
        sigma: PositiveFloat | None = None,
        radius: PositiveFloat | None = None,
        stages: Stages = "final",
    ) -> None:
        super().__init__(context)
        if gamma < 0 or 0 < gamma < 1:
            raise ValueError(f"focal_bce: gamma is 0, or 1 or more; found {gamma}")
        check_stages(stages)
        self.gamma, self.sigma, self.radius, self.stages = gamma, sigma, radius, stages

    def forward(self, output: ModelOutput, targets: Targets) -> Tensor:
        """Return the mean over the points that are labelled."""

        def one(maps: Tensor) -> Tensor:
            logits = at_least_single(maps)
            target = targets.heatmaps(maps.shape[-1], sigma=self.sigma, radius=self.radius).to(logits.dtype)
            return targets.mean(focal_bce_map(logits, target, self.gamma).mean((-2, -1)), targets.seen)

        return stage_mean(output.heatmaps, self.stages, one)
