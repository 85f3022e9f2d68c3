"""``--runtime auto``: the fastest runtime that is installed and gives torch's points for these weights, else torch.

Importing this module imports no torch, and neither does opening weights whose graph is in the cache.
"""

from __future__ import annotations

import errno
import hashlib
import importlib.metadata
import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from ..device import on_cpu
from ..errors import FiduciaError
from ..exporting.sealed import Sealed
from ..schemes.sets import Scheme
from ..structures import Runtime
from ..weights.card import WeightCard, card_in, card_scheme
from ..weights.header import digest, read_header
from ..weights.places import find_weights
from .cache import Entry, cache_folder, graph_key, open_entry
from .flip import FlipTest
from .forks import LoadedIn
from .registry import RuntimeKind, register, runtimes

if TYPE_CHECKING:
    from ..models.base import LandmarkModel

__all__ = ["AutoRuntime", "describe", "open_auto"]


@runtime_checkable
class Named(Protocol):
    """A runtime that says under which word it is registered."""

    name: str


class AutoRuntime:
    """What :func:`open_auto` chose. It may be pickled, and works on in a process that was forked after it was loaded.

    Args:
        chosen: the runtime that computes.
        about: which one, for people: ``openvino 2026.4, bfloat16``.
        why: why it is not a faster one, a line; empty where it is the fastest.
        again: how to open it in another process: weights, device, decoder.
        urgent: whether a user should be told ``why`` without asking.
    """

    name = "auto"

    def __init__(
        self, chosen: Runtime, about: str, why: str, again: tuple[str, str, str | None], urgent: bool = False
    ) -> None:
        self.chosen, self.about, self.why, self.urgent = chosen, about, why, urgent
        self.size, self.method, self.scheme = chosen.size, chosen.method, chosen.scheme
        self._again = again
        self._loaded = LoadedIn()

    def __call__(self, crops: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Map uint8 ``(N, 3, S, S)`` RGB crops to points ``(N, K, 2)`` in crop pixels and confidence ``(N, K)`` in [0, 1]."""
        if self._loaded.forked() and self.about.partition(" ")[0] != "torch":
            # The threads of other runtimes did not come along, and they cannot start again.
            import torch

            torch.set_num_threads(1)
            weights, device, decode = self._again
            # Its end would wait for those threads, for ever: it lives as long as the process.
            self._idle = self.chosen
            self.chosen, _ = _in_torch(weights, device, decode)
            self.about = _told("torch")
            self.why = "this process was forked after the predictor was loaded"
        return self.chosen(crops)

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, self._again


def describe(runtime: Runtime) -> tuple[str, str, bool]:
    """Return what computes a predictor's points, why it is nothing faster, and whether a user should hear that unasked.

    Args:
        runtime: of any kind; for one that the flip test wraps, the wrapped one is told.
    """
    inner = runtime.runtime if isinstance(runtime, FlipTest) else runtime
    if isinstance(inner, AutoRuntime):
        return inner.about, inner.why, inner.urgent
    names = [name for name in runtimes if isinstance(inner, Named) and inner.name == name]
    return (_told(names[0]) if names else type(inner).__name__), "", False


def open_auto(weights: str | Path, device: str = "auto", decode: str | None = None) -> tuple[AutoRuntime, WeightCard]:
    """Open weights in the fastest runtime that is certified for them.

    The graph of the weights comes from the cache (:mod:`fiducia.runtimes.cache`). Where it is not there, it is made and
    compared with the network in torch, which takes a few seconds, once. A GPU is always torch's.

    Args:
        weights: a shipped name, a file or a run's directory.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        decode: another decoder than the card's.

    Raises:
        UsageError: unknown names, or a decoder that the network does not have.
        FiduciaError: damaged weights.
    """
    again = (str(weights), device, decode)
    if not on_cpu(device):
        chosen, card = _in_torch(weights, device, decode)
        return AutoRuntime(chosen, _told("torch"), "the device is a GPU", again), card
    root = cache_folder()
    header = read_header(find_weights(weights))
    plugins = card_in(header).plugins
    why = "the cache is turned off (FIDUCIA_CACHE is empty)" if root is None else "no other runtime is installed"
    if plugins:
        why, root = f"its network comes from a plugin ({', '.join(plugins)}), whose code may change", None
    loaded: tuple[LandmarkModel, WeightCard] | None = None
    urgent = False
    sha256 = digest(header) if root is not None else ""
    # The digest is of the tensors; the card may be edited too.
    stated = hashlib.sha256(header.metadata["fiducia"].encode()).hexdigest()
    for kind in _candidates() if root is not None else ():
        facts = {"weights": sha256, "card": stated, "decode": decode, "runtime": kind.name, "version": _version(kind)}
        entry = open_entry(graph_key(facts), root or Path())
        if entry.sealed is None and not entry.refused:
            if loaded is None:
                loaded = _load(weights)
            try:
                _make(entry, kind, *loaded, decode)
            except OSError as error:
                why, urgent = f"the cache {root} cannot be written ({error.strerror or error}); set FIDUCIA_CACHE", True
                break
        if entry.sealed is not None:
            card = entry.sealed.card.model_copy(update={"sha256": sha256})
            if decode not in (None, card_in(header).decode):
                # It was fitted to the confidence of the card's own decoder; a graph of an older version may still have it.
                card = card.model_copy(update={"calibration": None})
            try:
                return AutoRuntime(
                    _opened(kind, entry, card_scheme(card)), _told(kind.name, entry.sealed), "", again
                ), card
            except FiduciaError as error:
                why = str(error)
                continue
        why = entry.refused
    chosen, card = _in_torch(weights, "cpu", decode, loaded)
    return AutoRuntime(chosen, _told("torch"), why, again, urgent), card


def _candidates() -> list[RuntimeKind]:
    """Return the installed runtimes that graphs can be made for here, the fastest first."""
    able = [kind for kind in (runtimes[name] for name in runtimes) if kind.auto is not None and kind.installed]
    fit = [k for k in able if k.auto is not None and all(importlib.util.find_spec(name) for name in k.auto.needs)]
    return sorted(fit, key=lambda kind: kind.auto.rank if kind.auto is not None else 0)


def _make(entry: Entry, kind: RuntimeKind, model: LandmarkModel, card: WeightCard, decode: str | None) -> None:
    """Make, check and store the graph of some weights, or the reason why there is none.

    Raises:
        OSError: the cache cannot be written.
    """
    from .prepare import prepare

    auto = kind.auto
    assert auto is not None
    entry.folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not os.access(entry.folder.parent, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    if sys.stderr is not None and sys.stderr.isatty():
        sys.stderr.write(f"fiducia: preparing {card.name} for {kind.name} on this CPU; this is done once\n")
    try:
        sealed, certificate = prepare(
            model, card, card_scheme(card), decode, auto.graphs, lambda one, scheme: auto.open(one, scheme, None)
        )
    except FiduciaError as error:
        entry.refuse(str(error))
    else:
        entry.keep(sealed, {**certificate, "runtime": kind.name, "version": _version(kind)})


def _opened(kind: RuntimeKind, entry: Entry, scheme: Scheme) -> Runtime:
    assert kind.auto is not None
    assert entry.sealed is not None
    return kind.auto.open(entry.sealed, scheme, entry.folder)


def _in_torch(
    weights: str | Path, device: str, decode: str | None, loaded: tuple[LandmarkModel, WeightCard] | None = None
) -> tuple[Runtime, WeightCard]:
    from .torch_runtime import TorchRuntime

    model, card = loaded or _load(weights)
    return TorchRuntime(model, card, card_scheme(card), device, decode), card


def _load(weights: str | Path) -> tuple[LandmarkModel, WeightCard]:
    import torch

    from ..weights.store import load_weights

    # A network is first filled with drawn numbers: the caller's own draws go on as if none had been made here.
    with torch.random.fork_rng(devices=[]):
        return load_weights(weights)


def _reopen(weights: str, device: str, decode: str | None) -> AutoRuntime:
    return open_auto(weights, device, decode)[0]


def _version(kind: RuntimeKind) -> str:
    try:
        return importlib.metadata.version(kind.package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _told(name: str, sealed: Sealed | None = None) -> str:
    """Return a runtime's name, version and precision for people."""
    package = runtimes[name].package or "torch"
    try:
        version = importlib.metadata.version(package).partition("-")[0]
    except importlib.metadata.PackageNotFoundError:
        version = ""
    return " ".join((name, version)).strip() + (f", {sealed.precision}" if sealed is not None else "")


@register("auto")
def _auto(model: LandmarkModel, card: WeightCard, scheme: Scheme, device: str, method: str | None) -> Runtime:
    """The fastest installed runtime that gives torch's points for the weights, else torch; the default."""
    # A network in memory has no file that another start would read again: it is computed as it stands.
    from .torch_runtime import TorchRuntime

    return TorchRuntime(model, card, scheme, device, method)
