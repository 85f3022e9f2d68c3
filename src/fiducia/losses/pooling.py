"""A face's features at its landmarks, and a gather over processes that gradients pass through."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = ["gather", "global_count", "pool_at_landmarks"]


def pool_at_landmarks(features: Tensor, heatmaps: Tensor) -> tuple[Tensor, Tensor]:
    """Average features under each landmark's ground-truth heatmap, normalised to sum 1.

    Args:
        features: ``(B, C, h, w)``.
        heatmaps: ``(B, K, h, w)``, peak 1; empty for a landmark that is unlabelled or out of the crop.

    Returns:
        ``(B, K, C)``, and bool ``(B, K)``: at least half of the peak's mass lies on the map.
    """
    weights = heatmaps.flatten(2)
    mass = weights.sum(-1)
    pooled = torch.bmm(weights, features.flatten(2).transpose(1, 2)) / mass.clamp(min=1e-6)[..., None]
    return pooled, mass > 0.5 * mass.detach().amax().clamp(min=1e-6)


class _Gather(torch.autograd.Function):
    """All processes' rows, one under the other; the gradient of a row is the sum of what every process made of it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Return ``(rows of all processes, ...)``; processes may have different numbers of rows."""
        own = torch.tensor([len(x)], device=x.device)
        counts = [torch.empty_like(own) for _ in range(dist.get_world_size())]
        dist.all_gather(counts, own)
        rows = [int(count) for count in counts]
        padded = x.new_zeros((max(rows), *x.shape[1:]))
        padded[: len(x)] = x
        parts = [torch.empty_like(padded) for _ in rows]
        dist.all_gather(parts, padded)
        ctx.start, ctx.count = sum(rows[: dist.get_rank()]), len(x)
        return torch.cat([part[:count] for part, count in zip(parts, rows, strict=True)])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        """Return this process's rows of the summed gradient."""
        total = grads[0].clone()
        dist.all_reduce(total)
        return total[ctx.start : ctx.start + ctx.count]


def gather(x: Tensor) -> Tensor:
    """Concatenate ``x (B, ...)`` of all processes along the batch; gradients flow back to where they came from."""
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return x
    gathered = _Gather.apply(x)
    assert isinstance(gathered, Tensor)
    return gathered


def global_count(count: Tensor) -> Tensor:
    """Return the mean over processes of a count: dividing local sums by it makes DDP's average the global mean."""
    if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        count = count.clone()
        dist.all_reduce(count)
        count = count / dist.get_world_size()
    return count.clamp(min=1e-6)
