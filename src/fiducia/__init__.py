"""Facial landmarks: train, evaluate, detect and export.

``fiducia.load("fifa_tiny")("photo.jpg")`` gives the faces of a photograph. The names below are imported when they are
first used, so that ``import fiducia`` is quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from .predict.predictor import Predictor, load
    from .schemes.sets import Scheme, get_scheme
    from .structures import Detection, Face
    from .errors import FiduciaError, UsageError

__all__ = [
    "Detection",
    "Face",
    "FiduciaError",
    "Predictor",
    "Scheme",
    "UsageError",
    "__version__",
    "get_scheme",
    "load",
]

_HOMES = {
    "Detection": "structures",
    "Face": "structures",
    "FiduciaError": "structures",
    "Predictor": "predict.predictor",
    "Scheme": "schemes",
    "UsageError": "structures",
    "get_scheme": "schemes",
    "load": "predict.predictor",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'fiducia' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
