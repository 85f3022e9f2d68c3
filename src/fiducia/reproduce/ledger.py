"""The ledger of reproduced tables: published, ours, and whether the difference means anything.

It is made from the runs' folders alone, so whatever lies together is merged: seeds, rows and tables of several machines.
"""

from __future__ import annotations

import csv
import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import FiduciaError
from ..metrics.compare import Comparison, bootstrap_mean, paired_bootstrap
from ..metrics.protocol import Protocol, comparable
from ..metrics.published import Column, Figure
from .rows import BUDGETS, Row, Table, load_table

__all__ = [
    "RESULT",
    "Cell",
    "Line",
    "Measured",
    "TableLedger",
    "finished_runs",
    "read_run",
    "read_runs",
    "table_ledger",
]

RESULT = "result.json"
_NEEDED = ("row", "seed", "budget", "scale", "source", "sets", "training", "commit")


def finished_runs(out: Path, table: str) -> int:
    """Return how many runs of a table are finished in a folder of runs; nothing is read."""
    return sum(1 for _ in (out / table).glob(f"*/*/{RESULT}"))


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """A finished run: what its ``result.json`` says, and its faces' errors ``(N,)`` by id.

    ``validation`` is the last NME on validation faces in percent, of the averaged weights; None where there was none.
    """

    folder: Path
    entry: dict[str, Any]
    ids: tuple[str, ...]
    errors: npt.NDArray[np.float64]
    validation: float | None = None

    @property
    def result(self) -> dict[str, Any]:
        """The figures, as ``evaluate --json`` gives them."""
        return dict(self.entry["result"])


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A figure over seeds, in percent; ``sd`` is None for one seed.

    In tables of fiducia's own, ``interval`` is that of the mean by the bootstrap over faces, each face's error averaged over
    the seeds, and ``validation`` the mean NME on validation faces.
    """

    mean: float
    sd: float | None
    seeds: tuple[int, ...]
    interval: tuple[float, float] | None = None
    validation: float | None = None


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line: a row, and one of the columns of its table.

    Attributes:
        row: the row.
        column: what was published, or None for a figure on other data beside a paper that has several columns.
        figure: the published figure.
        published_against: the nearest row, that one or one that it is compared with itself, for which there is a
            published figure; a control row is passed over.
        published_difference: to that row.
        cells: budget → ours.
        differences: budget → ours minus the compared row's, face by face, each face's error averaged over the seeds
            that both have.
        past_control: the same to ``published_against``, where that is another row.
        state: ``no model``, ``not run`` or ``done``.
        runs: behind it.
    """

    row: Row
    column: Column | None
    figure: Figure | None
    published_against: str
    published_difference: float | None
    cells: dict[str, Cell]
    differences: dict[str, Comparison]
    past_control: dict[str, Comparison]
    state: str
    runs: tuple[Measured, ...]


@dataclass(frozen=True, kw_only=True)
class TableLedger:
    """All lines of a table; ``measured`` says in words what ours were measured on, empty where nothing was."""

    table: Table
    lines: tuple[Line, ...]
    measured: str
    protocol: tuple[str, ...]
    scale: str

    def command(self, rows: Sequence[Line]) -> str:
        """Return the command line that makes these rows."""
        runs = [run for line in rows for run in line.runs]
        if not runs:
            return ""
        entry = runs[0].entry
        words = ["fiducia", "reproduce", self.table.name, "--data", entry["source"], "--scale", entry["scale"]]
        words += ["--split", entry["result"]["protocol"]["split"]]
        words += ["--seeds", str(1 + max(run.entry["seed"] for run in runs))]
        words += ["--rows", ",".join(dict.fromkeys(line.row.name for line in rows if line.runs))]
        return shlex.join([*words, *(word for value in entry["sets"] for word in ("--set", value))])


