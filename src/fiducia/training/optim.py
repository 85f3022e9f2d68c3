"""AdamW with the field's parameter groups, the learning-rate schedule, and averaged weights (EMA)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from ..recipes.sections import OptimConfig

__all__ = ["EMA", "build_optimizer", "learning_rate_factor", "set_learning_rate"]


def build_optimizer(model: nn.Module, extra: Iterable[nn.Parameter], cfg: OptimConfig) -> AdamW:
    """Return AdamW over a network's groups and the objective's own parameters.

    Args:
        model: has ``parameter_groups()``; groups named ``backbone*`` take ``cfg.backbone_lr`` and groups that end in
            ``no_decay`` (norms, biases, position embedding, gates, FF-Parser filters) no weight decay.
        extra: parameters beside the network, such as the projection of DCCA; they learn at ``cfg.lr``.
        cfg: rates and decay. FaRL: betas (0.9, 0.999), weight decay 1e-5.
    """
    groups = []
    for name, parameters in model.parameter_groups().items():  # type: ignore[operator]
        lr = cfg.backbone_lr if name.startswith("backbone") and cfg.backbone_lr is not None else cfg.lr
        decay = 0.0 if name.endswith("no_decay") else cfg.weight_decay
        groups.append({"params": list(parameters), "lr": lr, "weight_decay": decay, "base_lr": lr, "name": name})
    groups.append(
        {"params": list(extra), "lr": cfg.lr, "weight_decay": cfg.weight_decay, "base_lr": cfg.lr, "name": "objective"}
    )
    return AdamW([g for g in groups if g["params"]], lr=cfg.lr, betas=(0.9, 0.999))


def learning_rate_factor(step: int, total: int, cfg: OptimConfig) -> float:
    """Return the factor in [0, 1] on every group's rate at ``step`` (from 0) of ``total`` optimiser steps.

    ``step`` is FaRL's: a tenth after ``cfg.step_at`` of the run. A pure function, so that a resumed run needs no state.
    """
    warm = max(1, round(cfg.warmup * total)) if cfg.warmup > 0 else 0
    if step < warm:
        return (step + 1) / warm
    if cfg.schedule == "constant":
        return 1.0
    if cfg.schedule == "step":
        return 0.1 if step >= cfg.step_at * total else 1.0
    progress = (step - warm) / max(1, total - warm)
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))


def set_learning_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set every group's rate to ``factor`` times its own base rate."""
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * factor


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
