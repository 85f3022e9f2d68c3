"""``--format jsonl``: ``faces.jsonl``, a line for each photograph as soon as it is done; ``jsonl:FILE`` reads it back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from ...schemes.sets import Scheme
from .base import Origin, Result, Table, json_bytes, writers

KEYS = ("image", "width", "height", "faces", "source", "weights", "weights_sha256")


class JsonLines:
    """Writes the objects of ``--format json`` into one file, one a line. A run that goes on goes on with the file."""

    stream = "faces.jsonl"

    def reserved(self) -> tuple[str, ...]:
        """Return the file's name."""
        return (self.stream,)

    def files(self, result: Result, stems: frozenset[str]) -> dict[Path, bytes]:
        """Return nothing: no file belongs to one photograph."""
        return {}

    def line(self, table: Table) -> bytes:
        """Return the photograph's object on a line."""
        return json_bytes({key: table[key] for key in KEYS})

    def close(self, folder: Path, scheme: Scheme, origin: Origin, tables: Callable[[], Iterator[Table]]) -> None:
        """Do nothing: all lines are written."""


writers.register("jsonl")(JsonLines())
