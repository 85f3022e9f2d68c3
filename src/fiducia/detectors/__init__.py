"""Where the faces are: detectors by name, and boxes that a user gives.

Example:
    >>> import numpy as np
    >>> from fiducia.detectors import get_detector
    >>> [found.box.tolist() for found in get_detector("whole")(np.zeros((120, 160, 3), np.uint8))]
    [[-0.5, -0.5, 159.5, 119.5]]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .registry import detectors, get_detector

__all__ = ["detectors", "get_detector", "register"]


def register(name: str) -> Any:
    """Return a decorator that registers a detector's builder, a function of the text after the colon in ``NAME:TEXT``."""
    from .registry import detectors

    return detectors.register(name)


def __getattr__(name: str) -> Any:
    if name not in ("detectors", "get_detector"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import registry

    return getattr(registry, name)
