"""``--format csv``: ``faces.csv``, a row a face; ``csv:FILE`` reads it back."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ...faces.plain import flat_measures
from ...measures.table import MEASURES
from ...schemes.sets import Scheme
from ..streamed import write_parts
from .base import Origin, Result, Table, writers

NAME = "faces.csv"


class CsvTable:
    """Writes one table: image, size, id, score, scheme, origin, box, measures, then ``x0,y0,confidence0`` and so on."""

    def reserved(self) -> tuple[str, ...]:
        """Return the table's name."""
        return (NAME,)

    def files(self, result: Result, stems: frozenset[str]) -> dict[Path, bytes]:
        """Return nothing: no file belongs to one photograph."""
        return {}

    def close(self, folder: Path, scheme: Scheme, origin: Origin, tables: Callable[[], Iterator[Table]]) -> None:
        """Write the table."""
        measured = any("measures" in face for table in tables() for face in table["faces"])
        write_parts(folder / NAME, csv_lines(tables(), scheme, origin, MEASURES if measured else ()))


def csv_lines(tables: Iterator[Table], scheme: Scheme, origin: Origin, measures: Sequence[str] = ()) -> Iterator[str]:
    """Yield the table's text, line by line; ``measures`` are columns, empty where a face has no such measure."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")

    def line(cells: list[object]) -> str:
        text.seek(0)
        text.truncate()
        writer.writerow(cells)
        return text.getvalue()

    points = [f"{axis}{i}" for i in range(scheme.num_points) for axis in ("x", "y", "confidence")]
    boxes = ["box_x1", "box_y1", "box_x2", "box_y2"]
    made = origin.marks()
    yield line(["image", "width", "height", "id", "score", "scheme", *made, *boxes, *measures, *points])
    for table in tables:
        for row in table["faces"]:
            values = [v for (x, y), c in zip(row["points"], row["confidence"], strict=True) for v in (x, y, c)]
            facts = [table["image"], table["width"], table["height"], row["id"], row["score"], row["scheme"]]
            found = flat_measures(row.get("measures", {}))
            yield line([*facts, *made.values(), *row["box"], *(found.get(name, "") for name in measures), *values])


writers.register("csv")(CsvTable())
