"""``--format csv``: ``faces.csv``, a row a face; ``csv:FILE`` reads it back. For each video ``STEM.csv``."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ...faces.plain import flat_measures
from ...measures.table import MEASURES
from ...schemes.sets import Scheme
from ...video.frames import Frame
from ..streamed import write_parts
from .base import Origin, Result, Table, writers
from .frames import Clip, FrameSink, TextSink, frame_table

NAME = "faces.csv"


class CsvTable:
    """Writes one table: image, size, id, score, quality, scheme, origin, box, measures, then ``x0,y0,confidence0`` and so on.

    The quality is empty for weights without a calibration. A video has a table of its own, which begins with video, frame and time.
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
        measures = MEASURES if clip.measures else ()
        head = _line(["video", "frame", "time", *_columns(clip.scheme, clip.origin, measures)])

        def rows(frame: Frame) -> str:
            table = frame_table(frame, clip)
            lead = [table["video"], table["frame"], table["time"]]
            return "".join(_line([*lead, *_cells(table, row, clip.origin, measures)]) for row in table["faces"])

        return TextSink(clip.path(".csv"), rows, head)

    def close(self, folder: Path, scheme: Scheme, origin: Origin, tables: Callable[[], Iterator[Table]]) -> None:
        """Write the table."""
        measured = any("measures" in face for table in tables() for face in table["faces"])
        write_parts(folder / NAME, csv_lines(tables(), scheme, origin, MEASURES if measured else ()))


def csv_lines(tables: Iterator[Table], scheme: Scheme, origin: Origin, measures: Sequence[str] = ()) -> Iterator[str]:
    """Yield the table's text, line by line; ``measures`` are columns, empty where a face has no such measure."""
    yield _line(["image", *_columns(scheme, origin, measures)])
    for table in tables:
        for row in table["faces"]:
            yield _line([table["image"], *_cells(table, row, origin, measures)])


def _columns(scheme: Scheme, origin: Origin, measures: Sequence[str]) -> list[str]:
    points = [f"{axis}{i}" for i in range(scheme.num_points) for axis in ("x", "y", "confidence")]
    boxes = ["box_x1", "box_y1", "box_x2", "box_y2"]
    return ["width", "height", "id", "score", "quality", "scheme", *origin.marks(), *boxes, *measures, *points]


def _cells(table: Table, row: Table, origin: Origin, measures: Sequence[str]) -> list[object]:
    values = [v for (x, y), c in zip(row["points"], row["confidence"], strict=True) for v in (x, y, c)]
    facts = [table["width"], table["height"], row["id"], row["score"], row.get("quality", ""), row["scheme"]]
    found = flat_measures(row.get("measures", {}))
    return [*facts, *origin.marks().values(), *row["box"], *(found.get(name, "") for name in measures), *values]


def _line(cells: list[object]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


writers.register("csv")(CsvTable())
