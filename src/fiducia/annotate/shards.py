"""Tar shards as WebDataset writes them: which members are photographs, and where their bytes lie."""

from __future__ import annotations

import bz2
import gzip
import lzma
import posixpath
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO, Any

from ..errors import FiduciaError
from ..predict.inputs import SUFFIXES as PHOTOS
from .units import FAULT, MEMBER, Unit

__all__ = ["SUFFIXES", "ShardFile", "is_shard", "members"]

SUFFIXES = frozenset({".tar", ".tgz", ".gz"})
"""Endings of shards; of ``.gz`` only ``.tar.gz``."""
_OPEN: tuple[tuple[bytes, Any], ...] = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\0", lzma.open))
_FAULTS = (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError, ValueError)


def is_shard(source: str) -> bool:
    """Whether a file is a tar shard, by its name."""
    name = source.lower()
    return name.endswith((".tar", ".tar.gz", ".tgz"))


def members(shown: str, path: str) -> list[Unit]:
    """Return the photographs of a shard, from its headers alone, and a fault where it cannot be read (any further).

    A link to a photograph of the same shard is a photograph too; GNU tar writes one for a file that it meets twice. Hidden files
    are left out, as in directories.

    Args:
        shown: the shard as results name it.
        path: where it is.
    """
    units: list[Unit] = []
    seen: dict[str, int] = {}
    places: dict[str, tuple[int, int]] = {}
    try:
        with _opened(path) as file, tarfile.open(fileobj=file, mode="r:") as tar:
            for member in tar:
                own = PurePosixPath(member.name)
                if own.suffix.lower() not in PHOTOS or own.name.startswith(".") or member.isdir():
                    continue
                if member.isreg() and not member.issparse():
                    places[posixpath.normpath(member.name)] = member.offset_data, member.size
                seen[member.name] = again = seen.get(member.name, 0) + 1
                name = f"{shown}/{member.name}" + (f"~{again}" if again > 1 else "")
                place = places.get(_target(member))
                if place is None:
                    text = (
                        f"{name}: no file of its own in the shard, and no link to one before it; pack it with its bytes"
                    )
                    units.append(Unit(name, FAULT, path, error=text))
                else:
                    units.append(Unit(name, MEMBER, path, *place))
    except _FAULTS as error:
        text = f"{shown}: a shard that cannot be read after {len(units)} photographs ({_plain(error)}); copy it again"
        return [*units, Unit(shown, FAULT, path, error=text)]
    if not units:
        text = f"{shown}: a shard without photographs; expected members such as .jpg or .png"
        return [Unit(shown, FAULT, path, error=text)]
    return units


def _target(member: tarfile.TarInfo) -> str:
    """Return the name of the member that holds a member's bytes: its own, or what it links to."""
    if member.islnk():
        return posixpath.normpath(member.linkname)
    if member.issym():
        return posixpath.normpath(posixpath.join(posixpath.dirname(member.name), member.linkname))
    return posixpath.normpath(member.name)


class ShardFile:
    """A shard that is open for reading. Reading forwards is quick; in a packed shard, backwards begins anew.

    Args:
        path: of the shard.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._file: IO[bytes] | None = None

    def read(self, unit: Unit) -> bytes:
        """Return the bytes of a photograph.

        Raises:
            FiduciaError: the shard cannot be read, or ends too early.
        """
        try:
            self._file = self._file or _opened(self.path)
            self._file.seek(unit.start)
            data = self._file.read(unit.size)
        except _FAULTS as error:
            self.close()
            raise FiduciaError(f"{unit.id}: its shard cannot be read ({_plain(error)}); copy it again") from None
        if len(data) < unit.size:
            raise FiduciaError(f"{unit.id}: its shard ends after {len(data)} of {unit.size} bytes; copy it again")
        return data

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _opened(path: str) -> IO[bytes]:
    file = Path(path).open("rb")  # noqa: SIM115 (closed by the caller)
    head = file.read(6)
    file.seek(0)
    for magic, unpack in _OPEN:
        if head.startswith(magic):
            file.close()
            opened: IO[bytes] = unpack(path, "rb")
            return opened
    return file


def _plain(error: BaseException) -> str:
    return getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
