"""Distances between points by name, one number a point; the loss ``coord`` averages them over the valid points.

Coordinates are in [0, 1] of the crop's side. Wing and smooth L1 have a knee, which is set in pixels of the paper's 512
crop, so that it stays at the same share of a face whatever the input size. The distances of ADNet and STAR are published for
coordinates in [-1, 1]: they are evaluated there and have their published values.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..registry import Registry

__all__ = ["distances", "euclidean_smooth_l1", "euclidean_wing", "smooth_l1", "smooth_wing", "wing"]

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


def smooth_wing(residual: Tensor, w: float = 10.0, epsilon: float = 2.0, knee: float = 1.0) -> Tensor:
    """Wing loss with a smooth start, elementwise: a parabola below ``knee``, Wing less a constant above.

    ``a x^2`` for ``|x| < knee``, ``wing(x) - wing(knee) + a knee^2`` above, ``a = w / (2 knee (epsilon + knee))``, so that
    value and slope are continuous at the knee. Wing's slope jumps from -w/epsilon to w/epsilon at 0, where labels are no
    better than a pixel; Rectified Wing (Feng et al., IJCV 2020) sets the loss to zero there instead. This form is our own:
    we found no publication that defines a smooth Wing.
    """
    start = w / (2 * knee * (epsilon + knee))
    rest = start * knee**2 - w * math.log(1 + knee / epsilon)
    return torch.where(residual.abs() < knee, start * residual.square(), wing(residual, w, epsilon) + rest)


def euclidean_smooth_l1(square: Tensor, scale: float = 0.01, floor: float = 1e-12) -> Tensor:
    """Smooth L1 of a length d whose square is given: ``d^2 / (2 s)`` below ``scale`` s, ``d - s / 2`` above.

    Args:
        square: squared lengths, any shape.
        scale: the knee.
        floor: squares are raised to this before the root (STAR: 1e-6).
    """
    length = square.clamp(min=floor).sqrt()
    return torch.where(square < scale**2, square / (2 * scale), length - scale / 2)


def euclidean_wing(square: Tensor, w: float = 0.01, epsilon: float = 2.0, floor: float = 1e-6) -> Tensor:
    """Wing loss of a length whose square is given, raised to ``floor`` before the root (STAR)."""
    return wing(square.clamp(min=floor).sqrt(), w, epsilon)


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
    """Smooth L1 of each coordinate with its knee at one pixel of a 512 crop."""
    return smooth_l1((predicted - truth) * _REFERENCE).sum(-1) / _REFERENCE


@distances.register("wing")
def _wing(predicted: Tensor, truth: Tensor) -> Tensor:
    """Wing loss of each coordinate with w = 10 and epsilon = 2 pixels of a 512 crop."""
    return wing((predicted - truth) * _REFERENCE).sum(-1) / _REFERENCE


@distances.register("smooth_wing")
def _smooth_wing(predicted: Tensor, truth: Tensor) -> Tensor:
    """Wing loss of each coordinate with a parabola below one pixel of a 512 crop."""
    return smooth_wing((predicted - truth) * _REFERENCE).sum(-1) / _REFERENCE


@distances.register("adnet_smooth_l1")
def _adnet_smooth_l1(predicted: Tensor, truth: Tensor) -> Tensor:
    """ADNet's: smooth L1 of the Euclidean length with its knee at 0.01, for coordinates in [-1, 1]."""
    return euclidean_smooth_l1(_wide(predicted, truth))


@distances.register("star_smooth_l1")
def _star_smooth_l1(predicted: Tensor, truth: Tensor) -> Tensor:
    """STAR's: as ADNet's, but lengths above the knee are 0.001 at least."""
    return euclidean_smooth_l1(_wide(predicted, truth), floor=1e-6)


@distances.register("star_wing")
def _star_wing(predicted: Tensor, truth: Tensor) -> Tensor:
    """STAR's Wing loss of the Euclidean length, omega 0.01 and epsilon 2, for coordinates in [-1, 1]."""
    return euclidean_wing(_wide(predicted, truth))


def _wide(predicted: Tensor, truth: Tensor) -> Tensor:
    """Return the squared length of the error for coordinates in [-1, 1]."""
    return (2 * (predicted - truth)).square().sum(-1)
