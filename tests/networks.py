"""Small networks of every registered kind, their cards and their files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from fiducia.models import LandmarkModel, build_model, models
from fiducia.recipes.merge import merge_tables
from fiducia.schemes.sets import Scheme
from fiducia.weights.card import WeightCard
from fiducia.weights.store import save_weights

__all__ = ["crops", "lively", "small", "small_card", "small_options", "write_small"]


def small_options(name: str = "fifa_tiny", **changes: Any) -> dict[str, Any]:
    """Return all options of a network's test form, as a card holds them."""
    entry = models[name]
    return merge_tables(merge_tables(entry.options, entry.test_options), changes)


def small(
    name: str = "fifa_tiny",
    points: int = 5,
    size: int | None = None,
    *,
    scheme: Scheme | None = None,
    seed: int | None = 0,
    **changes: Any,
) -> LandmarkModel:
    """Build a network's test form, in training mode; ``changes`` are options laid over it."""
    if seed is not None:
        torch.manual_seed(seed)
    entry = models[name]
    options = merge_tables(entry.test_options, changes)
    return build_model(name, points, size or entry.test_size, options=options, scheme=scheme)


def lively(model: LandmarkModel, seed: int = 3, amount: float = 0.1) -> LandmarkModel:
    """Move everything away from where it starts, so that no layer is idle: gates, zero weights and running statistics too."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.endswith("running_var"):
                tensor.mul_(0.6 + 0.8 * torch.rand(tensor.shape, generator=draw))
            elif tensor.is_floating_point():
                tensor.add_(amount * torch.randn(tensor.shape, generator=draw))
    return model


def small_card(model: str = "fifa_tiny", points: int = 5, size: int | None = None, **changes: Any) -> WeightCard:
    """Return the card of a network that :func:`small` gave; ``changes`` are fields of the card."""
    entry = models[model]
    fields: dict[str, Any] = {
        "name": "t",
        "model": model,
        "options": small_options(model),
        "scheme": {5: "five", 68: "ibug68"}.get(points, "own"),
        "num_points": points,
        "size": size or entry.test_size,
    }
    return WeightCard(**{**fields, **changes})


def write_small(path: Path, network: LandmarkModel, **card: Any) -> Path:
    """Write a network that :func:`small` gave, with its card."""
    fields = {"points": network.num_points, "size": network.size, **card}
    save_weights(path, network.state_dict(), small_card(**fields))
    return path


def crops(count: int = 2, size: int = 64, seed: int = 0) -> torch.Tensor:
    """Return noise, uint8 ``(count, 3, size, size)``."""
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=draw)
