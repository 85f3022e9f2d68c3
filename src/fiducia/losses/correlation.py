"""Deep canonical correlation (DCCA, Andrew et al. 2013; Sect. 3.3, eqs 7-8), in the full matrix form and the scalar one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ["canonical_correlation", "centre_and_scale", "scalar_correlation", "trace_norm"]


class _TraceNorm(torch.autograd.Function):
    """(S11, S12, S22) → ‖S11^-1/2 S12 S22^-1/2‖_tr, with its closed-form gradient (Andrew et al., eq. 11-13).

    Autograd through eigenvectors divides by differences of eigenvalues and gives nan as soon as two are equal, which
    happens whenever there are fewer samples than dimensions; the closed form does not.
    """

    @staticmethod
    def forward(ctx: Any, s11: Tensor, s12: Tensor, s22: Tensor) -> Tensor:
        """Return the sum of the singular values."""
        w1, w2 = _inverse_root(s11), _inverse_root(s22)
        u, d, vh = torch.linalg.svd(w1 @ s12 @ w2)
        ctx.save_for_backward(w1, w2, u, d, vh)
        return d.sum()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the gradients of S11, S12 and S22."""
        w1, w2, u, d, vh = ctx.saved_tensors
        (grad,) = grads
        g12 = w1 @ u @ vh @ w2
        g11 = -0.5 * w1 @ (u * d) @ u.T @ w1
        g22 = -0.5 * w2 @ (vh.T * d) @ vh @ w2
        return grad * g11, grad * g12, grad * g22


def _inverse_root(symmetric: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(symmetric)
    return (vectors * values.clamp(min=1e-12).rsqrt()) @ vectors.T


def trace_norm(s11: Tensor, s12: Tensor, s22: Tensor) -> Tensor:
    """Return the sum of the canonical correlations of two views' covariances, each ``(o, o)`` in float64."""
    result = _TraceNorm.apply(s11, s12, s22)
    assert isinstance(result, Tensor)
    return result


def centre_and_scale(x: Tensor, valid: Tensor, center: str = "landmark") -> tuple[Tensor, int]:
    """Centre and standardise features whose samples are (face, landmark) pairs.

    Args:
        x: features ``(B, K, o)``.
        valid: bool ``(B, K)``: pairs that count.
        center: ``"landmark"`` takes off each landmark's mean over the faces (else knowing which landmark is which would
            pass for correlation); ``"landmark+face"`` then each face's mean over its landmarks too; ``"global"`` one mean.

    Returns:
        ``(B, K, o)`` with zeros where invalid and unit variance a dimension, and the degrees of freedom left.

    Raises:
        ValueError: an unknown ``center``.
    """
    if center not in ("landmark", "landmark+face", "global"):
        raise ValueError(f"dcca_center is 'landmark', 'landmark+face' or 'global'; found {center!r}")
    weight = valid[..., None].to(x.dtype)
    x = torch.where(valid[..., None], x, torch.zeros_like(x))
    if center == "global":
        x = (x - x.sum((0, 1)) / weight.sum().clamp(min=1.0)) * weight
        lost = 1
    else:
        x = (x - x.sum(0) / weight.sum(0).clamp(min=1.0)) * weight
        lost = int(valid.any(0).sum())
        if center == "landmark+face":
            x = (x - x.sum(1, keepdim=True) / weight.sum(1, keepdim=True).clamp(min=1.0)) * weight
            lost += int(valid.any(1).sum()) - 1
    freedom = max(int(valid.sum()) - lost, 1)
    variance = x.square().sum((0, 1)) / freedom
    return x / (variance + 1e-12).sqrt(), freedom


def canonical_correlation(
    a: Tensor,
    b: Tensor,
    valid: Tensor,
    *,
    shrinkage: float = 0.05,
    eps: float = 1e-6,
    center: str = "landmark",
    squared: bool = False,
) -> Tensor:
    """Return the sum of the canonical correlations of two views, in [0, o]; its negative is the DCCA loss.

    Eq. 7's covariance over variances, as the cited DCCA means it: matrices. Landmarks with fewer than two valid samples
    are dropped. Everything is computed in float64 (on the CPU where the device has none).

    Args:
        a: features of view one ``(B, K, o)``; a sample is a (face, landmark) pair.
        b: features of view two at the same pairs.
        valid: bool ``(B, K)``.
        shrinkage: rho; S11 and S22 become (1 - rho) S + rho tr(S)/o I, and S12 becomes (1 - rho) S12, which keeps the
            correlations at 1 or less. 0 makes the value invariant to linear maps, and noisy where samples are few.
        eps: a floor under the diagonal.
        center: see :func:`centre_and_scale`.
        squared: the sum of squares instead (cca_zoo's loss).
    """
    device = torch.device("cpu") if a.device.type == "mps" else a.device
    a, b, valid = a.to(device).double(), b.to(device).double(), valid.to(device)
    valid = valid & (valid.sum(0) >= 2)
    if not bool(valid.any()):
        return (a.sum() + b.sum()) * 0.0
    a, freedom = centre_and_scale(a, valid, center)
    b, _ = centre_and_scale(b, valid, center)
    h1, h2 = a.flatten(0, 1), b.flatten(0, 1)
    eye = torch.eye(h1.shape[1], dtype=h1.dtype, device=h1.device)

    def regular(s: Tensor) -> Tensor:
        return (1 - shrinkage) * s + (shrinkage * s.diagonal().mean() + eps) * eye

    s11, s22 = regular(h1.T @ h1 / freedom), regular(h2.T @ h2 / freedom)
    s12 = (1 - shrinkage) * (h1.T @ h2 / freedom)
    if not bool(torch.isfinite(s11).all() & torch.isfinite(s22).all()):
        return s12.sum() * float("nan")  # eigenvalues of nan are an error; the training loop says what a nan loss means
    if squared:
        # tr(S11^-1 S12 S22^-1 S21): no singular vectors needed.
        return (torch.linalg.solve(s11, s12) * torch.linalg.solve(s22, s12.T).T).sum()
    return trace_norm(s11, s12, s22)


def scalar_correlation(a: Tensor, b: Tensor) -> Tensor:
    """Return eqs 7-8 to the letter: the Pearson correlation of two flattened representations, averaged over samples.

    Args:
        a: ``(B, ...)`` features of view one.
        b: the same shape, view two.

    Two pictures of one face correlate near 1 from the start, and so do most pairs of feature maps that share a mean
    activation (0.89 for unrelated ones in a simple simulation): a weak loss, kept because the paper prints it.
    """
    x, y = a.flatten(1).double(), b.flatten(1).double()
    x, y = x - x.mean(1, keepdim=True), y - y.mean(1, keepdim=True)
    return ((x * y).sum(1) / (x.norm(dim=1) * y.norm(dim=1)).clamp(min=1e-12)).mean()
