"""Name → builder, for the few things that users add: models, datasets, detectors, losses, decoders.

Registering enrols a thing in the contract tests of ``tests/contracts``: they run over every registered name.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

__all__ = ["Registry", "did_you_mean"]


def did_you_mean(word: str, known: list[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the nearest known name, or the list of all where none is near."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(sorted(known)) or 'none'}"


class Registry(Generic[T]):
    """A typed dictionary whose misses teach.

    Example:
        >>> losses: Registry[Callable[[float], float]] = Registry("loss")
        >>> @losses.register("square")
        ... def square(x: float) -> float:
        ...     return x * x
        >>> losses["square"](3.0)
        9.0
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._items: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that files its target under ``name``; a name taken twice is a ValueError."""

        def keep(item: T) -> T:
            if name in self._items:
                raise ValueError(f"the {self.kind} {name!r} is registered twice")
            self._items[name] = item
            return item

        return keep

    def __getitem__(self, name: str) -> T:
        """Return the item, or raise KeyError with the nearest known name."""
        if name not in self._items:
            raise KeyError(f"no {self.kind} is called {name!r}{did_you_mean(name, list(self._items))}")
        return self._items[name]

    def __contains__(self, name: object) -> bool:
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._items))

    def __len__(self) -> int:
        return len(self._items)
