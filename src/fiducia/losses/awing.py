"""Adaptive Wing loss of heatmaps (Wang, Bo, Fuxin, ICCV 2019)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import PositiveFloat
from torch import Tensor

from ..structures import ModelOutput
from .base import LossContext, Term
from .heatmap import map_values
from .registry import register
from .stages import Stages, check_stages, stage_mean
from .targets import Targets

__all__ = ["AdaptiveWing", "awing_map", "weight_map"]


def awing_map(
    predicted: Tensor,
    target: Tensor,
    *,
    omega: float = 14.0,
    theta: float = 0.5,
    epsilon: float = 1.0,
    alpha: float = 2.1,
) -> Tensor:
    """Return the adaptive Wing loss of every cell.

    With ``d = |predicted - y|`` and the exponent ``a = alpha - y``: ``omega ln(1 + (d / epsilon)^a)`` for ``d < theta``, else
    ``A d - C`` with ``A = omega / (1 + (theta / epsilon)^a) * a * (theta / epsilon)^(a - 1) / epsilon`` and
    ``C = theta A - omega ln(1 + (theta / epsilon)^a)``, so that value and slope are continuous at theta.

    Args:
        predicted: linear maps, any shape.
        target: y, the same shape, in [0, 1]; no gradient is meant to reach it.
        omega: height of the loss.
        theta: where it turns linear.
        epsilon: the curvature near zero.
        alpha: the exponent on background cells; more than 2 keeps it smooth at a peak too.

    Returns:
        the shape of ``predicted``.
    """
    power = alpha - target
    ratio = theta / epsilon
    reach = torch.pow(torch.as_tensor(ratio, dtype=predicted.dtype, device=predicted.device), power)
    slope = omega * power * reach / ratio / epsilon / (1 + reach)
    level = theta * slope - omega * torch.log1p(reach)
    distance = (predicted - target).abs()
    # Only the near branch has a power of the distance; further off it is not needed, and large powers overflow.
    near = torch.pow(distance.clamp(max=theta) / epsilon, power)
    return torch.where(distance < theta, omega * torch.log1p(near), slope * distance - level)


def weight_map(target: Tensor, weight: float = 10.0, threshold: float = 0.2) -> Tensor:
    """Return ``1 + weight`` where a cell or one of its eight neighbours is a target of at least ``threshold``, else 1.

    Args:
        target: ``(N, K, h, w)`` in [0, 1].
        weight: what foreground and hard background cells weigh more.
        threshold: of the 3x3 maximum of the target.
    """
    grown = F.max_pool2d(target, kernel_size=3, stride=1, padding=1)
    return 1.0 + weight * (grown >= threshold).to(target.dtype)


@register("awing", needs=("linear",))
class AdaptiveWing(Term):
    """Adaptive Wing loss of linear heatmaps, the weighted mean over a map's cells.

    See :func:`awing_map` for the equation and :func:`weight_map` for the weights.

    Args:
        context: what the network gives.
        omega: see :func:`awing_map`.
        theta: see :func:`awing_map`.
        epsilon: see :func:`awing_map`.
        alpha: see :func:`awing_map`.
        emphasis: of the weighted loss map, ``weight`` of :func:`weight_map`; 0 = none.
        threshold: see :func:`weight_map`.
        sigma: of the target Gaussians in cells; None = the recipe's.
        radius: of the target Gaussians in cells; None = the recipe's.
        stages: see :data:`~fiducia.losses.stages.Stages`.

    Raises:
        ValueError: omega, theta or epsilon is not positive, or alpha is not above 2.
    """

    def __init__(
        self,
        context: LossContext,
        *,
        omega: float = 14.0,
        theta: float = 0.5,
        epsilon: float = 1.0,
        alpha: float = 2.1,
        emphasis: float = 10.0,
        threshold: float = 0.2,
        sigma: PositiveFloat | None = None,
        radius: PositiveFloat | None = None,
        stages: Stages = "all",
    ) -> None:
        super().__init__(context)
        if min(omega, theta, epsilon) <= 0 or alpha <= 2:
            raise ValueError(
                f"awing: omega, theta, epsilon > 0 and alpha > 2; found {omega}, {theta}, {epsilon}, {alpha}"
            )
        check_stages(stages)
        self.shape = {"omega": omega, "theta": theta, "epsilon": epsilon, "alpha": alpha}
        self.emphasis, self.threshold = emphasis, threshold
        self.sigma, self.radius, self.stages = sigma, radius, stages

    def forward(self, output: ModelOutput, targets: Targets) -> Tensor:
        """Return the mean over the points that are labelled."""

        def one(maps: Tensor) -> Tensor:
            values = map_values(maps, linear=True)
            target = targets.heatmaps(maps.shape[-1], sigma=self.sigma, radius=self.radius).to(values.dtype)
            each = awing_map(values, target, **self.shape)
            if self.emphasis != 0:
                each = each * weight_map(target, self.emphasis, self.threshold)
            return targets.mean(each.mean((-2, -1)), targets.seen)

        return stage_mean(output.heatmaps, self.stages, one)