def table_ledger(out: Path, name: str) -> TableLedger:
    """Read all runs of a table and set them beside what was published.

    Raises:
        FiduciaError: as :func:`write_ledger`.
    """
    table = load_table(name)
    runs = read_runs(out, table)
    protocol = Protocol.model_validate(runs[0].result["protocol"]) if runs else None
    lines: list[Line] = []
    for row in table.rows:
        lines += _lines(table, row, runs)
    return TableLedger(
        table=table,
        lines=tuple(lines),
        measured=f"{protocol.data} {protocol.split}" if protocol else "",
        protocol=tuple(protocol.words()) if protocol else (),
        scale=runs[0].entry["scale"] if runs else "",
    )


def read_runs(out: Path, table: Table) -> list[Measured]:
    """Read the finished runs of a table.

    Raises:
        FiduciaError: a damaged file, a run that is there twice, or runs of different scales, data or protocols.
    """
    known = {row.name for row in table.rows}
    found: dict[tuple[str, int, str], Measured] = {}
    for path in sorted((out / table.name).glob(f"*/seed*/{RESULT}")):
        run = read_run(path)
        key = (run.entry["row"], run.entry["seed"], run.entry["budget"])
        if key[0] not in known:
            raise FiduciaError(f"{path}: {table.name} has no row {key[0]!r}; move the folder out of {out}")
        if key in found:
            raise FiduciaError(
                f"{path}: row {key[0]}, seed {key[1]} is in {found[key].folder} already; remove one of the two"
            )
        found[key] = run
        first = next(iter(found.values()))
        differs = comparable(first.result["protocol"], run.result["protocol"])
        for what in ("scale", "sets"):
            if first.entry[what] != run.entry[what]:
                differs.append(f"{what}: {first.entry[what]!r} and {run.entry[what]!r}")
        if first.entry["training"]["faces"] != run.entry["training"]["faces"]:
            faces = [r.entry["training"]["faces"] for r in (first, run)]
            differs.append(f"faces trained on: {faces[0]} and {faces[1]}")
        if first.ids != run.ids and not differs:
            differs.append("the faces' ids")
        if differs:
            raise FiduciaError(f"{first.folder} and {run.folder} may not stand in one table: {'; '.join(differs)}")
    return list(found.values())


