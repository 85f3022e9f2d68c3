"""Losses by name: of heatmaps, of coordinates, and of the similarity of two views (DCCA and Table 6's alternatives).

Example:
    >>> from fiducia.losses import losses
    >>> losses["focal_bce"].needs, losses["focal_bce"].options()["gamma"]
    (('logits',), 2.0)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .registry import losses, register

if TYPE_CHECKING:
    from .base import LossContext, Term
    from .objective import Objective
    from .targets import Targets

__all__ = ["LossContext", "Objective", "Targets", "Term", "losses", "register"]

_HOMES = {"LossContext": "base", "Term": "base", "Objective": "objective", "Targets": "targets"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
