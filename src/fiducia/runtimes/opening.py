"""Weights or an exported file → what computes its points. Importing this module imports no torch."""

from __future__ import annotations

from pathlib import Path

from ..errors import UsageError
from ..exporting.sealed import is_export, read_sealed
from ..structures import Runtime
from ..weights.card import WeightCard, card_scheme
from .auto import describe, open_auto
from .registry import RuntimeKind, get_runtime, runtimes

__all__ = ["computed_by", "open_runtime", "read_card"]


def read_card(weights: str | Path) -> WeightCard:
    """Return the card of weights, or of a file that ``fiducia export`` wrote.

    Raises:
        UsageError: no such weights.
        FiduciaError: a damaged or foreign file.
    """
    if is_export(weights):
        return read_sealed(_export_file(weights)).card
    from ..weights import store

    return store.read_card(weights)


def open_runtime(
    weights: str | Path, name: str, device: str = "cpu", *, decode: str | None = None
) -> tuple[Runtime, WeightCard]:
    """Return what computes the points of some weights, and their card.

    Args:
        weights: named as in :func:`fiducia.weights.store.find_weights`, or an exported file, which alone is enough.
        name: a registered runtime. ``auto`` chooses, see :func:`fiducia.runtimes.auto.open_auto`. ``onnx`` and ``openvino``
            take weights too: they are exported in memory first, which takes ten seconds.
        device: for torch; the others compute on the CPU.
        decode: another decoder than the card's.

    Raises:
        UsageError: unknown names, a decoder that the network does not have, or an export in a runtime that cannot read it.
        FiduciaError: a damaged or foreign file.
    """
    kind = get_runtime(name)
    if not is_export(weights):
        if name == "auto":
            return open_auto(weights, device, decode)
        from ..weights.store import load_weights

        model, card = load_weights(weights)
        return kind.build(model, card, card_scheme(card), device, decode), card
    path = _export_file(weights)
    suffix = path.suffix.lower()
    if name == "auto":
        kind = _reader(suffix)
    if kind.read is None or suffix not in kind.suffixes:
        able = next((one for one in runtimes if suffix in runtimes[one].suffixes), "none")
        raise UsageError(f"{path}: an exported graph, which --runtime {name} cannot read; use --runtime {able}")
    if decode is not None:
        raise UsageError(f"--decode {decode}: {path} has its decoder built in; give the weights it was exported from")
    sealed = read_sealed(path)
    return kind.read(sealed, card_scheme(sealed.card)), sealed.card


def computed_by(weights: str | Path, name: str, device: str = "cpu", *, decode: str | None = None) -> str:
    """Return a runtime's word for a protocol; for ``auto``, what it chooses here for these weights."""
    return name if name != "auto" else describe(open_runtime(weights, name, device, decode=decode)[0])[0]


def _reader(suffix: str) -> RuntimeKind:
    """Return the fastest installed runtime that reads an exported file.

    Raises:
        UsageError: none is installed.
    """
    able = [kind for kind in (runtimes[name] for name in runtimes) if suffix in kind.suffixes]
    ready = [kind for kind in able if kind.installed] or able
    return get_runtime(min(ready, key=lambda kind: kind.auto.rank if kind.auto is not None else 99).name)


def _export_file(weights: str | Path) -> Path:
    path = Path(weights)
    if not path.is_file():
        raise UsageError(f"{path}: there is no such file")
    return path
