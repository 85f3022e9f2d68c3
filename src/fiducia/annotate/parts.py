"""The Parquet parts of a run: one pair of files a chunk, each whole or not there."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import FiduciaError
from ..files import open_output
from .schema import faces_schema, photographs_schema

__all__ = ["FACES", "PHOTOGRAPHS", "done_chunks", "part", "read_part", "remove_unfinished", "write_chunk"]

FACES, PHOTOGRAPHS = "faces", "photographs"
_NAME = re.compile(r"part-(\d{6,})\.parquet")
_ROWS = 5000
"""Rows of faces that are held in memory, at most, while a part is written."""


def part(out: Path, table: str, number: int) -> Path:
    """Return the place of a chunk's part of a table."""
    return out / table / f"part-{number:06d}.parquet"


def done_chunks(out: Path) -> set[int]:
    """Return the numbers of the chunks that are written: their row of photographs is written last."""
    with contextlib.suppress(FileNotFoundError):
        return {int(m.group(1)) for path in (out / PHOTOGRAPHS).iterdir() if (m := _NAME.fullmatch(path.name))}
    return set()


def write_chunk(out: Path, number: int, faces: Iterable[dict[str, Any]], photographs: Iterator[dict[str, Any]]) -> None:
    """Write a chunk's faces, then its photographs. Only then it counts as done.

    Args:
        out: folder of the results.
        number: of the chunk.
        faces: the rows of faces; they are taken as they come and need not fit into memory.
        photographs: the rows of photographs; asked for when all faces are written.

    Raises:
        PlaceLost: the disk is full, or the folder can no longer be written.
    """
    _write(part(out, FACES, number), faces, faces_schema())
    _write(part(out, PHOTOGRAPHS, number), photographs, photographs_schema())


def _write(path: Path, rows: Iterable[dict[str, Any]], schema: Any) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with open_output(path) as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        waiting: list[dict[str, Any]] = []
        for row in rows:
            waiting.append(row)
            if len(waiting) >= _ROWS:
                writer.write_table(pa.Table.from_pylist(waiting, schema))
                waiting = []
        writer.write_table(pa.Table.from_pylist(waiting, schema))


def read_part(out: Path, table: str, number: int, columns: Sequence[str] | None = None) -> Any:
    """Return a chunk's part as an Arrow table.

    Raises:
        FiduciaError: it is missing or damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = part(out, table, number)
    try:
        with path.open("rb") as file:
            return pq.read_table(file, columns=list(columns) if columns is not None else None)
    except (OSError, pa.ArrowException) as error:
        text = " ".join(str(error).split())[:200]
        raise FiduciaError(
            f"{path}: cannot be read ({text}); remove part {number:06d} of both tables and go on"
        ) from None


def remove_unfinished(out: Path) -> None:
    """Remove what a killed run left half written. For the run that holds the folder's lock, while no worker runs."""
    for table in (FACES, PHOTOGRAPHS):
        for path in (out / table).glob(".fiducia-*.tmp"):
            path.unlink(missing_ok=True)
