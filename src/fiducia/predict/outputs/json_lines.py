"""``--format jsonl``: ``faces.jsonl``, a line for each photograph as soon as it is done; ``jsonl:FILE`` reads it back.

Each video has a file of its own, ``STEM.jsonl``, with a line for each frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from ...schemes.sets import Scheme
from .base import Origin, Result, Table, json_bytes, writers
from .frames import Clip, FrameSink, TextSink, frame_table

_JOURNAL = ("input", "stem")
"""Keys that the journal adds to an object for itself."""


class JsonLines:
    """Writes the objects of ``--format json`` into one file, one a line. A run that goes on goes on with the file."""

    stream = "faces.jsonl"
    video_suffix = ".jsonl"

    def reserved(self) -> tuple[str, ...]:
        """Return the file's name."""
        return (self.stream,)

    def files(self, result: Result, stems: frozenset[str]) -> dict[Path, bytes]:
        """Return nothing: no file belongs to one photograph."""
        return {}

    def line(self, table: Table) -> bytes:
        """Return the photograph's object on a line."""
        return json_bytes({key: value for key, value in table.items() if key not in _JOURNAL})

    def open_video(self, clip: Clip) -> FrameSink:
        """Return what writes a video's lines."""
        return open_json_lines(clip)

    def close(self, folder: Path, scheme: Scheme, origin: Origin, tables: Callable[[], Iterator[Table]]) -> None:
        """Do nothing: all lines are written."""


def open_json_lines(clip: Clip) -> FrameSink:
    """Return what writes ``STEM.jsonl``."""
    return TextSink(clip.path(".jsonl"), lambda frame: json_bytes(frame_table(frame, clip)).decode())


writers.register("jsonl")(JsonLines())
