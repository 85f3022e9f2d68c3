"""Distances between points by name, one number a point; the loss ``coord`` averages them over the valid points.

Coordinates are in [0, 1] of the crop's side. Wing and smooth L1 have a knee, which is set in pixels of the paper's 512
crop, so that it stays at the same share of a face whatever the input size.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..registry import Registry

__all__ = ["distances", "smooth_l1", "wing"]

Distance = Callable[[Tensor, Tensor], Tensor]

distances: Registry[Distance] = Registry("distance", "fiducia.losses")
"""Name → function of predicted and true coordinates ``(..., 2)`` in [0, 1], giving ``(...)``."""

_REFERENCE = 512.0


def smooth_l1(residual: Tensor, beta: float = 1.0) -> Tensor:
    """Huber's loss over beta, elementwise: quadratic below ``beta``, linear above."""
    return F.smooth_l1_loss(residual, torch.zeros_like(residual), beta=beta, reduction="none")


def wing(residual: Tensor, w: float = 10.0, epsilon: float = 2.0) -> Tensor:
    """Wing loss, elementwise (Feng et al., CVPR 2018): ``w ln(1 + |x| / epsilon)`` below ``w``, ``|x| - C`` above."""
    size = residual.abs()
    constant = w - w * math.log(1 + w / epsilon)
    return torch.where(size < w, w * torch.log1p(size / epsilon), size - constant)


@distances.register("norm")
def _norm(predicted: Tensor, truth: Tensor) -> Tensor:
    """Euclidean length of the error: what FaRL calls its L1 loss, and both of the paper's names describe."""
    # The small constant keeps the gradient finite where the error is exactly 0.
    return (predicted - truth).square().sum(-1).add(1e-12).sqrt()


@distances.register("l1")
def _l1(predicted: Tensor, truth: Tensor) -> Tensor:
    """|dx| + |dy|: Sect. 4's "mean absolute error" to the letter."""
    return (predicted - truth).abs().sum(-1)


@distances.register("mse")
def _mse(predicted: Tensor, truth: Tensor) -> Tensor:
    """dx^2 + dy^2: Sect. 2's "L2" to the letter."""
    return (predicted - truth).square().sum(-1)


@distances.register("smooth_l1")
def _smooth_l1(predicted: Tensor, truth: Tensor) -> Tensor:
    """Smooth L1 with its knee at one pixel of a 512 crop."""
    return smooth_l1((predicted - truth) * _REFERENCE).sum(-1) / _REFERENCE


@distances.register("wing")
def _wing(predicted: Tensor, truth: Tensor) -> Tensor:
    """Wing loss with w = 10 and epsilon = 2 pixels of a 512 crop."""
    return wing((predicted - truth) * _REFERENCE).sum(-1) / _REFERENCE
