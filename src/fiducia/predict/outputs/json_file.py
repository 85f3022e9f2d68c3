"""``--format json``: ``STEM.json`` for each photograph; ``json:FOLDER`` reads them back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from ...schemes.sets import Scheme
from .base import Origin, Result, Table, json_bytes, result_table, writers


class JsonFiles:
    """Writes one JSON object for each photograph (docs/detect.md)."""

    def reserved(self) -> tuple[str, ...]:
        """Return no name: every file belongs to one photograph."""
        return ()

    def files(self, result: Result, stems: frozenset[str]) -> dict[Path, bytes]:
        """Return the one file."""
        return {result.folder / f"{result.stem}.json": json_bytes(result_table(result))}

    def close(self, folder: Path, scheme: Scheme, origin: Origin, tables: Callable[[], Iterator[Table]]) -> None:
        """Do nothing: all files are written."""


writers.register("json")(JsonFiles())
