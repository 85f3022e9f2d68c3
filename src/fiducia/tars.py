"""Tar files that are read at any place: written once, in order, with members whose names say where they stand.

A member is called ``OFFSET-CRC.suffix``: the byte at which the header of its sample's first member starts, and the CRC-32 of
that member's bytes. So a path such as ``faces-00000.tar/000000041472-9f3a01bc.jpg`` is read with one seek, without a table of
contents, and damage is seen. Any program for tar files reads them too (POSIX.1-1988, "ustar"). This module imports nothing heavy.
"""

from __future__ import annotations

import hashlib
import os
import re
import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from .errors import FiduciaError

__all__ = ["TarWriter", "member_name", "member_of", "read_at", "read_member"]

BLOCK = 512
_NAME = re.compile(r"(\d{12})-([0-9a-f]{8})(\.[a-z0-9]+)")
_AGAIN = "copy or download it again"


def member_name(offset: int, crc: int, suffix: str) -> str:
    """Return the name of a member: its offset, the CRC-32 of its bytes and its suffix, such as ``.jpg``."""
    return f"{offset:012d}-{crc:08x}{suffix}"


class TarWriter:
    """Writes samples to an open file.

    Args:
        file: opened for writing, at its start.

    Attributes:
        size: bytes written so far.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.size = 0

    def add(self, members: Sequence[tuple[str, bytes]]) -> str:
        """Write a sample: its members as (suffix, bytes); they share one key. Return the first member's name."""
        offset, crc = self.size, zlib.crc32(members[0][1])
        for suffix, data in members:
            info = tarfile.TarInfo(member_name(offset, crc, suffix))
            info.size = len(data)
            self._write(info.tobuf(tarfile.USTAR_FORMAT))
            self._write(data)
            self._write(bytes(-len(data) % BLOCK))
        return member_name(offset, crc, members[0][0])

    def close(self) -> str:
        """Write the end of the archive and return the SHA-256 of the whole file."""
        self._write(bytes(2 * BLOCK))
        return self._hash.hexdigest()

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._hash.update(data)
        self.size += len(data)


def member_of(path: str | os.PathLike[str]) -> tuple[Path, str] | None:
    """Split a path that leads into a tar file into the file and the member's name; None for any other path."""
    whole = Path(path)
    if _NAME.fullmatch(whole.name) and whole.parent.suffix == ".tar" and not whole.parent.is_dir():
        return whole.parent, whole.name
    return None


def read_member(tar: Path, name: str, limit: int) -> bytes:
    """Read one member by its name.

    Args:
        tar: the file.
        name: of :func:`member_name`.
        limit: a member of more bytes is refused.

    Raises:
        FiduciaError: as :func:`read_at`, or the tar file cannot be opened.
    """
    try:
        with tar.open("rb") as file:
            return read_at(file, tar, name, limit)
    except OSError as error:
        raise FiduciaError(f"{tar}: cannot be read ({error.strerror or error}); {_AGAIN}") from None


def read_at(file: BinaryIO, tar: Path, name: str, limit: int) -> bytes:
    """Read one member from an open tar file; members read in their order are read forwards.

    Raises:
        FiduciaError: the file ends too early, has no such member at its place, or has other bytes there.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        raise FiduciaError(f"{tar}: has no member {name}; expected a name such as {member_name(0, 0, '.jpg')}")
    file.seek(int(found.group(1)))
    head = file.read(BLOCK)
    if len(head) < BLOCK:
        raise _cut(tar, name)
    try:
        info = tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        raise FiduciaError(f"{tar}: is damaged where {name} should start; {_AGAIN}") from None
    if info.name != name:
        raise FiduciaError(f"{tar}: holds {info.name[:60]} where {name} should start; {_AGAIN}")
    if info.size > limit:
        raise FiduciaError(f"{tar}: its member {name} is larger than {limit / 1e6:.0f} MB; shrink it")
    data = file.read(info.size)
    if len(data) < info.size:
        raise _cut(tar, name)
    if zlib.crc32(data) != int(found.group(2), 16):
        raise FiduciaError(f"{tar}: the bytes of {name} have changed (CRC-32); {_AGAIN}")
    return data


def _cut(tar: Path, name: str) -> FiduciaError:
    return FiduciaError(f"{tar}: ends inside {name}; it was cut short; {_AGAIN}")
