"""What a converter of a foreign checkpoint is. Each kind is one file in :mod:`fiducia.weights.foreign`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from ..registry import Registry

__all__ = ["Converted", "converters", "rename"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Converted:
    """A foreign checkpoint in our terms.

    Attributes:
        model: the registered network.
        num_points: K, read from the tensors.
        size: side of the input in pixels that it was published for.
        state: tensors under our network's own names.
        options: the network's options, nested as in a recipe, read from the tensors where they show.
        scheme: the landmark set, where the number of points tells; None = unknown.
        scale: the box's share of the crop, as published.
        licence: of the checkpoints, where it is known; "unknown" else.
        notes: what a user should know: data, publication, what was left out.
    """

    model: str
    num_points: int
    size: int
    state: dict[str, Tensor]
    options: dict[str, Any] = field(default_factory=dict)
    scheme: str | None = None
    scale: float = 0.8
    licence: str = "unknown"
    notes: str = ""


Converter = Callable[[Mapping[str, Tensor]], Converted]

converters: Registry[Converter] = Registry("kind of checkpoint", "fiducia.weights.foreign")
"""Name → function from a published ``state_dict`` to :class:`Converted`. It raises FiduciaError for tensors that do not fit."""


def rename(state: Mapping[str, Tensor], rules: Callable[[str], str | None]) -> dict[str, Tensor]:
    """Return the tensors under new names.

    Args:
        state: a published ``state_dict``; a leading ``module.`` (of DataParallel) is taken off.
        rules: published name → ours; None = this tensor has no place here (such as ``num_batches_tracked`` of a layer that is
            never used).
    """
    renamed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        target = rules(name.removeprefix("module."))
        if target is not None:
            renamed[target] = tensor
    return renamed
