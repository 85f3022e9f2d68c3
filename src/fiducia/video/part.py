"""A file that grows while a video runs, and gets its name at the end."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import BinaryIO

from ..errors import FiduciaError, PlaceLost

__all__ = ["PartFile"]

_FULL = frozenset(getattr(errno, name) for name in ("ENOSPC", "EDQUOT") if hasattr(errno, name))
"""Errors of a disk, or of a user's share of it, that has no room; the next file will meet them too."""


class PartFile:
    """Writes ``STEM.part.mp4`` and renames it to ``STEM.mp4`` when it is kept.

    The name tells what an unfinished file is if the process is killed. :meth:`keep` also serves a video that was
    stopped: what is written up to there is whole.

    Args:
        path: the final name.

    Raises:
        FiduciaError: it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.part = path.with_name(f"{path.stem}.part{path.suffix}")
        try:
            self.file: BinaryIO = self.part.open("wb")
        except OSError as error:
            raise self.error(error) from None

    def write(self, data: bytes) -> None:
        """Write bytes.

        Raises:
            FiduciaError: the disk is full.
        """
        try:
            self.file.write(data)
            self.file.flush()
        except OSError as error:
            raise self.error(error) from None

    def keep(self) -> Path:
        """Close the file and give it its name.

        Raises:
            FiduciaError: the disk is full; the file is removed.
        """
        try:
            self.file.flush()
            os.fsync(self.file.fileno())
            self.file.close()
            self.part.replace(self.path)
        except OSError as error:
            self.drop()
            raise self.error(error) from None
        return self.path

    def drop(self) -> None:
        """Close and remove the file."""
        with contextlib.suppress(OSError):
            self.file.close()
        with contextlib.suppress(OSError):
            self.part.unlink()

    def error(self, error: OSError) -> FiduciaError:
        """Return one line for what went wrong while writing; on a full disk nothing else can be written either."""
        reason = error.strerror or str(error)
        if error.errno in _FULL:
            return PlaceLost(f"{self.path}: cannot be written ({reason}); make room")
        return FiduciaError(f"{self.path}: cannot be written ({reason}); choose another place")
