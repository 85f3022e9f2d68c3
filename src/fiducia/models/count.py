"""How big a network is: parameters, and multiply-adds of one view."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .build import build_model
from .registry import models

__all__ = ["count_gmac", "count_parameters", "describe_models"]


def count_parameters(model: nn.Module) -> int:
    """Return how many numbers are learned."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def count_gmac(model: nn.Module, size: int) -> float:
    """Return the 1e9 multiply-adds of one ``size`` x ``size`` crop.

    Convolutions, linear layers, attention, BlurPool and FF-Parsers are counted; norms, activations and resizing are not.
    Works on a network on the ``meta`` device too, which computes nothing.
    """
    total = 0

    def tally(module: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
        nonlocal total
        if isinstance(module, nn.ConvTranspose2d):
            total += inputs[0].numel() * module.weight[0].numel()
        elif isinstance(module, nn.Conv2d):
            total += output.numel() * module.weight[0].numel()
        elif isinstance(module, nn.Linear):
            total += output.numel() * module.in_features
        elif hasattr(module, "macs"):
            total += module.macs(inputs[0])  # type: ignore[operator]

    handles = [m.register_forward_hook(tally) for m in model.modules()]
    device = next(model.parameters()).device
    training = model.training
    try:
        with torch.no_grad():
            model.eval()(torch.zeros(1, 3, size, size, device=device))
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    return total / 1e9


def describe_models(points: int = 68) -> list[dict[str, Any]]:
    """Return one row a registered network: ``name``, ``params`` (count), ``gmac`` of one view, ``input`` (pixels a side)."""
    rows = []
    for name in models:
        size = models[name].size
        with torch.device("meta"):
            model = build_model(name, points, size)
        rows.append(
            {"name": name, "params": count_parameters(model), "gmac": round(count_gmac(model, size), 3), "input": size}
        )
    return rows
