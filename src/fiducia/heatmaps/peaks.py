"""The largest cell of a map, the cells round it, and smoothing: what the local decoders share."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["blur", "peak", "window"]


def peak(p: Tensor) -> tuple[Tensor, Tensor]:
    """Return the column and row of the largest cell of ``p (B, K, h, w)``, int64 ``(B, K)`` each."""
    flat = p.flatten(2).argmax(-1)
    return flat % p.shape[-1], flat // p.shape[-1]


def window(p: Tensor, half: int, x: Tensor, y: Tensor) -> Tensor:
    """Return the ``2 half + 1`` square of cells round column ``x`` and row ``y``, edge cells repeated beyond the border.

    Args:
        p: ``(B, K, h, w)``.
        half: cells to each side.
        x: int64 ``(B, K)``.
        y: int64 ``(B, K)``.

    Returns:
        ``(B, K, 2 half + 1, 2 half + 1)``.
    """
    h, w = p.shape[-2:]
    offsets = torch.arange(-half, half + 1, device=p.device)
    rows = (y[..., None] + offsets).clamp(0, h - 1)
    columns = (x[..., None] + offsets).clamp(0, w - 1)
    index = rows[..., :, None] * w + columns[..., None, :]
    return p.flatten(2).gather(-1, index.flatten(2)).view(*index.shape)


def blur(p: Tensor, sigma: float, half: int = 5) -> Tensor:
    """Convolve maps ``(B, K, h, w)`` with a Gaussian of ``2 half + 1`` taps; beyond the border are zeros."""
    taps = torch.arange(-half, half + 1, dtype=p.dtype, device=p.device)
    kernel = torch.exp(-0.5 * (taps / sigma) ** 2)
    kernel = kernel / kernel.sum()
    k = p.shape[1]
    smooth = F.conv2d(p, kernel.view(1, 1, -1, 1).expand(k, 1, -1, 1), padding=(half, 0), groups=k)
    return F.conv2d(smooth, kernel.view(1, 1, 1, -1).expand(k, 1, 1, -1), padding=(0, half), groups=k)
