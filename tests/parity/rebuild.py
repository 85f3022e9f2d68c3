"""A published network rebuilt from its filled state dict through our converter, and measured."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import golden
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from fiducia.models.base import LandmarkModel
from fiducia.models.build import build_model
from fiducia.schemes.sets import get_scheme
from fiducia.weights.converters import Converted, converters


def rebuild(recorded: dict[str, Any], variant: str, kind: str) -> tuple[LandmarkModel, Converted]:
    """Return our network with the variant's filled weights, loaded name by name, in evaluation."""
    converted = converters[kind](golden.state_dict(recorded, variant))
    model = empty(converted)
    model.load_state_dict(converted.state, strict=True)
    return model.eval(), converted


def empty(converted: Converted) -> LandmarkModel:
    """Return the network that a converter names."""
    scheme = get_scheme(converted.scheme) if converted.scheme else None
    options = converted.options
    return build_model(converted.model, converted.num_points, converted.size, options=options, scheme=scheme)


def variants(system: str) -> list[str]:
    """Return the names of a golden file's variants, for parametrisation; empty where the file is absent."""
    path = golden.FOLDER / f"{system}.json"
    return [v["name"] for v in golden.read(path)["variants"]] if path.is_file() else []


def variant(recorded: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a variant's facts."""
    return next(v for v in recorded["variants"] if v["name"] == name)


def shapes(recorded: dict[str, Any], name: str) -> dict[str, Tensor]:
    """Return the variant's state dict without values."""
    kept = (e for e in golden.entries(recorded, name))
    return {e[0]: torch.zeros(e[1], dtype=torch.float32 if e[2].startswith("float") else torch.int64) for e in kept}


def count_parameters(model: nn.Module) -> int:
    """Return the number of a network's parameters."""
    return sum(p.numel() for p in model.parameters())


def gmac(model: LandmarkModel, channels: int, height: int, width: int) -> float:
    """Return the billions of multiply-accumulates for one image, counted by torch."""
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(torch.zeros(1, channels, height, width))
    return counter.get_total_flops() / 2e9


def crop(case: dict[str, Any], recorded: dict[str, Any]) -> Tensor:
    """Return the golden's image as float RGB or BGR in [0, 255], in the channel order of the published network."""
    return torch.from_numpy(golden.image(case["input_shape"], recorded["fill"]["image_seed"])) * 255


@contextmanager
def watch(modules: dict[str, nn.Module], read: Callable[[Any], Tensor] = lambda x: x):  # type: ignore[no-untyped-def]
    """Collect what modules give at their first call, by the published name."""
    seen: dict[str, Tensor] = {}

    def hook(name: str) -> Callable[..., None]:
        def keep(_module: nn.Module, _args: Any, result: Any) -> None:
            seen.setdefault(name, read(result).clone())

        return keep

    handles = [module.register_forward_hook(hook(name)) for name, module in modules.items()]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
