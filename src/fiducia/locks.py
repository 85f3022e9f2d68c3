"""Folders and files that one process has for itself. The system lets go of a lock when its process ends, however it ends."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from .errors import FiduciaError, UsageError

__all__ = ["held", "take"]

_LOCK = ".lock"


@contextlib.contextmanager
def held(folder: Path, who: str) -> Iterator[None]:
    """Hold an output directory for one run; it is made where it is missing. A killed run leaves no lock.

    Args:
        folder: the directory; the lock is its file ``.lock``.
        who: what another process is told, such as ``fiducia train``.

    Raises:
        FiduciaError: another process writes into it.
        UsageError: it cannot be a directory.
    """
    path = folder / _LOCK
    file = _open(folder)
    try:
        while True:
            if not take(file):
                other = os.read(file, 200).decode(errors="replace").strip() or "another process"
                raise FiduciaError(f"--out {folder}: {other} is writing into it; wait until it ends, or choose another")
            if path.exists() and os.path.samestat(path.stat(), os.fstat(file)):
                break
            # The run before ended, and took the file away, between the opening of it and the taking of its lock.
            os.close(file)
            file = _open(folder)
        os.ftruncate(file, 0)
        os.write(file, f"{who} (process {os.getpid()} on {socket.gethostname()})\n".encode())
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                path.unlink()
    finally:
        os.close(file)


def _open(folder: Path) -> int:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise UsageError(f"--out {folder}: cannot be written into ({error.strerror}); choose another") from None


def take(file: int) -> bool:
    """Take the lock of an open file, by its number; False where another process has it.

    Where the system or the file system has no such locks, everybody gets it.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
