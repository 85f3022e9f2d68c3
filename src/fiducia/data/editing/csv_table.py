"""A CSV table, changed in place: cells of one row."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from ...errors import FiduciaError
from ..formats.csv_table import csv_faces, point_columns
from ..source import existing_root
from ..tables import Table, find_separator, read_table
from .base import Change, LabelledFace, Labels, Patch, Read, label_editors, parsed_faces, parsed_labels
from .spans import Text

__all__ = ["CsvEditor"]

_WHAT = "a CSV file with the columns image, x0, y0, …"
_END = re.compile(r"\r\n|\n|\r|$")
Span = tuple[int, int]


class CsvEditor:
    """Changes cells of a table. An absent point has empty cells, and the code 0 where the table has visibility."""

    def faces(self, root: str, split: str, scheme: str | None) -> list[LabelledFace]:
        """Return the rows. Without a column for visibility a point is visible or absent."""
        path = existing_root("csv", root, _WHAT)
        table = read_table(path, _WHAT)
        coded = any(name in table.places for _, _, name in point_columns(table)[1])
        codes = (0, 1, 2) if coded else (0, 2)
        return parsed_faces(path, csv_faces, split, scheme, lambda index: codes)

    def patches(self, face: LabelledFace, changes: Mapping[int, Change], read: Read) -> list[Patch]:
        """Return the cells that change."""
        file = Text(face.path, read(face.path))
        table = read_table(face.path, _WHAT)
        _, columns = point_columns(table)
        row = _row(file.text, face.index)
        for k, (x, y, code) in changes.items():
            names = columns[face.order[k]]
            for name, value in zip(names[:2], (x, y), strict=True):
                start, end = _cell(table, row, name, file)
                if code:
                    file.replace_number(start, end, value)
                else:
                    file.replace(start, end, "")
            if names[2] in table.places:
                start, end = _cell(table, row, names[2], file)
                empty = not file.text[start:end]
                if code == 1 or not empty:
                    _code(file, start, end, code)
            elif code == 1:
                raise FiduciaError(
                    f"{face.path}: has no column {names[2]}, so a point cannot be occluded; add the column"
                )
        return file.patches()

    def read_back(self, face: LabelledFace, path: Path) -> Labels:
        """Return the labels of all rows."""
        return parsed_labels(path, csv_faces, face.scheme)


def _code(file: Text, start: int, end: int, code: int) -> None:
    if not file.text[start:end] or float(file.text[start:end]) != code:
        file.replace(start, end, str(code))


def _cell(table: Table, row: list[Span], name: str, file: Text) -> Span:
    """Return where the words of a cell stand, without the blanks around them."""
    start, end = row[table.places[name]]
    words = file.text[start:end]
    if not words.strip():
        return start, end
    return start + len(words) - len(words.lstrip()), end - len(words) + len(words.rstrip())


def _row(text: str, index: int) -> list[Span]:
    """Return the cells of a row, counted as :func:`fiducia.data.tables.read_table` counts them."""
    first, line, _ = text.partition("\n")
    skipped = first.strip("\r\n ").lower() in {"sep=,", "sep=;", "sep=\t"}
    separator = first.strip("\r\n ")[-1] if skipped else find_separator(first)
    begin = len(first) + len(line) if skipped else 0
    rows = _rows(text, begin, separator)
    next(rows)  # the header
    filled = (row for row in rows if any(text[start:end].strip() for start, end in row))
    for number, row in enumerate(filled):
        if number == index:
            return row
    raise FiduciaError(f"row {index + 1} is not in the table any more; start again")


def _rows(text: str, at: int, separator: str) -> Iterator[list[Span]]:
    """Yield the cells of each row; of a quoted cell, what stands between the quotes."""
    field = re.compile(rf"[^{re.escape(separator)}\r\n]*")
    while at < len(text):
        row: list[Span] = []
        while True:
            if text.startswith('"', at):
                end = at + 1
                while text[end] != '"' or text.startswith('""', end):
                    end += 2 if text[end] == '"' else 1
                row.append((at + 1, end))
                at = end + 1
            else:
                match = field.match(text, at)
                assert match is not None
                row.append(match.span())
                at = match.end()
            if not text.startswith(separator, at):
                break
            at += len(separator)
        line = _END.search(text, at)
        assert line is not None
        yield row
        at = line.end()
        if line.start() == line.end() == len(text):
            return


label_editors.add("csv", CsvEditor())
