"""CSV tables of other people: the separator is found, and every oddity is an error with its line."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..text import read_text
from .kinds import LabelError

__all__ = ["Row", "Table", "find_separator", "read_table"]

_SEPARATORS = ",;\t"


@dataclass(frozen=True)
class Row:
    """One line of a table: its number in the file, and its cells by column."""

    line: int
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        origin: the file, for errors.
        header: the columns' names, each once, without blanks around them.
        rows: the lines that are not empty.
        separator: what stands between the cells.
    """

    origin: str
    header: tuple[str, ...]
    rows: tuple[Row, ...]
    separator: str

    @cached_property
    def places(self) -> dict[str, int]:
        """Column → its place in every row."""
        return {name: i for i, name in enumerate(self.header)}

    def cell(self, row: Row, column: str) -> str:
        """Return a cell's text.

        Raises:
            LabelError: the line ends before it.
        """
        at = self.places[column]
        if at >= len(row.cells):
            raise LabelError(
                "form",
                f"{self.origin}: line {row.line}: is cut short before column {column}; expected a cell for each column",
            )
        return row.cells[at]

    def whole(self, row: Row) -> None:
        """Refuse a line with more cells than there are columns.

        Raises:
            LabelError: as said.
        """
        if len(row.cells) > len(self.header) and any(cell.strip() for cell in row.cells[len(self.header) :]):
            what = "is a comma unquoted, or do numbers have decimal commas?" if self.separator == "," else "correct it"
            raise LabelError(
                "form", f"{self.origin}: line {row.line}: more cells than the {len(self.header)} columns; {what}"
            )


def read_table(path: Path, what: str) -> Table:
    """Read a table whose first line names the columns; commas, semicolons or tabs stand between the cells.

    Args:
        path: the file.
        what: what it should be, for errors.

    Raises:
        FiduciaError: not readable as text.
        LabelError: a quote that is not closed, a field without end, a column named twice or not at all.
    """
    text = read_text(path, what)
    first, _, rest = text.partition("\n")
    if first.strip("\r\n ").lower() in {f"sep={mark}" for mark in _SEPARATORS}:
        # Spreadsheets write such a line above the header.
        separator, text, skipped = first.strip("\r\n ")[-1], rest, 1
    else:
        separator, skipped = find_separator(first), 0
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        rows = [Row(reader.line_num + skipped, tuple(row)) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise LabelError("file", f"{path}: line {reader.line_num + skipped}: {error}; expected {what}") from None
    while header and not header[-1]:
        header.pop()
    for number, name in enumerate(header, start=1):
        if not name and any(len(row.cells) >= number and row.cells[number - 1].strip() for row in rows):
            raise LabelError("form", f"{path}: column {number} has no name; name it in the first line, or take it out")
    twice = [name for name in dict.fromkeys(header) if name and header.count(name) > 1]
    if twice:
        raise LabelError("form", f"{path}: the column {twice[0][:80]!r} stands twice; each column stands once")
    return Table(str(path), tuple(header), tuple(rows), separator)


def find_separator(line: str) -> str:
    """Return the separator that stands most often in a header outside of quotes; a comma where there is none."""
    outside = "".join(line.split('"')[::2])
    return max(_SEPARATORS, key=outside.count)
