"""Optimisers and schedules by name, and parameter groups by rule."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.optim import Optimizer

from ..errors import UsageError
from ..models.base import LandmarkModel
from ..recipes.sections import OptimConfig
from ..registry import Registry, did_you_mean

__all__ = ["build_optimizer", "learning_rate_factor", "schedules", "set_learning_rate"]


class Place(NamedTuple):
    """Where a run stands: shares in [0, 1] of the whole run and of what follows the warm-up, and epochs done."""

    share: float
    progress: float
    epoch: float


Schedule = Callable[[Place, OptimConfig], float]

schedules: Registry[Schedule] = Registry("schedule")
"""Name → function of the place in the run and the recipe's section to a factor on every rate, after the warm-up."""


def build_optimizer(model: LandmarkModel, extra: Iterable[nn.Parameter], cfg: OptimConfig) -> Optimizer:
    """Return the recipe's optimiser over a network's groups and the losses' own parameters.

    Groups named ``backbone*`` learn at ``cfg.backbone_lr``; a group that ends in ``@N`` is block N of the backbone, for
    ``cfg.layer_decay``; groups that contain ``no_decay`` (norms, biases, embeddings, gates) have no weight decay unless
    ``cfg.decay_all``. ``cfg.rules`` overrule this for parameters by name.

    Args:
        model: the network.
        extra: parameters beside the network, such as the projection of DCCA; they learn at ``cfg.lr``.
        cfg: FaRL: AdamW, betas (0.9, 0.999), weight decay 1e-5.

    Raises:
        UsageError: no such optimiser, an argument that it does not take, a rule that matches no parameter, or a layer decay
            for a network that does not number its backbone's blocks.
    """
    named: dict[str, list[nn.Parameter]] = {}
    for name, parameters in model.parameter_groups().items():
        whole = name.partition("@")[0] if cfg.layer_decay == 1 else name
        named.setdefault(whole, []).extend(parameters)
    if cfg.layer_decay < 1 and not any("@" in name for name in named):
        raise UsageError(
            f"optim.layer_decay = {cfg.layer_decay:g}: this network does not number the blocks of a backbone, so it would have no "
            "effect; leave it out, or set optim.backbone_lr or optim.rules"
        )
    deepest = max((_depth(name) for name in named), default=0)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups: list[dict[str, Any]] = []
    matched: set[str] = set()
    for name, parameters in named.items():
        lr = cfg.backbone_lr if name.startswith("backbone") and cfg.backbone_lr is not None else cfg.lr
        if name.startswith("backbone") and cfg.layer_decay < 1:
            lr *= cfg.layer_decay ** (deepest - _depth(name))
        decay = 0.0 if "no_decay" in name and not cfg.decay_all else cfg.weight_decay
        kept: list[nn.Parameter] = []
        for parameter in parameters:
            rules = [rule for rule in cfg.rules if fnmatchcase(names[id(parameter)], rule.match)]
            if not rules:
                kept.append(parameter)
                continue
            matched |= {rule.match for rule in rules}
            own_lr, own_decay = rules[-1].lr or lr, rules[-1].weight_decay
            groups.append(_group([parameter], own_lr, decay if own_decay is None else own_decay, rules[-1].match))
        groups.append(_group(kept, lr, decay, name))
    for rule in cfg.rules:
        if rule.match not in matched:
            raise UsageError(
                f"optim.rules: {rule.match!r} matches no parameter{did_you_mean(rule.match, list(names.values()))}"
            )
    groups.append(_group(list(extra), cfg.lr, cfg.weight_decay, "objective"))
    return _optimizer([g for g in groups if g["params"]], cfg)


def _group(parameters: list[nn.Parameter], lr: float, decay: float, name: str) -> dict[str, Any]:
    return {"params": parameters, "lr": lr, "weight_decay": decay, "base_lr": lr, "name": name}


def _depth(name: str) -> int:
    number = name.rpartition("@")[2]
    return int(number) if "@" in name and number.isdigit() else 0


def _optimizer(groups: list[dict[str, Any]], cfg: OptimConfig) -> Optimizer:
    known: dict[str, Any] = {
        name.lower(): kind
        for name, kind in vars(torch.optim).items()
        if inspect.isclass(kind) and issubclass(kind, Optimizer) and kind is not Optimizer
    }
    if cfg.kind.lower() not in known:
        raise UsageError(
            f"optim.kind: {cfg.kind!r} is no optimiser of torch.optim{did_you_mean(cfg.kind.lower(), list(known))}"
        )
    kind = known[cfg.kind.lower()]
    accepted = [p for p in inspect.signature(kind).parameters if p not in ("self", "params", "lr", "weight_decay")]
    for option in cfg.options:
        if option not in accepted:
            raise UsageError(
                f"optim.options: {kind.__name__} has no argument {option!r}{did_you_mean(option, accepted)}"
            )
    try:
        return kind(groups, lr=cfg.lr, **cfg.options)
    except (TypeError, ValueError) as error:
        raise UsageError(f"optim: {kind.__name__}: {error}") from error


@schedules.register("constant")
def _constant(at: Place, cfg: OptimConfig) -> float:
    """The same rate throughout."""
    return 1.0


@schedules.register("step")
def _step(at: Place, cfg: OptimConfig) -> float:
    """Times ``gamma`` after the share ``step_at`` of the whole run (FaRL: a tenth after four fifths)."""
    return cfg.gamma if at.share >= cfg.step_at else 1.0


@schedules.register("multi_step")
def _multi_step(at: Place, cfg: OptimConfig) -> float:
    """Times ``gamma`` after each of the epochs in ``milestones``."""
    return float(cfg.gamma ** sum(at.epoch >= milestone for milestone in cfg.milestones))


@schedules.register("polynomial")
def _polynomial(at: Place, cfg: OptimConfig) -> float:
    """``(1 - progress) ** power``."""
    return float((1.0 - at.progress) ** cfg.power)


@schedules.register("cosine")
def _cosine(at: Place, cfg: OptimConfig) -> float:
    """Half a cosine from 1 to 0."""
    return 0.5 * (1.0 + math.cos(math.pi * at.progress))


@schedules.register("one_cycle")
def _one_cycle(at: Place, cfg: OptimConfig) -> float:
    """Up from a 25th over the first 30 % of the run and down to 0, both by half a cosine (Smith and Topin 2018)."""
    if at.progress < 0.3:
        return 0.04 + 0.96 * 0.5 * (1.0 - math.cos(math.pi * at.progress / 0.3))
    return 0.5 * (1.0 + math.cos(math.pi * (at.progress - 0.3) / 0.7))


def learning_rate_factor(step: int, total: int, cfg: OptimConfig, epochs: int = 1) -> float:
    """Return the factor in [0, 1] on every group's rate at ``step`` (from 0) of ``total`` optimiser steps in ``epochs`` epochs.

    A pure function, so that a resumed run needs no state.

    Raises:
        UsageError: no such schedule.
    """
    schedule = schedules.get(cfg.schedule, "optim.schedule: ")
    warm = max(1, round(cfg.warmup * total)) if cfg.warmup > 0 else 0
    if step < warm:
        return (step + 1) / warm
    progress = min(1.0, (step - warm) / max(1, total - warm))
    return schedule(Place(step / max(1, total), progress, epochs * step / max(1, total)), cfg)


def set_learning_rate(optimizer: Optimizer, factor: float) -> None:
    """Set every group's rate to ``factor`` times its own base rate."""
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * factor
