"""``--format json``: ``STEM.json`` for each photograph, ``STEM.jsonl`` for each video; ``json:FOLDER`` reads the first back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from ...schemes.sets import Scheme
from .base import Origin, Result, Table, json_bytes, result_table, writers
from .frames import Clip, FrameSink
from .json_lines import open_json_lines


class JsonFiles:
    """Writes one JSON object for each photograph (docs/detect.md), and one a line for each frame of a video."""

    video_suffix = ".jsonl"

    def reserved(self) -> tuple[str, ...]:
        """Return no name: every file belongs to one photograph."""
        return ()

    def files(self, result: Result, stems: frozenset[str]) -> dict[Path, bytes]:
        """Return the one file."""
        return {result.folder / f"{result.stem}.json": json_bytes(result_table(result))}

    def open_video(self, clip: Clip) -> FrameSink:
        """Return what writes a video's lines."""
        return open_json_lines(clip)

    def close(self, folder: Path, scheme: Scheme, origin: Origin, tables: Callable[[], Iterator[Table]]) -> None:
        """Do nothing: all files are written."""


writers.register("json")(JsonFiles())