def read_run(path: Path) -> Measured:
    """Read a finished run by its ``result.json``.

    Raises:
        FiduciaError: it or its ``faces.csv`` is damaged.
    """
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
        lacking = [key for key in _NEEDED if key not in entry]
        if lacking:
            raise ValueError(f"lacks {lacking[0]}")
        kind = "ic" if entry["result"]["nme_ic"] is not None else "box"
        with (path.parent / "faces.csv").open(newline="", encoding="utf-8") as file:
            faces = list(csv.DictReader(file))
        return Measured(
            folder=path.parent,
            entry=entry,
            ids=tuple(face["id"] for face in faces),
            errors=np.array([float(face[f"nme_{kind}"] or "nan") for face in faces]),
            validation=_validation(path.parent / "metrics.json"),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FiduciaError(
            f"{path}: not a finished run ({type(error).__name__}: {error}); delete it, and it is measured again"
        ) from error


def _validation(path: Path) -> float | None:
    """Return the last validation NME of a run's metrics; None where there is none."""
    if not path.is_file():
        return None
    rows = json.loads(path.read_text(encoding="utf-8"))["history"]
    found = [row.get("val_nme_ema", row.get("val_nme")) for row in rows]
    return next((float(value) for value in reversed(found) if value is not None), None)


def _lines(table: Table, row: Row, runs: list[Measured]) -> list[Line]:
    """Return a row's lines, one a column: of those that the data has a part in, where there are several."""
    published = table.published
    key = row.published or row.name
    mine = [run for run in runs if run.entry["row"] == row.name]
    single = len(published.columns) == 1
    columns: list[Column | None] = list(published.columns)
    if runs and not single:
        here = [column for column in published.columns if _figure(runs[0].result, column) is not None]
        # On data of another kind ours has a line of its own.
        columns = list(here) if here else [*columns, *([None] if mine or not columns else [])]
    other = _published_against(table, row) if single else ""
    lines = []
    for column in columns:
        figure = published.figures.get((key, column.key)) if column else None
        if column and not figure and not single and not mine:
            continue
        lines.append(
            Line(
                row=row,
                column=column,
                figure=figure,
                published_against=other,
                published_difference=_published_difference(table, row, other),
                cells=_cells(table, row, mine, None if single else column),
                differences=_differences(table, row, row.against or "", runs) if single else {},
                past_control=_differences(table, row, other, runs) if other != row.against else {},
                state="done" if mine else "not run" if row.has_model else "no model",
                runs=tuple(mine),
            )
        )
    return lines


def _figure(result: dict[str, Any], column: Column | None) -> float | None:
    """Return a result's figure for a column, or its main one for None; None where it has nothing of the kind."""
    if column is None:
        return result["nme_ic"] if result["nme_ic"] is not None else result["nme_box"]
    if column.data != result["protocol"]["data"]:
        return None
    if column.subset == result["protocol"]["split"]:
        return result[column.metric]
    return result["subsets"].get(column.subset, {}).get(column.metric)


def _at(row: Row, table: Table, runs: Sequence[Measured], budget: str) -> list[Measured]:
    """Return a row's runs of one budget."""
    kept = table.run_of(row, budget)
    return [run for run in runs if run.entry["row"] == row.name and run.entry["budget"] == kept]


def _cells(table: Table, row: Row, runs: Sequence[Measured], column: Column | None) -> dict[str, Cell]:
    cells = {}
    for budget in BUDGETS:
        if budget == "views" and not table.mixed:
            continue
        chosen = _at(row, table, runs, budget)
        values = [value for run in chosen if (value := _figure(run.result, column)) is not None]
        if values:
            own = not table.published.columns
            held_out = [run.validation for run in chosen if run.validation is not None]
            cells[budget] = Cell(
                mean=float(np.mean(values)),
                sd=float(np.std(values, ddof=1)) if len(values) > 1 else None,
                seeds=tuple(sorted(run.entry["seed"] for run in chosen)),
                interval=bootstrap_mean(np.mean([run.errors for run in chosen], axis=0)) if own else None,
                validation=float(np.mean(held_out)) if own and held_out else None,
            )
    return cells


def _differences(table: Table, row: Row, against: str, runs: Sequence[Measured]) -> dict[str, Comparison]:
    """Compare a row with another, face by face, each face's error averaged over the seeds that both have."""
    if not against:
        return {}
    compared = {}
    for budget in BUDGETS:
        if budget == "views" and not table.mixed:
            continue
        ours, theirs = (
            {run.entry["seed"]: run.errors for run in _at(one, table, runs, budget)}
            for one in (row, table.row(against))
        )
        seeds = sorted(ours.keys() & theirs.keys())
        if seeds:
            a, b = (np.mean([errors[seed] for seed in seeds], axis=0) for errors in (theirs, ours))
            if np.isfinite(a + b).any():
                compared[budget] = paired_bootstrap(a, b)
    return compared


def _published_value(table: Table, row: Row) -> float | None:
    published = table.published
    if not published.columns:
        return None
    figure = published.figures.get((row.published or row.name, published.columns[0].key))
    return figure.value if figure else None


def _published_against(table: Table, row: Row) -> str:
    """Return the nearest row that was published, along the rows that each is compared with; empty where there is none."""
    against = row.against
    while against and _published_value(table, table.row(against)) is None:
        against = table.row(against).against
    return against or ""


def _published_difference(table: Table, row: Row, against: str) -> float | None:
    mine = _published_value(table, row)
    theirs = _published_value(table, table.row(against)) if against else None
    return round(mine - theirs, 4) if mine is not None and theirs is not None else None
