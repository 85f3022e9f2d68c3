"""Writing files whole or not at all. This module imports nothing heavy."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from .errors import FiduciaError, UsageError

__all__ = ["require_writable", "write_atomic"]


def write_atomic(path: str | Path, data: bytes) -> None:
    """Write a file beside its place first, then rename it into place. Missing directories are made.

    Raises:
        FiduciaError: the place cannot be written.
    """
    path = Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with beside.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise FiduciaError(f"{path}: cannot be written ({error.strerror or error}); choose another place") from None


def require_writable(path: str | Path) -> None:
    """Refuse a place where nothing can be written, before the work whose result should stand there; nothing is made yet.

    Raises:
        UsageError: its nearest directory is a file or may not be written into.
    """
    whole = Path(path).absolute()
    if whole.exists() and not os.access(whole, os.W_OK):
        raise UsageError(f"{path}: cannot be written; choose another place")
    nearest = next(folder for folder in whole.parents if folder.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        what = "cannot be written into" if nearest.is_dir() else "is a file"
        raise UsageError(f"{path}: nothing can be written there ({nearest} {what}); choose another place")
