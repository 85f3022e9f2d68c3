"""The errors that the package raises for what a user can mend. This module imports nothing."""

from __future__ import annotations

__all__ = ["FiduciaError", "Interrupted", "PlaceLost", "UsageError"]


class FiduciaError(Exception):
    """An input that cannot be used. Its one line names the file, what was found, what was expected and the cure.

    Example:
        >>> import fiducia
        >>> try:
        ...     fiducia.load_records("300w:/no/such/directory", "train")
        ... except FiduciaError as error:
        ...     print(str(error).partition(";")[0])
        /no/such/directory: no such file or folder
    """


class UsageError(FiduciaError):
    """Wrong use: an unknown name or key, options that contradict each other. The command line exits with 2, not 1.

    Example:
        >>> import fiducia
        >>> try:
        ...     fiducia.create_model("fifa_tny")
        ... except UsageError as error:
        ...     print(error)
        model.name: no model is called 'fifa_tny'; did you mean 'fifa_tiny'?
    """


class PlaceLost(FiduciaError):
    """Nothing more can be written: the disk is full, or the directory of results is gone. What is written stays."""


class Interrupted(FiduciaError):
    """A signal ended the work after it was saved. ``status`` is the exit status: 130 for Ctrl-C, 143 for SIGTERM."""

    def __init__(self, message: str, status: int = 130) -> None:
        super().__init__(message)
        self.status = status
