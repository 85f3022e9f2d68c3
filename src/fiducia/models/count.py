"""How big a network is: parameters, and multiply-adds of one crop."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

from ..files import write_atomic
from ..schemes.sets import get_scheme, scheme_names
from .bounded import without_memory
from .build import build_model
from .parts.spectral import FFParser
from .registry import is_family, models

__all__ = ["count_gmac", "count_parameters", "describe_models", "write_sizes"]

_FILE = Path(__file__).with_name("sizes.json")
_KEPT_POINTS = 68


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


def describe_models(points: int = 68, *, measure: bool = False) -> list[dict[str, Any]]:
    """Return one row for each registered network, for a number of landmarks at the network's usual size.

    Measuring all networks takes some ten seconds, so the figures of the built-in ones at 68 landmarks are kept in
    ``sizes.json``; a test measures them again. Other numbers of landmarks, and networks of plugins, are measured now.

    Args:
        points: K. Networks that draw curves get those of the first known landmark set of so many points.
        measure: measure everything now.

    Returns:
        ``name``; ``params``, a count; ``gmac`` of one crop; ``input``, pixels a side; ``about``; ``decoders``, the published one
        first. A family, such as ``timm:``, is one row without counts.
    """
    kept = {} if measure or points != _KEPT_POINTS else _kept()
    rows: list[dict[str, Any]] = []
    for name in models:
        entry = models[name]
        row: dict[str, Any] = {"name": name, "params": None, "gmac": None, "input": entry.size, "about": entry.about}
        row["decoders"] = []
        if name in kept and kept[name]["options"] == _plain(entry.options) and kept[name]["input"] == entry.size:
            row |= {key: kept[name][key] for key in ("params", "gmac", "decoders")}
        elif not is_family(name):
            row |= _measured(name, points)
        rows.append(row)
    return rows


def _measured(name: str, points: int) -> dict[str, Any]:
    scheme = next((s for s in map(get_scheme, scheme_names()) if s.num_points == points), None)
    with without_memory():
        model = build_model(name, points, scheme=scheme)
    gmac = round(count_gmac(model, models[name].size), 3)
    return {"params": count_parameters(model), "gmac": gmac, "decoders": list(model.decoders)}


def _kept() -> dict[str, dict[str, Any]]:
    try:
        return dict(json.loads(_FILE.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def _plain(options: Any) -> Any:
    """Return options as JSON has them."""
    return json.loads(json.dumps(options))


def write_sizes() -> Path:
    """Measure the built-in networks anew and keep the figures: ``python -m fiducia.models.count``."""
    rows = {row["name"]: row for row in describe_models(_KEPT_POINTS, measure=True) if row["params"] is not None}
    table = {
        name: {"input": row["input"], "options": _plain(models[name].options)}
        | {key: row[key] for key in ("params", "gmac", "decoders")}
        for name, row in rows.items()
    }
    write_atomic(_FILE, (json.dumps(table, indent=1, sort_keys=True) + "\n").encode())
    return _FILE


if __name__ == "__main__":
    sys.stdout.write(f"{write_sizes()}\n")
