"""A structured objective on heatmaps without soft-argmax, after Yang and Yeh (ICCV 2025, arXiv 2508.14929)."""

from __future__ import annotations

import torch
from torch import Tensor

from ..structures import ModelOutput
from .base import LossContext, Term
from .coordinate import true_points
from .distances import distances
from .dsnt import label_distribution
from .registry import register
from .stages import Stages, at_least_single, check_stages, stage_mean
from .targets import Targets

__all__ = ["Structured", "structured_map"]


def structured_map(scores: Tensor, task: Tensor, label: Tensor, epsilon: float = 1.0) -> Tensor:
    """Return ``epsilon ln sum over c of exp((H_c + task_c) / epsilon) - sum over c of label_c H_c`` of every map.

    Args:
        scores: H ``(..., h, w)``, the raw map.
        task: what choosing a cell costs, the same shape.
        label: a distribution over the cells, the same shape.
        epsilon: temperature of the maximum; towards 0 it becomes the maximum over cells: the structured hinge loss.

    Returns:
        ``(...)``.
    """
    augmented = ((scores + task) / epsilon).flatten(-2)
    return epsilon * augmented.logsumexp(-1) - (label * scores).flatten(-2).sum(-1)


@register("structured", needs=("heatmaps",))
class Structured(Term):
    """Structured objective without soft-argmax: the true cell must score above all others (ICCV 2025; reconstruction).

    **A reconstruction.** Established from the abstract, the project page and the figure captions of arXiv 2508.14929, which
    are what could be read: heatmaps are scores of cells; a point is read by argmax; the training objective is that of classic
    structured prediction and has no soft-argmax; labels are smoothed. The equation here is the classic one that they name:
    margin rescaling with a softened maximum (Tsochantaridis et al., JMLR 2005; Hazan and Urtasun, 2010). **Chosen here**: the
    task loss (a registered distance times ``margin``), ``epsilon``, and an isotropic Gaussian as the smoothed label, where the
    publication fits a Gaussian to the edges of the photograph round the point.

    Args:
        context: what the network gives.
        distance: a registered distance in [0, 1] of the crop's side: the task loss.
        margin: its factor.
        epsilon: temperature of the maximum, see :func:`structured_map`.
        sigma: of the label's Gaussian in cells; 0 = the nearest cell alone.
        stages: see :data:`~fiducia.losses.stages.Stages`.
    """

    def __init__(
        self,
        context: LossContext,
        *,
        distance: str = "norm",
        margin: float = 1.0,
        epsilon: float = 1.0,
        sigma: float = 1.0,
        stages: Stages = "all",
    ) -> None:
        super().__init__(context)
        if epsilon <= 0 or margin < 0 or sigma < 0:
            raise ValueError(f"structured: epsilon > 0, margin and sigma >= 0; found {epsilon}, {margin}, {sigma}")
        check_stages(stages)
        self.distance = distances.get(distance, "distance: ")
        self.margin, self.epsilon, self.sigma, self.stages = margin, epsilon, sigma, stages

    def forward(self, output: ModelOutput, targets: Targets) -> Tensor:
        """Return the mean over the points between the centres of the border cells."""

        def one(stage: Tensor) -> Tensor:
            scores, side = at_least_single(stage), stage.shape[-1]
            where = targets.on_map(side)
            truth = torch.where(where[..., None], true_points(targets), torch.zeros_like(targets.xy)).to(scores.dtype)
            task = self.margin * self.distance(_cell_centres(side, scores), truth[..., None, None, :])
            label = label_distribution(targets, side, self.sigma).to(scores.dtype)
            return targets.mean(structured_map(scores, task, label, self.epsilon), where)

        return stage_mean(output.heatmaps, self.stages, one)


def _cell_centres(side: int, like: Tensor) -> Tensor:
    """Return the centres ``(side, side, 2)`` of a map's cells in [0, 1] of the crop's side."""
    centres = (torch.arange(side, dtype=like.dtype, device=like.device) + 0.5) / side
    return torch.stack([centres.expand(side, side), centres[:, None].expand(side, side)], dim=-1)
