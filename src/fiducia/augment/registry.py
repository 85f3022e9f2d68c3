"""Registered augmentations: what a recipe's ``[[augment.extra]]`` tables may name, besides the built-in f_A1 and FiFA."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..errors import UsageError
from ..option_types import mistyped
from ..registry import Registry, did_you_mean

__all__ = ["Augmentation", "Extra", "augmentations", "extras"]

Image = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float32]


Augmentation = Callable[..., tuple[Image, Points]]
"""A change of one crop and its points, called as ``(image, xy, rng, **options)``: a crop uint8 ``(S, S, 3)``, its points
``(K, 2)`` in crop pixels and the view's generator, to a new crop and its points; the arguments stay as they are. Options are
its keyword-only arguments, held to their annotations."""

augmentations: Registry[Augmentation] = Registry("augmentation", "fiducia.augment")
"""Name → function. Every random number comes from ``rng``, so that a run can be repeated."""


class ExtraTable(Protocol):
    """One ``[[augment.extra]]`` table of a recipe."""

    @property
    def kind(self) -> str:
        """The registered augmentation."""
        ...

    @property
    def probability(self) -> float:
        """How often it fires."""
        ...

    def options(self) -> dict[str, Any]:
        """Return the augmentation's own options."""
        ...


class Extra:
    """One extra augmentation of a run.

    Args:
        table: of the recipe.
        where: for messages, such as ``"augment.extra[0]"``.

    Raises:
        UsageError: no such augmentation; an option that it does not have, of a wrong type or out of its range, or one that is
            missing.
    """

    def __init__(self, table: ExtraTable, where: str) -> None:
        self.function = augmentations.get(table.kind, f"{where}.kind: ")
        self.probability, self.options = table.probability, table.options()
        parameters = inspect.signature(self.function).parameters.values()
        known = {p.name: p.default is p.empty for p in parameters if p.kind is p.KEYWORD_ONLY}
        for option in self.options:
            if option not in known:
                near = did_you_mean(option, list(known))
                raise UsageError(f"{where}.{option}: {table.kind!r} has no such option{near}")
        wrong = mistyped(self.function, self.options)
        if wrong:
            raise UsageError(f"{where}.{wrong}")
        absent = [option for option, needed in known.items() if needed and option not in self.options]
        if absent:
            raise UsageError(f"{where}: {table.kind!r} needs the option {absent[0]}; give it")

    def __call__(self, image: Image, xy: Points, rng: np.random.Generator) -> tuple[Image, Points]:
        """Return the crop and its points, changed where the augmentation fires; one number is drawn in any case."""
        if rng.random() >= self.probability:
            return image, xy
        return self.function(image, xy, rng, **self.options)


def extras(tables: Iterable[ExtraTable]) -> list[Extra]:
    """Return a recipe's extra augmentations in their order.

    Raises:
        UsageError: see :class:`Extra`.
    """
    return [Extra(table, f"augment.extra[{i}]") for i, table in enumerate(tables)]
