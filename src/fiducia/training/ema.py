"""Averaged weights: the exponential moving average of a run, which is what is evaluated."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

__all__ = ["EMA"]


class EMA:
    """An exponential moving average of a network's weights: the ones that FaRL evaluates (decay 0.999 a step).

    The decay starts small and rises, ``min(decay, (1 + t) / (10 + t))``, so that a short run is not held back by its
    random first weights. Integer buffers are copied; BatchNorm's float statistics are averaged like weights.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self.tensors: dict[str, Tensor] = {k: v.detach().clone() for k, v in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move the average one step towards the network's present weights."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        averaged: list[Tensor] = []
        current: list[Tensor] = []
        for name, tensor in _tensors(model):
            if tensor.is_floating_point():
                averaged.append(self.tensors[name])
                current.append(tensor)
            else:
                self.tensors[name].copy_(tensor)
        torch._foreach_lerp_(averaged, current, 1.0 - decay)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the averaged tensors under the network's own names."""
        return dict(self.tensors)

    def load(self, tensors: dict[str, Tensor], steps: int) -> None:
        """Take up a saved average after ``steps`` updates."""
        self.steps = steps
        for name, tensor in tensors.items():
            self.tensors[name].copy_(tensor)


def _tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in model.state_dict().items():
        yield name, tensor.detach()
