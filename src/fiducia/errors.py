"""The errors that the package raises for what a user can mend. This module imports nothing."""

from __future__ import annotations

__all__ = ["FiduciaError", "Interrupted", "UsageError"]


class FiduciaError(Exception):
    """An input that cannot be used. Its one line names the file, what was found, what was expected and the cure."""


class UsageError(FiduciaError):
    """Wrong use: an unknown name or key, options that contradict each other. The command line exits with 2, not 1."""


class Interrupted(FiduciaError):
    """A signal ended the work after it was saved. ``status`` is the exit status: 130 for Ctrl-C, 143 for SIGTERM."""

    def __init__(self, message: str, status: int = 130) -> None:
        super().__init__(message)
        self.status = status
