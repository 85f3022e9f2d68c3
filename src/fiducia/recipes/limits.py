"""What no recipe needs: numbers so large, texts so long and tables so deep that they are mistakes, or meant to harm.

And epochs at which a learning rate should fall, without effect.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from ..words import one_line
from .sections import OptimConfig, Recipe

__all__ = ["DEEPEST", "LARGEST", "LARGEST_OPTION", "LONGEST", "MOST_BYTES", "beyond_limits"]

MOST_BYTES = 1_000_000
"""Of a recipe file; the longest one here has 4,000."""
LONGEST = 10_000
"""Characters of a text."""
DEEPEST = 20
"""Tables in one another."""
LARGEST_OPTION = 100_000
"""No option of a network is larger; a model card holds to the same."""
LARGEST: Mapping[str, float] = {
    "augment.fifa.epoch_interval": 1e6,
    "augment.fifa.n": 4096,
    "augment.rotation": 10,
    "augment.exact_rotation": 10,
    "augment.shift": 10,
    "data.limit": 1e9,
    "data.scale": 4,
    "data.size": 4096,
    "data.val_seed": 2**31,
    "heatmap.radius": 4096,
    "heatmap.sigma": 4096,
    "optim.backbone_lr": 1e3,
    "optim.clip": 1e9,
    "optim.lr": 1e3,
    "optim.power": 100,
    "optim.weight_decay": 1e3,
    "train.batch_size": 1_000_000,
    "train.checkpoint_every": 1e9,
    "train.devices": 1024,
    "train.epochs": 1_000_000,
    "train.num_nodes": 10_000,
    "train.seed": 2**31,
    "train.threads": 4096,
    "train.val_every": 1_000_000,
    "train.workers": 1024,
}
"""Key → the largest value that it may have."""
_SMALLEST = {
    "data.size": 8,
    "data.scale": 0.05,
    "heatmap.sigma": 0.01,
    "heatmap.radius": 0.01,
    "data.val_seed": -(2**31),
}


def beyond_limits(recipe: Recipe) -> str:
    """Return one line about the first value that is beyond every sense or without effect, or an empty text."""
    table = recipe.model_dump()
    for key in ("name", "model.name"):
        name = table["name"] if key == "name" else table["model"]["name"]
        if not name.isprintable() or len(name) > 200:
            return f"{key}: expected at most 200 characters that print; found {one_line(name, 60)!r}"
    for key, value, depth in _values(table, "", 0):
        problem = _problem(key, value, depth)
        if problem:
            return f"{one_line(key, 100)}: {problem}"
    return _without_effect(recipe.optim)


def _without_effect(optim: OptimConfig) -> str:
    """Return one line about epochs at which the learning rate should fall and does not, or an empty text."""
    if optim.schedule == "multi_step" and not optim.milestones:
        return (
            "optim.milestones: the rate of the schedule multi_step falls after these epochs, and none is named; name them, or set "
            'optim.schedule = "constant"'
        )
    if optim.milestones and "schedule" not in optim.model_fields_set:
        return f'optim.milestones: the schedule {optim.schedule} has none; set optim.schedule = "multi_step"'
    return ""


def _problem(key: str, value: Any, depth: int) -> str:
    if depth > DEEPEST:
        return f"more than {DEEPEST} tables in one another"
    if isinstance(value, str):
        return f"a text of {len(value):,} characters; at most {LONGEST:,} are read" if len(value) > LONGEST else ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    shown = one_line(value, 30)
    if isinstance(value, float) and not math.isfinite(value):
        return f"expected a finite number; found {shown}"
    largest = LARGEST.get(key, LARGEST_OPTION if key.startswith("model.options") else 1e12)
    if value > largest:
        return f"expected at most {largest:g}; found {shown}"
    smallest = _SMALLEST.get(key, -largest)
    if value < smallest:
        return f"expected at least {smallest:g}; found {shown}"
    return ""


def _values(value: Any, key: str, depth: int) -> Iterator[tuple[str, Any, int]]:
    """Yield every value below one, with its dotted key and how deep it lies; nothing is followed beyond the depth allowed."""
    inner: list[tuple[str, Any]] = []
    if isinstance(value, Mapping):
        inner = [(f"{key}.{name}" if key else str(name), one) for name, one in value.items()]
    elif isinstance(value, list | tuple):
        inner = [(key, one) for one in value]
    yield key, value if not inner else None, depth
    for name, one in inner if depth <= DEEPEST else ():
        yield from _values(one, name, depth + 1)
