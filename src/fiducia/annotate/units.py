"""What is annotated, one by one: a photograph or a video, wherever its bytes lie; and the chunks that are worked off."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from typing import Any

__all__ = ["FAULT", "FILE", "MEMBER", "ROW", "VIDEO", "Chunk", "Unit", "chunk_size", "cut", "digest"]

FILE, MEMBER, ROW, VIDEO, FAULT = "file", "member", "row", "video", "fault"
"""Kinds of a unit: an image file, a member of a tar shard, a row of a Parquet file, a video, and what cannot be used."""

_MOST_CHUNKS = 4096
_SMALLEST, _LARGEST = 64, 1024


@dataclass(frozen=True, slots=True)
class Unit:
    """A photograph or a video.

    Attributes:
        id: what results call it: a path, ``SHARD.tar/MEMBER`` or ``FILE.parquet:ROW``.
        kind: one of the kinds above.
        path: absolute path of the file that holds it.
        start: where it begins: the byte in a shard (after unpacking), the row in a Parquet file.
        size: its bytes in a shard; of a file or a Parquet file, the bytes of the whole file.
        error: of a fault, why it cannot be used.
    """

    id: str
    kind: str
    path: str
    start: int = 0
    size: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Units that are worked off together and written as one part.

    Attributes:
        number: from 0, which names its files.
        first: position of its first unit among all.
        units: in their order.
    """

    number: int
    first: int
    units: tuple[Unit, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain values, for a worker in another process."""
        return {"number": self.number, "first": self.first, "units": [astuple(unit) for unit in self.units]}

    @classmethod
    def from_json(cls, table: dict[str, Any]) -> Chunk:
        """Return the chunk of which :meth:`to_json` made these values."""
        return cls(int(table["number"]), int(table["first"]), tuple(Unit(*unit) for unit in table["units"]))


def chunk_size(count: int) -> int:
    """Return how many photographs make a chunk: 64 of few; more where there would be over 4,096 chunks, up to 1,024."""
    return min(_LARGEST, max(_SMALLEST, -(-count // _MOST_CHUNKS)))


def cut(units: Sequence[Unit], size: int) -> list[Chunk]:
    """Cut units into chunks of ``size`` photographs; a video is a chunk of its own."""
    return [Chunk(number, first, part) for number, (first, part) in enumerate(_runs(units, size))]


def _runs(units: Sequence[Unit], size: int) -> Iterator[tuple[int, tuple[Unit, ...]]]:
    start = 0
    while start < len(units):
        end = start + 1
        if units[start].kind != VIDEO:
            while end < min(start + size, len(units)) and units[end].kind != VIDEO:
                end += 1
        yield start, tuple(units[start:end])
        start = end


def digest(units: Iterable[Unit]) -> str:
    """Return a digest of what the photographs are called, where they begin and their bytes, in their order."""
    found = hashlib.sha256()
    for unit in units:
        found.update(f"{unit.id}\0{unit.kind}\0{unit.start}\0{unit.size}\n".encode("utf-8", "surrogateescape"))
    return found.hexdigest()
