"""Heatmaps → points: the decoders, and the one function that turns a network's final maps into a prediction.

Points are in map cells here, ``xy_map``: an integer is a cell's centre (see :mod:`fiducia.geometry`). A cell of a map of
side w covers ``size / w`` crop pixels.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..registry import Registry
from ..structures import Prediction

__all__ = ["decode", "decode_maps", "decoders", "heatmap_decoders", "to_crop_pixels"]

Decoder = Callable[[Tensor], Tensor]

decoders: Registry[Decoder] = Registry("decoder", "fiducia.heatmaps")
"""Name → function from maps ``(B, K, h, w)`` to points ``(B, K, 2)`` in map cells.

The values are probabilities in [0, 1], or what a network regresses directly: then they may lie below 0 and above 1.
"""


def heatmap_decoders(first: str) -> tuple[str, ...]:
    """Return the names of all registered decoders, ``first`` (a network's published one) at the front."""
    return (first, *(name for name in decoders if name != first))


def to_crop_pixels(cells: Tensor, side: int, size: int) -> Tensor:
    """Map cells ``(..., 2)`` of maps of a side → crop pixels of a crop of a size."""
    return (cells + 0.5) * (size / side) - 0.5


def decode_maps(maps: Tensor, method: str, *, size: int, linear: bool = False) -> Prediction:
    """Read a network's final maps.

    Args:
        maps: ``(B, K, h, w)``, logits or linear; half precision is computed in float32.
        method: a registered decoder.
        size: side of the crop in pixels.
        linear: the maps are values in [0, 1] as they stand (up to the network's error), and not logits.

    Returns:
        Points in crop pixels; confidence: the largest value of each map, near 1 where the network draws the full peak that it
        was trained on; no spread.
    """
    maps = maps.float()
    values = maps if linear else torch.sigmoid(maps)
    cells, confidence = decoders[method](values), values.detach().flatten(2).amax(-1).clamp(0.0, 1.0)
    return Prediction(points=to_crop_pixels(cells, maps.shape[-1], size), confidence=confidence)


def decode(logits: Tensor, method: str = "expectation") -> tuple[Tensor, Tensor]:
    """Read points ``(B, K, 2)`` in map cells and confidence ``(B, K)`` from logits ``(B, K, h, w)``.

    Args:
        logits: before the sigmoid.
        method: a registered decoder: expectation (FaRL), argmax (Sect. 3.1), quarter (HRNet, FAN), local_softargmax
            (SH-FAN) or dark.
    """
    values = torch.sigmoid(logits.float())
    return decoders[method](values), values.detach().flatten(2).amax(-1)


@decoders.register("expectation")
def _expectation(p: Tensor) -> Tensor:
    """Mean position, weighted by probability (FaRL, training and test); the only one that a loss can train through.

    A value below 0, of a map that is regressed directly, counts as 0.
    """
    p = p.clamp(min=0.0)
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
    h, w = p.shape[-2:]
    # A peak on the border lacks a neighbour; the published code then takes no step, in x or in y.
    inner = (x > 0) & (x < w - 1) & (y > 0) & (y < h - 1)
    return torch.stack([x, y], dim=-1).to(p.dtype) + 0.25 * step.sign() * inner[..., None]


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
