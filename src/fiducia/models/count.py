"""How big a network is: parameters, and multiply-adds of one crop."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

from ..schemes.sets import get_scheme, scheme_names
from .build import build_model
from .parts.spectral import FFParser
from .registry import is_family, models

__all__ = ["count_gmac", "count_parameters", "describe_models"]


def count_parameters(model: nn.Module) -> int:
    """Return how many numbers are learned."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def count_gmac(model: nn.Module, size: int) -> float:
    """Return the 1e9 multiply-adds of one ``size`` x ``size`` crop.

    Convolutions, matrix products (those of attention too) and the FFTs of FF-Parsers are counted; norms, activations, resizing
    and sampling are not. Nothing is computed: only shapes go through the network, so it takes a second for any size.
    """
    empty = {name: t.to("meta") for name, t in [*model.named_parameters(), *model.named_buffers()]}
    fourier = 0

    def add(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        nonlocal fourier
        # As matrix products they are counted as such.
        if isinstance(module, FFParser) and module.form == "fft":
            fourier += module.macs(inputs[0])

    handles = [m.register_forward_pre_hook(add) for m in model.modules() if isinstance(m, FFParser)]
    training = model.training
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            functional_call(model.eval(), empty, (torch.zeros(1, 3, size, size, device="meta"),))
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    return (counter.get_total_flops() // 2 + fourier) / 1e9


def describe_models(points: int = 68) -> list[dict[str, Any]]:
    """Return one row for each registered network, measured for a number of landmarks at the network's usual size.

    Args:
        points: K. Networks that draw curves get those of the first known landmark set of so many points.

    Returns:
        ``name``; ``params``, a count; ``gmac`` of one crop; ``input``, pixels a side; ``about``; ``decoders``, the published one
        first. A family, such as ``timm:``, is one row without counts.
    """
    scheme = next((s for s in map(get_scheme, scheme_names()) if s.num_points == points), None)
    rows: list[dict[str, Any]] = []
    for name in models:
        entry = models[name]
        row: dict[str, Any] = {"name": name, "params": None, "gmac": None, "input": entry.size, "about": entry.about}
        row["decoders"] = []
        if not is_family(name):
            with torch.device("meta"):
                model = build_model(name, points, scheme=scheme)
            row["params"] = count_parameters(model)
            row["gmac"] = round(count_gmac(model, entry.size), 3)
            row["decoders"] = list(model.decoders)
        rows.append(row)
    return rows
