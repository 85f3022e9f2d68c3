"""Weights for bfloat16 that keep a filter's answer to a flat area."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["round_depthwise", "round_to_sum"]

_ROUNDS = 64


def round_depthwise(model: nn.Module) -> int:
    """Round the filters of depthwise convolutions to bfloat16, in place, by :func:`round_to_sum`; returns how many layers.

    Such a filter has 9 or 25 weights, often large ones of both signs, and the rounding errors of so few do not average out. A
    layer of many inputs needs no such care.
    """
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d) and m.groups == m.in_channels > 1]
    with torch.no_grad():
        for layer in layers:
            rows = layer.weight.flatten(1)
            layer.weight.copy_(round_to_sum(rows).view_as(layer.weight))
    return len(layers)


def round_to_sum(rows: Tensor) -> Tensor:
    """Round weights to bfloat16 such that the sum of each row changes as little as single steps can make it.

    Args:
        rows: float32 ``(N, K)``.

    Returns:
        float32 ``(N, K)`` of numbers that bfloat16 holds, each less than one step from the weight beside the nearest one.
    """
    rounded = rows.bfloat16().float()
    step = _step(rounded)
    for _ in range(_ROUNDS):
        missing = (rows - rounded).sum(1, keepdim=True)
        moved = rounded + missing.sign() * step
        # A weight may go to its other neighbour, not beyond it.
        allowed = ((moved - rows).abs() < step) & ((missing - (moved - rounded)).abs() < missing.abs())
        left = torch.where(allowed, (missing - (moved - rounded)).abs(), torch.inf)
        best = left.argmin(1, keepdim=True)
        found = left.gather(1, best).isfinite()
        if not bool(found.any()):
            break
        rounded = rounded.scatter(1, best, torch.where(found, moved.gather(1, best), rounded.gather(1, best)))
        rounded = rounded.bfloat16().float()
    return rounded


def _step(rounded: Tensor) -> Tensor:
    """Return the distance from each number of bfloat16 to the next one away from zero."""
    away = (rounded.bfloat16().view(torch.int16) + 1).view(torch.bfloat16).float()
    return (away - rounded).abs()
