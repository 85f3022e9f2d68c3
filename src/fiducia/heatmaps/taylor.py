"""Sub-pixel peaks from the logarithm of a smoothed map, which is a parabola where the map is a Gaussian: DARK and UDP."""

from __future__ import annotations

import torch
from torch import Tensor

from .decode import register
from .peaks import blur, peak, window

__all__ = ["dark", "udp"]


@register("dark", within=0.05)
def dark(p: Tensor) -> Tensor:
    """Distribution-aware: smooth, take the logarithm, one Newton step from the largest cell (DARK, CVPR 2020)."""
    smooth = blur(p, 1.5)
    x, y = peak(smooth)
    g = window(smooth.clamp(min=1e-10).log(), 1, x, y)
    dxy = 0.25 * (g[..., 2, 2] - g[..., 2, 0] - g[..., 0, 2] + g[..., 0, 0])
    h, w = p.shape[-2:]
    inside = (x > 0) & (x < w - 1) & (y > 0) & (y < h - 1)
    step = _newton(g, dxy).clamp(-1.0, 1.0)
    return torch.stack([x, y], dim=-1).to(p.dtype) + torch.where(inside[..., None], step, torch.zeros_like(step))


@register("udp", within=0.05)
def udp(p: Tensor) -> Tensor:
    """The second-order Taylor decoder of UDP (Huang et al., "The devil is in the details", CVPR 2020).

    ``x = c - H^-1 g`` with the gradient g and the Hessian H of the smoothed map's logarithm at the largest cell c. Here it
    differs from ``dark`` in three things: smoothing taps of sigma 2, the mixed derivative from both diagonals, and a step at the
    border too, where edge cells are repeated; points are kept on the map. UDP's other half, lengths that are measured
    between pixel centres, belongs to a network's own decode.
    """
    smooth = blur(p, 2.0)
    x, y = peak(smooth)
    g = window(smooth.clamp(min=1e-10).log(), 1, x, y)
    dxy = 0.5 * (
        g[..., 2, 2] + g[..., 0, 0] + 2 * g[..., 1, 1] - g[..., 1, 2] - g[..., 2, 1] - g[..., 1, 0] - g[..., 0, 1]
    )
    h, w = p.shape[-2:]
    found = torch.stack([x, y], dim=-1).to(p.dtype) + _newton(g, dxy).clamp(-1.0, 1.0)
    return torch.stack([found[..., 0].clamp(-0.5, w - 0.5), found[..., 1].clamp(-0.5, h - 0.5)], dim=-1)


def _newton(g: Tensor, dxy: Tensor) -> Tensor:
    """Return the step ``(B, K, 2)`` to the top of the parabola through 3x3 cells; zero where that has no top.

    Args:
        g: ``(B, K, 3, 3)`` logarithms of the map, rows first.
        dxy: ``(B, K)`` the mixed second derivative.
    """
    dx, dy = 0.5 * (g[..., 1, 2] - g[..., 1, 0]), 0.5 * (g[..., 2, 1] - g[..., 0, 1])
    dxx = g[..., 1, 2] - 2 * g[..., 1, 1] + g[..., 1, 0]
    dyy = g[..., 2, 1] - 2 * g[..., 1, 1] + g[..., 0, 1]
    det = dxx * dyy - dxy**2
    top = (det > 1e-8) & (dxx < 0)
    safe = torch.where(top, det, torch.ones_like(det))
    step = torch.stack([(dxy * dy - dyy * dx) / safe, (dxy * dx - dxx * dy) / safe], dim=-1)
    return torch.where(top[..., None], step, torch.zeros_like(step))
