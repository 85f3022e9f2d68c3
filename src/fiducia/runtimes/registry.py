"""The registered runtimes: what computes a network's points. Importing this module imports no torch."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ..errors import UsageError
from ..registry import Registry

if TYPE_CHECKING:
    from ..exporting.sealed import Sealed
    from ..models.base import LandmarkModel
    from ..schemes.sets import Scheme
    from ..structures import Runtime
    from ..weights.card import WeightCard

__all__ = ["Automatic", "RuntimeKind", "get_runtime", "register", "runtimes"]

B = TypeVar("B", bound="Callable[[LandmarkModel, WeightCard, Scheme, str, str | None], Runtime]")


@dataclass(frozen=True)
class Automatic:
    """How ``--runtime auto`` uses a runtime (:mod:`fiducia.runtimes.auto`).

    Attributes:
        rank: the fastest runtime has the lowest.
        graphs: (network, card, decoder or None) → graphs to try, the quickest first; they are made when they are asked for.
        open: (graph, landmark set, folder of its own in the cache or None) → what computes its points.
        needs: packages that making graphs takes, beside the runtime's own.
    """

    rank: int
    graphs: Callable[[LandmarkModel, WeightCard, str | None], Iterable[Sealed]]
    open: Callable[[Sealed, Scheme, Path | None], Runtime]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class RuntimeKind:
    """One registered runtime.

    Attributes:
        name: the word after ``--runtime``.
        build: (network, card, landmark set, device, decoder or None) → what computes its points.
        read: (exported file, landmark set) → the same, for a file that it can read; None where it reads none.
        suffixes: of the exported files that it reads.
        package: what it needs installed; empty = nothing.
        about: one line for ``fiducia list runtimes``.
        auto: how ``--runtime auto`` uses it; None where it does not.
    """

    name: str
    build: Callable[[LandmarkModel, WeightCard, Scheme, str, str | None], Runtime]
    read: Callable[[Sealed, Scheme], Runtime] | None
    suffixes: tuple[str, ...]
    package: str
    about: str
    auto: Automatic | None = None

    @property
    def installed(self) -> bool:
        """Whether what it needs is here."""
        return not self.package or importlib.util.find_spec(self.package) is not None


runtimes: Registry[RuntimeKind] = Registry("runtime", "fiducia.runtimes")


def register(
    name: str,
    *,
    read: Callable[[Sealed, Scheme], Runtime] | None = None,
    suffixes: tuple[str, ...] = (),
    package: str = "",
    auto: Automatic | None = None,
) -> Callable[[B], B]:
    """Return a decorator that registers a runtime's builder; the first line of its docstring describes it."""

    def keep(build: B) -> B:
        about = (build.__doc__ or "").strip().partition("\n")[0]
        runtimes.add(name, RuntimeKind(name, build, read, suffixes, package, about, auto))
        return build

    return keep


def get_runtime(name: str) -> RuntimeKind:
    """Return a runtime by name.

    Raises:
        UsageError: no such runtime, or what it needs is not installed.
    """
    kind = runtimes.get(name, "--runtime: ")
    if not kind.installed:
        raise UsageError(f"--runtime {name}: {kind.package} is not installed: pip install 'fiducia[export]'")
    return kind
