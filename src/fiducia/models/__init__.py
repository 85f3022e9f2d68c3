"""Networks by name. Every one takes crops in [0, 255] and keeps the contract of :mod:`fiducia.models.base`.

Example:
    >>> from fiducia.models import models
    >>> models["fifa_tiny"].size
    128
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .registry import models, register

if TYPE_CHECKING:
    from .base import LandmarkModel, Options
    from .build import build_model

__all__ = ["LandmarkModel", "Options", "build_model", "models", "register"]

_HOMES = {"LandmarkModel": "base", "Options": "base", "build_model": "build"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
