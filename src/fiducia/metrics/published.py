"""What was published: every figure of the paper's Tables 1-7 with its source, its protocol and its audit marks.

The figures stand in ``published.toml`` as the paper prints them. A mark says where one is not what its column promises,
so that nobody's own figure is held against it unawares.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["Column", "Figure", "Mark", "PublishedTable", "attainable", "paper", "published_table", "system"]

_FILE = Path(__file__).with_name("published.toml")


@dataclass(frozen=True, kw_only=True)
class Column:
    """What the figures of a column measure.

    Attributes:
        data: the data set's name, as in ``NAME:ROOT``.
        subset: the split or subset.
        metric: a key of :func:`fiducia.metrics.figures.figures`.
        faces: how many faces that subset officially has.
        protocol: landmarks and normaliser in words.
    """

    data: str
    subset: str
    metric: str
    faces: int
    protocol: str

    @property
    def key(self) -> str:
        """``DATA/SUBSET/METRIC``."""
        return f"{self.data}/{self.subset}/{self.metric}"


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A reservation about a figure.

    Attributes:
        kind: ``unattainable`` (no share of the faces gives it), ``inter_pupil`` (not inter-ocular as its column),
            ``best_on_test`` (the epoch was chosen on the test set), ``rerun`` (not its authors' own figure) or
            ``other_box`` (not the box of its column).
        note: why.
    """

    kind: str
    note: str


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One published number, in percent."""

    row: str
    column: Column
    value: float
    marks: tuple[Mark, ...]


@dataclass(frozen=True, kw_only=True)
class PublishedTable:
    """One table of the paper.

    Attributes:
        name: ``table1`` … ``table7``.
        title: what it compares.
        columns: in the paper's order.
        rows: names of its rows, in the paper's order.
        figures: (row, column key) → figure; a cell that the paper leaves empty is absent.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[str, ...]
    figures: Mapping[tuple[str, str], Figure]


@cache
def published_table(name: str) -> PublishedTable:
    """Return one table of the paper.

    Raises:
        KeyError: it is none of ``table1`` … ``table7``.
    """
    tables = _read()["tables"]
    if name not in tables:
        raise KeyError(f"no table is called {name!r}; known: {', '.join(tables)}")
    table = tables[name]
    columns = tuple(_column(key) for key in table["columns"])
    figures: dict[tuple[str, str], Figure] = {}
    for row, values in table["rows"].items():
        for column, value in zip(columns, values, strict=True):
            if value != "-":
                figures[row, column.key] = Figure(
                    row=row, column=column, value=float(value), marks=_marks(name, row, column.key)
                )
    return PublishedTable(name=name, title=table["title"], columns=columns, rows=tuple(table["rows"]), figures=figures)


def paper() -> dict[str, str]:
    """Return what holds for all figures: source, number of runs, how the epoch was chosen, how faces were cropped."""
    return dict(_read()["paper"])


def system(row: str) -> str:
    """Return a system's name and where it was published, by its row in Tables 1, 2 or 7.

    Raises:
        KeyError: no such system.
    """
    return str(_read()["systems"][row])


def attainable(percent: float, faces: int) -> bool:
    """Whether a share printed with two decimals can be k of ``faces``, rounded or cut off.

    Args:
        percent: the printed share.
        faces: in the set.
    """
    # In hundredths of a percent, exactly: h <= 10000 k / n < h + 1 when cut off, within half when rounded.
    hundredths = round(100 * percent)
    return any(
        2 * hundredths * faces - faces <= 20_000 * k < 2 * (hundredths + 1) * faces
        for k in range(max(0, int(percent * faces / 100) - 1), int(percent * faces / 100) + 3)
    )


@cache
def _read() -> dict[str, Any]:
    return tomllib.loads(_FILE.read_text(encoding="utf-8"))


def _column(key: str) -> Column:
    data, subset, metric = key.split("/")
    return Column(data=data, subset=subset, metric=metric, **_read()["columns"][key])


def _marks(table: str, row: str, column: str) -> tuple[Mark, ...]:
    return tuple(
        Mark(kind=mark["kind"], note=mark["note"])
        for mark in _read()["marks"]
        if mark["table"] == table
        and any(fnmatchcase(row, pattern) for pattern in mark["rows"])
        and any(fnmatchcase(column, pattern) for pattern in mark["columns"])
    )
