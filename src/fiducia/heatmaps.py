"""Heatmaps: encoding points (eqs 1-2) and reading them back, with a confidence.

All points here are in heatmap cells, ``xy_map``: an integer is a cell's centre (see :mod:`fiducia.geometry`).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from .registry import Registry

__all__ = ["decode", "decoders", "encode"]

Decoder = Callable[[Tensor], Tensor]

decoders: Registry[Decoder] = Registry("decoder")
"""Name → function from probabilities ``(B, K, h, w)`` in [0, 1] to points ``(B, K, 2)`` in map cells."""

_FAR = -1e4


def encode(
    xy_map: Tensor,
    size: tuple[int, int],
    *,
    sigma: float = 1.5,
    radius: float = 5.0,
    quantize: bool = False,
    norm: str = "peak1",
) -> Tensor:
    """Draw a truncated Gaussian at every point (eq. 1), as products of a row and a column.

    Args:
        xy_map: points ``(..., K, 2)`` in map cells; a point that is nan gets an empty map.
        size: ``(h, w)`` of the maps.
        sigma: standard deviation in cells (the paper's 1.5, which it calls a variance).
        radius: cells further from the centre than this are 0.
        quantize: round the centre to a cell first (eq. 2); halves round up.
        norm: ``"peak1"`` (FaRL) or ``"density"``, the factor 1/(2 pi sigma^2) of eq. 1.

    Returns:
        ``(..., K, h, w)`` in the dtype of ``xy_map``, on its device.

    Raises:
        ValueError: an unknown ``norm``.
    """
    if norm not in ("peak1", "density"):
        raise ValueError(f"heatmap_norm is 'peak1' or 'density'; found {norm!r}")
    centre = torch.where(torch.isfinite(xy_map).all(-1, keepdim=True), xy_map, torch.full_like(xy_map, _FAR))
    if quantize:
        centre = torch.floor(centre + 0.5)
    h, w = size
    scale = -0.5 / sigma**2
    columns = torch.arange(w, dtype=centre.dtype, device=centre.device)
    rows = torch.arange(h, dtype=centre.dtype, device=centre.device)
    across = torch.exp(scale * (columns - centre[..., :1]) ** 2)
    down = torch.exp(scale * (rows - centre[..., 1:]) ** 2)
    maps = down[..., :, None] * across[..., None, :]
    # exp is monotonic, so "further than the radius" is "smaller than the rim's value": no second distance map.
    maps = F.threshold(maps, math.exp(scale * radius**2) * (1 - 1e-5), 0.0, inplace=True)
    return maps if norm == "peak1" else maps / (2 * math.pi * sigma**2)


def decode(logits: Tensor, method: str = "expectation") -> tuple[Tensor, Tensor]:
    """Read points and confidence from a network's maps.

    Args:
        logits: ``(B, K, h, w)`` before the sigmoid.
        method: a registered decoder: expectation (FaRL), argmax (Sect. 3.1), quarter (HRNet, FAN), local_softargmax
            (SH-FAN) or dark.

    Returns:
        points ``(B, K, 2)`` in map cells, and confidence ``(B, K)`` in [0, 1]: the largest probability of the map, near 1
        where the network would draw the full peak that it was trained on.
    """
    probabilities = torch.sigmoid(logits.float())
    return decoders[method](probabilities), probabilities.detach().flatten(2).amax(-1)


@decoders.register("expectation")
def _expectation(p: Tensor) -> Tensor:
    """Mean position, weighted by probability (FaRL, training and test); the only one that a loss can train through."""
    h, w = p.shape[-2:]
    columns = torch.arange(w, dtype=p.dtype, device=p.device)
    rows = torch.arange(h, dtype=p.dtype, device=p.device)
    across, down = p.sum(-2), p.sum(-1)
    mass = across.sum(-1).clamp(min=1e-6)
    return torch.stack([across @ columns / mass, down @ rows / mass], dim=-1)


@decoders.register("argmax")
def _argmax(p: Tensor) -> Tensor:
    """The largest cell (Sect. 3.1): whole cells, so half a cell off at worst."""
    x, y = _peak(p)
    return torch.stack([x, y], dim=-1).to(p.dtype)


@decoders.register("quarter")
def _quarter(p: Tensor) -> Tensor:
    """The largest cell, moved a quarter of a cell towards its larger neighbour in x and in y (HRNet, FAN)."""
    window, x, y = _window(p, 1)
    step = torch.stack([window[..., 1, 2] - window[..., 1, 0], window[..., 2, 1] - window[..., 0, 1]], dim=-1)
    return torch.stack([x, y], dim=-1).to(p.dtype) + 0.25 * step.sign()


@decoders.register("local_softargmax")
def _local_softargmax(p: Tensor) -> Tensor:
    """Mean position in the 5x5 cells round the largest, weighted by softmax(10 p) (SH-FAN), and refined once.

    SH-FAN's window sits on whole cells, which pulls a peak between two cells up to 0.1 towards the nearer one. A second
    look through a window that moves with the point (a smooth edge two cells away) takes that pull off.
    """
    half = 3
    window, x, y = _window(p, half)
    offsets = torch.arange(-half, half + 1, dtype=p.dtype, device=p.device)
    weight = torch.exp(10.0 * (window - window.amax((-2, -1), keepdim=True)))
    # What is outside the map is no evidence; softmax would count its zeros.
    h, w = p.shape[-2:]
    rows_in = ((y[..., None] + offsets >= 0) & (y[..., None] + offsets <= h - 1)).to(p.dtype)
    columns_in = ((x[..., None] + offsets >= 0) & (x[..., None] + offsets <= w - 1)).to(p.dtype)
    weight = weight * rows_in[..., :, None] * columns_in[..., None, :]
    shift = torch.zeros(*x.shape, 2, dtype=p.dtype, device=p.device)
    for _ in range(6):
        across = (3.0 - (offsets - shift[..., :1]).abs()).clamp(0.0, 1.0)
        down = (3.0 - (offsets - shift[..., 1:]).abs()).clamp(0.0, 1.0)
        local = weight * down[..., :, None] * across[..., None, :]
        mass = local.sum((-2, -1))
        shift = torch.stack([local.sum(-2) @ offsets, local.sum(-1) @ offsets], dim=-1) / mass[..., None]
    return torch.stack([x, y], dim=-1).to(p.dtype) + shift


@decoders.register("dark")
def _dark(p: Tensor) -> Tensor:
    """Distribution-aware: smooth, take the logarithm, one Newton step from the largest cell (DARK, CVPR 2020)."""
    taps = torch.arange(-5, 6, dtype=p.dtype, device=p.device)
    kernel = torch.exp(-0.5 * (taps / 1.5) ** 2)
    kernel = kernel / kernel.sum()
    k, (h, w) = p.shape[1], p.shape[-2:]
    smooth = F.conv2d(p, kernel.view(1, 1, -1, 1).expand(k, 1, -1, 1), padding=(5, 0), groups=k)
    smooth = F.conv2d(smooth, kernel.view(1, 1, 1, -1).expand(k, 1, 1, -1), padding=(0, 5), groups=k)
    g, x, y = _window(smooth.clamp(min=1e-10).log(), 1, source=smooth)
    dx, dy = 0.5 * (g[..., 1, 2] - g[..., 1, 0]), 0.5 * (g[..., 2, 1] - g[..., 0, 1])
    dxx = g[..., 1, 2] - 2 * g[..., 1, 1] + g[..., 1, 0]
    dyy = g[..., 2, 1] - 2 * g[..., 1, 1] + g[..., 0, 1]
    dxy = 0.25 * (g[..., 2, 2] - g[..., 2, 0] - g[..., 0, 2] + g[..., 0, 0])
    det = dxx * dyy - dxy**2
    inside = (x > 0) & (x < w - 1) & (y > 0) & (y < h - 1) & (det.abs() > 1e-12)
    safe = torch.where(inside, det, torch.ones_like(det))
    step = torch.stack([(dxy * dy - dyy * dx) / safe, (dxy * dx - dxx * dy) / safe], dim=-1).clamp(-1.0, 1.0)
    return torch.stack([x, y], dim=-1).to(p.dtype) + torch.where(inside[..., None], step, torch.zeros_like(step))


def _peak(p: Tensor) -> tuple[Tensor, Tensor]:
    """Return the column and row of the largest cell, int64 ``(B, K)`` each."""
    flat = p.flatten(2).argmax(-1)
    return flat % p.shape[-1], flat // p.shape[-1]


def _window(p: Tensor, half: int, source: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Return the ``2 half + 1`` square of cells round the largest of ``source``, edge cells repeated, and its x and y."""
    x, y = _peak(p if source is None else source)
    h, w = p.shape[-2:]
    offsets = torch.arange(-half, half + 1, device=p.device)
    rows = (y[..., None] + offsets).clamp(0, h - 1)
    columns = (x[..., None] + offsets).clamp(0, w - 1)
    index = rows[..., :, None] * w + columns[..., None, :]
    return p.flatten(2).gather(-1, index.flatten(2)).view(*index.shape), x, y
