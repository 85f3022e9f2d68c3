"""``--format jsonl``: ``STEM.jsonl`` for each video, one line of JSON for each frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from ...schemes.sets import Scheme
from .base import Origin, Result, Table, writers
from .frames import Clip, FrameSink, TextSink, frame_line

__all__ = ["JsonLines", "open_json_lines"]


class JsonLines:
    """Writes JSON Lines for videos, and nothing for photographs."""

    video_suffix = ".jsonl"

    def reserved(self) -> tuple[str, ...]:
        """Return no name: every file belongs to one video."""
        return ()

    def files(self, result: Result, stems: frozenset[str]) -> dict[Path, bytes]:
        """Return nothing: a photograph is no video."""
        return {}

    def open_video(self, clip: Clip) -> FrameSink:
        """Return what writes a video's lines."""
        return open_json_lines(clip)

    def close(self, folder: Path, scheme: Scheme, origin: Origin, tables: Callable[[], Iterator[Table]]) -> None:
        """Do nothing: all files are written."""


def open_json_lines(clip: Clip) -> FrameSink:
    """Return what writes ``STEM.jsonl``."""
    return TextSink(clip.path(".jsonl"), lambda frame: frame_line(frame, clip))


writers.register("jsonl")(JsonLines())
