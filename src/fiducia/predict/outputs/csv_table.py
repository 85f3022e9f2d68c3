"""``--format csv``: ``faces.csv``, a row a face; ``csv:FILE`` reads it back. For each video ``STEM.csv``."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path

from ...schemes.sets import Scheme
from ...video.frames import Frame
from ..streamed import write_parts
from .base import Origin, Result, Table, writers
from .frames import Clip, FrameSink, TextSink, frame_table

NAME = "faces.csv"


class CsvTable:
    """Writes one table: image, size, id, score, scheme, origin, box, then ``x0,y0,confidence0`` and so on.

    A video has a table of its own, which begins with video, frame and time.
    """

    video_suffix = ".csv"

    def reserved(self) -> tuple[str, ...]:
        """Return the table's name."""
        return (NAME,)

    def files(self, result: Result, stems: frozenset[str]) -> dict[Path, bytes]:
        """Return nothing: no file belongs to one photograph."""
        return {}

    def open_video(self, clip: Clip) -> FrameSink:
        """Return what writes the rows of a video."""
        head = _line(["video", "frame", "time", *_columns(clip.scheme, clip.origin)])

        def rows(frame: Frame) -> str:
            table = frame_table(frame, clip)
            lead = [table["video"], table["frame"], table["time"]]
            return "".join(_line([*lead, *_cells(table, row, clip.origin)]) for row in table["faces"])

        return TextSink(clip.path(".csv"), rows, head)

    def close(self, folder: Path, scheme: Scheme, origin: Origin, tables: Callable[[], Iterator[Table]]) -> None:
        """Write the table."""
        write_parts(folder / NAME, csv_lines(tables(), scheme, origin))


def csv_lines(tables: Iterator[Table], scheme: Scheme, origin: Origin) -> Iterator[str]:
    """Yield the table's text, line by line."""
    yield _line(["image", *_columns(scheme, origin)])
    for table in tables:
        for row in table["faces"]:
            yield _line([table["image"], *_cells(table, row, origin)])


def _columns(scheme: Scheme, origin: Origin) -> list[str]:
    points = [f"{axis}{i}" for i in range(scheme.num_points) for axis in ("x", "y", "confidence")]
    boxes = ["box_x1", "box_y1", "box_x2", "box_y2"]
    return ["width", "height", "id", "score", "scheme", *origin.marks(), *boxes, *points]


def _cells(table: Table, row: Table, origin: Origin) -> list[object]:
    values = [v for (x, y), c in zip(row["points"], row["confidence"], strict=True) for v in (x, y, c)]
    facts = [table["width"], table["height"], row["id"], row["score"], row["scheme"]]
    return [*facts, *origin.marks().values(), *row["box"], *values]


def _line(cells: list[object]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


writers.register("csv")(CsvTable())
