"""Facial landmarks: train, evaluate, detect and export."""

from ._version import __version__

__all__ = ["__version__"]
