"""Weights or an exported file → what computes its points."""

from __future__ import annotations

from pathlib import Path

import torch

from ..errors import UsageError
from ..exporting.sealed import is_export, read_sealed
from ..structures import Runtime
from ..weights import store
from ..weights.card import WeightCard, card_scheme
from ..weights.store import load_weights
from .registry import get_runtime, runtimes

__all__ = ["open_runtime", "read_card"]


def read_card(weights: str | Path) -> WeightCard:
    """Return the card of weights, or of a file that ``fiducia export`` wrote.

    Raises:
        UsageError: no such weights.
        FiduciaError: a damaged or foreign file.
    """
    return read_sealed(_export_file(weights)).card if is_export(weights) else store.read_card(weights)


def open_runtime(
    weights: str | Path, name: str, device: str = "cpu", *, decode: str | None = None
) -> tuple[Runtime, WeightCard]:
    """Return what computes the points of some weights, and their card.

    Args:
        weights: named as in :func:`fiducia.weights.store.find_weights`, or an exported file, which alone is enough.
        name: a registered runtime. ``onnx`` and ``openvino`` take weights too: they are exported in memory first, which
            takes seconds.
        device: for torch; the others compute on the CPU.
        decode: another decoder than the card's.

    Raises:
        UsageError: unknown names, a decoder that the network does not have, or an export in a runtime that cannot read it.
        FiduciaError: a damaged or foreign file.
    """
    kind = get_runtime(name)
    if not is_export(weights):
        # A network is first filled with drawn numbers: the caller's own draws go on as if none had been made here.
        with torch.random.fork_rng(devices=[]):
            model, card = load_weights(weights)
        return kind.build(model, card, card_scheme(card), device, decode), card
    path = _export_file(weights)
    suffix = path.suffix.lower()
    if kind.read is None or suffix not in kind.suffixes:
        able = next((one for one in runtimes if suffix in runtimes[one].suffixes), "none")
        raise UsageError(f"{path}: an exported graph, which --runtime {name} cannot read; use --runtime {able}")
    if decode is not None:
        raise UsageError(f"--decode {decode}: {path} has its decoder built in; give the weights it was exported from")
    sealed = read_sealed(path)
    return kind.read(sealed, card_scheme(sealed.card)), sealed.card


def _export_file(weights: str | Path) -> Path:
    path = Path(weights)
    if not path.is_file():
        raise UsageError(f"{path}: there is no such file")
    return path
