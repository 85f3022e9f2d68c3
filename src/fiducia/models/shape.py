"""The shape regressor: every point put right a little by what all the others say, as in cascaded shape regression.

A heatmap is read point by point, and its errors are not independent: labels come from annotators who see whole faces. What of a
point's error can be told from the whole shape is mostly linear in it, and a linear map of 2K numbers costs nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["ShapeRegressor"]

_LEAST = 1e-8


class ShapeRegressor(nn.Module):
    """``p + f L(q - mean)``: a linear map in the shape's own frame, so that turning, scaling or moving a face commutes with it.

    ``q`` is the shape laid onto the mean shape by the best similarity (Procrustes, scale included), ``f`` the way back.
    Before :meth:`fit` nothing is moved.

    Args:
        num_points: K.

    Attributes:
        mean: ``(K, 2)``, the mean shape: centred, root mean square distance from the centre 1.
        linear: from 2K to 2K, x of all points before y; in units of the mean shape.
    """

    mean: Tensor

    def __init__(self, num_points: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(num_points, 2))
        self.linear = nn.Linear(2 * num_points, 2 * num_points)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, points: Tensor) -> Tensor:
        """``(B, K, 2)`` in any units → the same points, put right."""
        shape, frame = self.align(points)
        # Not a matrix product: OpenVINO would compute all before one in bfloat16, points included.
        moved = ((shape - self.mean).mT.flatten(1)[:, None] * self.linear.weight).sum(-1) + self.linear.bias
        count = self.mean.shape[0]
        return points + _turn(torch.stack([moved[:, :count], moved[:, count:]], dim=-1), frame)

    def align(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(B, K, 2)`` shapes laid onto the mean shape, and the way back, ``(B, 1, 2)``: a complex factor.

        With no mean shape yet both are 0.
        """
        centred = points - points.mean(1, keepdim=True)
        size = self.mean.square().sum() + _LEAST
        # mean's complex conjugate times the shape, summed: scale and turn in one.
        real = (centred * self.mean).sum((1, 2))
        imaginary = (centred[..., 1] * self.mean[:, 0] - centred[..., 0] * self.mean[:, 1]).sum(1)
        frame = torch.stack([real, imaginary], dim=-1)[:, None] / size
        back = frame * frame.new_tensor([1.0, -1.0]) / (frame.square().sum(-1, keepdim=True) + _LEAST)
        return _turn(centred, back), frame

    @torch.no_grad()
    def fit(self, points: Tensor, truth: Tensor, ridge: float) -> None:
        """Fit by ridge regression, in float64.

        Args:
            points: ``(N, K, 2)``, what the network finds on training faces.
            truth: ``(N, K, 2)``, their labels in the same frames.
            ridge: penalty on the map's weights, whose inputs are scaled to unit deviation; in faces.

        Raises:
            ValueError: no faces, or points that are not finite.
        """
        if len(points) == 0 or not (torch.isfinite(points).all() and torch.isfinite(truth).all()):
            raise ValueError("a shape regressor is fitted to faces whose points are all known")
        fitted = ShapeRegressor(points.shape[1]).double()
        fitted.mean = _mean_shape(points.double())
        shape, frame = fitted.align(points.double())
        back = frame * frame.new_tensor([1.0, -1.0]) / frame.square().sum(-1, keepdim=True)
        wanted = _turn(truth.double() - points.double(), back).mT.flatten(1)
        inputs = (shape - fitted.mean).mT.flatten(1)
        middle, spread = inputs.mean(0), inputs.std(0) + _LEAST
        z, target = (inputs - middle) / spread, wanted - wanted.mean(0)
        weight = torch.linalg.solve(z.T @ z + ridge * torch.eye(z.shape[1], dtype=z.dtype), z.T @ target).T / spread
        self.mean.copy_(fitted.mean)
        self.linear.weight.copy_(weight)
        self.linear.bias.copy_(wanted.mean(0) - weight @ middle)


def _turn(points: Tensor, factor: Tensor) -> Tensor:
    """Multiply points ``(B, K, 2)`` as complex numbers by ``(B, 1, 2)``."""
    x, y, a, b = points[..., 0], points[..., 1], factor[..., 0], factor[..., 1]
    return torch.stack([x * a - y * b, x * b + y * a], dim=-1)


def _mean_shape(points: Tensor, rounds: int = 5) -> Tensor:
    """Return the mean of shapes laid onto each other (generalised Procrustes analysis), centred and of unit size."""
    aligner = ShapeRegressor(points.shape[1]).to(points.dtype)
    mean = points[0]
    for _ in range(rounds):
        mean = mean - mean.mean(0)
        aligner.mean = mean / mean.square().sum(-1).mean().sqrt()
        mean = aligner.align(points)[0].mean(0)
    return aligner.mean
