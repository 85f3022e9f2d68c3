"""Regression that knows its own doubt: Gaussian negative log-likelihood, and what it shares with RLE."""

from __future__ import annotations

import torch
from torch import Tensor

from ..structures import ModelOutput
from .base import LossContext, Term
from .coordinate import true_points
from .registry import register
from .stages import Stages, at_least_single, check_stages, stage_mean
from .targets import Targets

__all__ = ["GaussianNLL", "example_sigma", "gaussian_nll", "residuals", "sigma_stages"]

_LOG_SIGMA = (-12.0, 4.0)


def example_sigma(context: LossContext, crops: int) -> dict[str, Tensor]:
    """Return a map ``sigma`` for the contract tests."""
    return {"sigma": 0.3 * torch.randn(crops, context.num_points, 2) - 2.0}


def sigma_stages(output: ModelOutput) -> list[tuple[Tensor, Tensor]]:
    """Return the stages of points with their log standard deviations.

    ``maps.sigma`` holds stages ``(N, K, 2)``: the natural logarithm of the standard deviation in x and in y, in shares of the
    crop's side. With fewer of them than stages of points, they belong to the last ones.
    """
    sigmas = output.maps["sigma"]
    return list(zip(output.points[-len(sigmas) :], sigmas, strict=True))


def residuals(points: Tensor, log_sigma: Tensor, targets: Targets) -> tuple[Tensor, Tensor]:
    """Return the errors of the supervised points over their standard deviation, and its logarithm; both ``(M, 2)``.

    Args:
        points: ``(N, K, 2)`` crop pixels.
        log_sigma: ``(N, K, 2)``; kept in [-12, 4], so that no value overflows.
        targets: the truth; M of its points are in the crop.
    """
    where = targets.inside
    predicted = (at_least_single(points)[where] + 0.5) / targets.size
    log_sigma = at_least_single(log_sigma)[where].clamp(*_LOG_SIGMA)
    return (true_points(targets)[where] - predicted) * torch.exp(-log_sigma), log_sigma


def gaussian_nll(residual: Tensor, log_sigma: Tensor) -> Tensor:
    """Return ``sum over x and y of r^2 / 2 + ln sigma``: the negative log-density of a Gaussian less the constant ln 2 pi.

    Args:
        residual: r ``(..., 2)``: errors over sigma.
        log_sigma: ``(..., 2)``.
    """
    return (0.5 * residual.square() + log_sigma).sum(-1)


@register("gaussian_nll", needs=("points", "maps.sigma"), example=example_sigma)
class GaussianNLL(Term):
    """Negative log-likelihood of the true points under Gaussians with the predicted mean and spread.

    See :func:`gaussian_nll`, and :func:`sigma_stages` for what ``maps.sigma`` holds. It can fall below zero.

    Args:
        context: what the network gives.
        stages: see :data:`~fiducia.losses.stages.Stages`.
    """

    def __init__(self, context: LossContext, *, stages: Stages = "all") -> None:
        super().__init__(context)
        check_stages(stages)
        self.stages = stages

    def forward(self, output: ModelOutput, targets: Targets) -> Tensor:
        """Return the mean over the points in the crop."""

        def one(stage: tuple[Tensor, Tensor]) -> Tensor:
            each = gaussian_nll(*residuals(*stage, targets))
            return each.sum() / targets.count(targets.inside, each.dtype)

        return stage_mean(sigma_stages(output), self.stages, one)
