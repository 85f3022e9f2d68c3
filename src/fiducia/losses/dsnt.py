"""Integral regression: the mean of a softmax map is the point, and a regulariser keeps the map small (DSNT)."""

from __future__ import annotations

import torch
from torch import Tensor

from ..heatmaps.decode import decoders
from ..heatmaps.encode import encode
from ..structures import ModelOutput
from .base import LossContext, Term
from .coordinate import true_points
from .distances import distances
from .registry import register
from .stages import Stages, at_least_single, check_stages, stage_mean
from .targets import Targets

__all__ = ["DSNT", "divergence", "label_distribution"]

_REGULARISERS = ("js", "cross_entropy", "none")


def divergence(logits: Tensor, target: Tensor, kind: str = "js") -> Tensor:
    """Return how far the softmax p of a map is from a target distribution q, in nats.

    ``js``: ``(KL(p | m) + KL(q | m)) / 2``, ``m = (p + q) / 2`` (Nibali et al.), in [0, ln 2]. ``cross_entropy``:
    ``-sum q ln p``, whose gradient is that of ``KL(q | p)``.

    Args:
        logits: ``(..., h, w)``.
        target: q, the same shape, summing to 1, or to 0 where there is none.
        kind: ``js`` or ``cross_entropy``.

    Returns:
        ``(...)``.
    """
    log_p = logits.flatten(-2).log_softmax(-1)
    q = target.flatten(-2)
    if kind == "cross_entropy":
        return -(q * log_p).sum(-1)
    p = log_p.exp()
    log_m = ((p + q) / 2).clamp(min=torch.finfo(p.dtype).tiny).log()
    # 0 ln 0 = 0, in the value and in the gradient.
    kl_q = torch.xlogy(q, q) - q * log_m
    return (p * (log_p - log_m) + kl_q).sum(-1) / 2


@register("dsnt", needs=("heatmaps",))
class DSNT(Term):
    """Distance of the softmax map's mean to the truth, and a regulariser on the map (DSNT, Nibali et al., 2018).

    ``D(mean, truth) + weight * R(softmax(z), Gaussian at the truth)``, on the raw maps z, logits or not. The matching decoder
    is ``integral``. Truths between the border cells' centres and the border cannot be reached and are left out.

    Args:
        context: what the network gives.
        distance: D, a registered distance in [0, 1] of the crop's side; DSNT's is ``norm``. DSNT measures in [-1, 1], where
            distances are twice as large: that is the default ``weight`` of 0.5 here for its 1 there.
        regulariser: ``js`` (DSNT), ``cross_entropy`` (softmax cross-entropy), or ``none`` (integral regression, Sun et al.,
            ECCV 2018).
        weight: of the regulariser.
        sigma: of the Gaussian, in cells (DSNT: 1).
        stages: see :data:`~fiducia.losses.stages.Stages`.
    """

    def __init__(
        self,
        context: LossContext,
        *,
        distance: str = "norm",
        regulariser: str = "js",
        weight: float = 0.5,
        sigma: float = 1.0,
        stages: Stages = "all",
    ) -> None:
        super().__init__(context)
        if regulariser not in _REGULARISERS:
            raise ValueError(f"dsnt: regulariser is one of {', '.join(_REGULARISERS)}; found {regulariser!r}")
        if sigma <= 0:
            raise ValueError(f"dsnt: sigma is more than 0; found {sigma}")
        check_stages(stages)
        self.distance = distances.get(distance, "distance: ")
        self.regulariser, self.weight, self.sigma, self.stages = regulariser, weight, sigma, stages

    def forward(self, output: ModelOutput, targets: Targets) -> Tensor:
        """Return the mean over the points that a map can reach."""

        def one(stage: Tensor) -> Tensor:
            logits, side = at_least_single(stage), stage.shape[-1]
            where = targets.on_map(side)
            predicted = (decoders["integral"](logits) + 0.5) / side
            truth = torch.where(where[..., None], true_points(targets), torch.zeros_like(targets.xy)).to(logits.dtype)
            each = self.distance(predicted, truth)
            if self.regulariser != "none":
                label = label_distribution(targets, side, self.sigma).to(logits.dtype)
                each = each + self.weight * divergence(logits, label, self.regulariser)
            return targets.mean(each, where)

        return stage_mean(output.heatmaps, self.stages, one)


def label_distribution(targets: Targets, side: int, sigma: float) -> Tensor:
    """Return distributions over a map's cells ``(N, K, side, side)``: Gaussians with sum 1; empty where not labelled.

    Args:
        targets: the truth.
        side: of the maps.
        sigma: in cells; 0 = the nearest cell alone.
    """

    def make() -> Tensor:
        cells = targets.cells(side)
        if sigma == 0:
            return encode(cells, (side, side), sigma=1.0, radius=0.5, quantize=True)
        maps = encode(cells, (side, side), sigma=sigma, radius=6 * sigma)
        return maps / maps.sum((-2, -1), keepdim=True).clamp(min=1e-6)

    return targets.once(("distribution", side, sigma), make)
