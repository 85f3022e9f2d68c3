"""What a worker tells of a chunk when it is written."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["ChunkReport"]


@dataclass(frozen=True)
class ChunkReport:
    """What became of a chunk.

    Attributes:
        number: of the chunk.
        photographs: that it has.
        faces: rows of faces.
        empty: photographs without a face.
        failed: a line for each photograph that failed.
    """

    number: int
    photographs: int
    faces: int
    empty: int
    failed: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, table: dict[str, Any]) -> ChunkReport:
        """Return the report of which :meth:`to_json` made these values."""
        return cls(**{**table, "failed": tuple(table["failed"])})
