"""Name → part, for everything that users add: models, losses, data sets, detectors, decoders, output writers and more.

A registry finds its built-in parts when it is first asked: it imports every module of its home package. So a new part is
one new file. Plugins are found in the same way (:mod:`fiducia.plugins`). Registering enrols a part in the contract tests.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from .errors import UsageError
from .plugins import load_entry_points
from .words import one_line

T = TypeVar("T")

__all__ = ["Registry", "did_you_mean", "import_all"]


def did_you_mean(word: str, known: list[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the nearest known name, or the list of all where none is near."""
    near = difflib.get_close_matches(word[:80], known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(sorted(known)) or 'none'}"


def import_all(package: str) -> None:
    """Import every module of a package (not those of its subpackages), so that they register what they hold."""
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        importlib.import_module(f"{package}.{module.name}")


class Registry(Generic[T]):
    """A typed dictionary that finds its own entries and whose misses name the nearest one.

    Args:
        kind: what an entry is called in messages, such as ``"model"``.
        homes: packages whose modules register entries; they are imported when an entry is first asked for.

    Example:
        >>> shapes: Registry[Callable[[float], float]] = Registry("shape")
        >>> @shapes.register("square")
        ... def square(x: float) -> float:
        ...     return x * x
        >>> shapes["square"](3.0)
        9.0
    """

    def __init__(self, kind: str, *homes: str) -> None:
        self.kind = kind
        self._homes = list(homes)
        self._items: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that files its target under ``name``; a name taken twice is a UsageError."""

        def keep(item: T) -> T:
            self.add(name, item)
            return item

        return keep

    def add(self, name: str, item: T) -> None:
        """File ``item`` under ``name``.

        Raises:
            UsageError: the name is taken.
        """
        if name in self._items:
            raise UsageError(f"the {self.kind} {name!r} is registered twice; choose another name")
        self._items[name] = item

    def discover(self) -> None:
        """Import the home packages and the plugins of installed packages; once."""
        if self._homes:
            homes, self._homes = self._homes, []
            for home in homes:
                import_all(home)
            load_entry_points()

    def get(self, name: str, where: str = "") -> T:
        """Return an entry.

        Args:
            name: the entry.
            where: what asked, for the message, such as ``"model.name: "``.

        Raises:
            UsageError: no such entry; the line names the nearest one.
        """
        self.discover()
        if name not in self._items:
            raise UsageError(
                f"{where}no {self.kind} is called {one_line(name, 80)!r}{did_you_mean(name, list(self._items))}"
            )
        return self._items[name]

    def __getitem__(self, name: str) -> T:
        """Return the entry, or raise KeyError with the nearest known name."""
        self.discover()
        if name not in self._items:
            raise KeyError(f"no {self.kind} is called {name!r}{did_you_mean(name, list(self._items))}")
        return self._items[name]

    def __contains__(self, name: object) -> bool:
        self.discover()
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        self.discover()
        return iter(sorted(self._items))

    def __len__(self) -> int:
        self.discover()
        return len(self._items)
