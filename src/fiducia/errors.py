"""The two errors that the package raises for a user's mistakes. This module imports nothing."""

from __future__ import annotations

__all__ = ["FiduciaError", "UsageError"]


class FiduciaError(Exception):
    """An input that cannot be used. Its one line names the file, what was found, what was expected and the cure."""


class UsageError(FiduciaError):
    """Wrong use: an unknown name or key, options that contradict each other. The command line exits with 2, not 1."""
