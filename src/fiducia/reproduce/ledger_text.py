"""The ledger as a page of Markdown, as rows of CSV and as LaTeX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..latex import booktabs
from ..metrics.compare import Comparison
from ..metrics.published import Mark, paper
from .ledger import Cell, Line, TableLedger
from .rows import BUDGETS

__all__ = ["csv_rows", "latex", "markdown"]

_METRICS = {
    "nme_ic": "NME ic",
    "nme_box": "NME box",
    "nme_diag": "NME diag",
    "fr10_ic": "FR 10",
    "auc7_box": "AUC box 7",
}
_INTRO = """# Ledger

All figures are in percent; every NME and failure rate is better when lower. Ours is the mean ± standard deviation over training
seeds, of the averaged weights of the last epoch: nothing is chosen by the test faces. A difference is to the row named before it,
negative = less error; in brackets stands its 95 % interval by the paired bootstrap over faces, each face's error averaged over the
seeds that both rows have. It covers the choice of test faces, not seed variance: compare it with the spread over seeds.
Bold = the interval leaves out zero. "No model" = a network that fiducia does not have. In a table of fiducia's own, the interval is
that of the NME by the bootstrap over faces."""


def markdown(ledgers: Sequence[TableLedger]) -> str:
    """Return the whole page."""
    return "\n".join([_INTRO, *(_section(ledger) for ledger in ledgers)])


def csv_rows(ledger: TableLedger) -> list[dict[str, Any]]:
    """Return a row for each line of a table; empty where there is nothing."""
    return [_csv_row(ledger, line) for line in ledger.lines]


def latex(ledger: TableLedger) -> str:
    """Return a table as LaTeX in booktabs style, with the columns of the page."""
    footnotes: list[str] = []
    rows = _rows(ledger, footnotes)
    caption = f"{ledger.table.title}. {_what(ledger)}"
    return booktabs(rows, caption, f"tab:{ledger.table.name}")


def _rows(ledger: TableLedger, footnotes: list[str]) -> list[list[str]]:
    """Return the head and the lines of a table as text; notes that its numbers refer to are added to ``footnotes``."""
    table = ledger.table
    published = table.published
    single = len(published.columns) == 1
    mixed = table.mixed
    if not published.columns:
        return _own_rows(ledger)
    heads = ["row", "", *([] if single else ["figure"]), "published", f"ours{', equal epochs' if mixed else ''}"]
    heads += ["seeds"]
    if single:
        heads += ["against", "published difference", "our difference"]
    if mixed:
        heads += ["ours, equal image views", "our difference"]
    rows = [heads]
    for line in ledger.lines:
        shown = [f"`{line.row.name}`", line.row.label + ("" if line.row.kind == "paper" else f" *({line.row.kind})*")]
        if not single:
            shown.append(_column(line, ledger))
        marks = [_footnote(mark, footnotes) for mark in line.figure.marks] if line.figure else []
        shown.append(f"{_number(line)}{''.join(marks)}" if line.figure else "–")
        shown.append(_cell(line.cells.get("epochs")) if line.runs else line.state)
        # "3 / 1" where the budgets have different numbers of seeds.
        shown.append(" / ".join(dict.fromkeys(str(len(cell.seeds)) for cell in line.cells.values())))
        if single:
            shown += [f"`{line.row.against}`" if line.row.against else "", _published_change(line)]
            shown.append(_change(line, "epochs"))
        if mixed:
            shown += [_cell(line.cells.get("views")) if line.runs else "", _change(line, "views")]
        rows.append(shown)
    return rows


def _own_rows(ledger: TableLedger) -> list[list[str]]:
    """Return the rows of a table of fiducia's own, which has nothing published to stand beside."""
    heads = [
        "row",
        "",
        f"NME on {ledger.measured}" if ledger.measured else "NME",
        "95 % interval",
        "NME on validation faces",
    ]
    rows = [[*heads, "seeds"]]
    for line in ledger.lines:
        cell = line.cells.get("epochs")
        shown = [f"`{line.row.name}`", line.row.label, _cell(cell) if cell is not None else line.state]
        shown.append("" if cell is None or cell.interval is None else "{:.3f} to {:.3f}".format(*cell.interval))
        shown.append("" if cell is None or cell.validation is None else f"{cell.validation:.3f}")
        rows.append([*shown, str(len(cell.seeds)) if cell is not None else ""])
    return rows


def _section(ledger: TableLedger) -> str:
    table = ledger.table
    footnotes: list[str] = []
    heads, *body = _rows(ledger, footnotes)
    text = [f"\n## {table.heading}\n"]
    text += [_what(ledger), ""]
    text += [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    text += [f"| {' | '.join(row)} |" for row in body]
    notes = [f"{i}. {note}" for i, note in enumerate(footnotes, 1)]
    notes += [f"* `{row.name}`: {row.note}" for row in table.rows if row.note]
    taken = [(line, run.entry["taken_from"]) for line in ledger.lines for run in line.runs if "taken_from" in run.entry]
    notes += dict.fromkeys(f"* `{line.row.name}` is the same run as {origin}" for line, origin in taken)
    if notes:
        text += ["", *notes]
    if ledger.protocol:
        commits = dict.fromkeys(str(run.entry["commit"]) for line in ledger.lines for run in line.runs)
        text += ["", f"Measured: {'; '.join(ledger.protocol[:-1])}.", f"Commit {', '.join(commits)}. Command:", ""]
        text += [f"    {ledger.command(ledger.lines)}"]
    return "\n".join([*text, ""])


def _what(ledger: TableLedger) -> str:
    """Say what stands on the two sides of a table, and whether they may be held against each other."""
    published = ledger.table.published
    if not published.columns:
        return f"Scale `{ledger.scale}`, {ledger.measured or 'nothing measured yet'}."
    column = published.columns[0]
    facts = paper()
    theirs = f"Published: {facts['source']}; {facts['runs']}; {facts['selection']}; {facts['crop']}"
    if len(published.columns) == 1:
        theirs += f"; NME ic on {column.data.upper()}, {column.faces} faces, {column.protocol}"
    if not ledger.measured:
        return f"{theirs}. Ours: nothing measured yet."
    same = any(ledger.measured == f"{c.data} {c.subset}" for c in published.columns)
    warning = (
        "" if same and ledger.scale == "paper" else " Only differences between rows can be set beside published ones"
    )
    reason = ""
    if warning:
        reason = ": " + ("other data" if not same else "the same data, but not the paper's network and length") + "."
    return f"{theirs}. Ours: scale `{ledger.scale}`, {ledger.measured}.{warning}{reason}"


def _column(line: Line, ledger: TableLedger) -> str:
    if line.column is None:
        return f"NME on {ledger.measured}"
    return f"{line.column.data} {line.column.subset}, {_METRICS[line.column.metric]}"


def _number(line: Line) -> str:
    assert line.figure is not None
    return f"{line.figure.value:.1f}" if line.figure.column.metric.startswith("auc") else f"{line.figure.value:.2f}"


def _footnote(mark: Mark, footnotes: list[str]) -> str:
    note = f"{mark.kind.replace('_', ' ')}: {mark.note}"
    if note not in footnotes:
        footnotes.append(note)
    return f" [{footnotes.index(note) + 1}]"


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return ""
    return f"{cell.mean:.3f}" + ("" if cell.sd is None else f" ± {cell.sd:.3f}")


def _published_change(line: Line) -> str:
    if line.published_difference is None:
        return ""
    other = line.published_against
    return f"{line.published_difference:+.2f}" + (f" to `{other}`" if other != line.row.against else "")


def _change(line: Line, budget: str) -> str:
    shown = [_difference(line.differences[budget])] if budget in line.differences else []
    if budget in line.past_control:
        shown.append(f"{_difference(line.past_control[budget])} to `{line.published_against}`")
    return "; ".join(shown)


def _difference(value: Comparison) -> str:
    text = f"{value.difference:+.3f} [{value.low:+.3f}, {value.high:+.3f}]"
    return f"**{text}**" if value.significant else text


def _csv_row(ledger: TableLedger, line: Line) -> dict[str, Any]:
    row: dict[str, Any] = {
        "table": ledger.table.name,
        "row": line.row.name,
        "label": line.row.label,
        "kind": line.row.kind,
        "state": line.state,
        "published_of": line.column.key if line.column else "",
        "published": line.figure.value if line.figure else "",
        "marks": " ".join(mark.kind for mark in line.figure.marks) if line.figure else "",
        "ours_of": ledger.measured if line.runs else "",
        "against": line.row.against or "",
        "published_against": line.published_against,
        "published_difference": "" if line.published_difference is None else line.published_difference,
    }
    for budget in BUDGETS:
        cell, difference = line.cells.get(budget), line.differences.get(budget)
        past = line.past_control.get(budget)
        row |= {
            f"ours_equal_{budget}": "" if cell is None else round(cell.mean, 6),
            f"sd_equal_{budget}": "" if cell is None or cell.sd is None else round(cell.sd, 6),
            f"seeds_equal_{budget}": "" if cell is None else " ".join(map(str, cell.seeds)),
            f"difference_equal_{budget}": "" if difference is None else round(difference.difference, 6),
            f"low_equal_{budget}": "" if difference is None else round(difference.low, 6),
            f"high_equal_{budget}": "" if difference is None else round(difference.high, 6),
            f"past_control_equal_{budget}": "" if past is None else round(past.difference, 6),
            f"past_control_low_equal_{budget}": "" if past is None else round(past.low, 6),
            f"past_control_high_equal_{budget}": "" if past is None else round(past.high, 6),
        }
    own = line.cells.get("epochs")
    row |= {
        "low": round(own.interval[0], 6) if own is not None and own.interval is not None else "",
        "high": round(own.interval[1], 6) if own is not None and own.interval is not None else "",
        "validation": round(own.validation, 6) if own is not None and own.validation is not None else "",
    }
    first = next((run.entry for run in line.runs if run.entry["budget"] == "epochs"), None)
    row |= {
        "scale": ledger.scale if line.runs else "",
        "epochs": first["training"]["epochs"] if first else "",
        "image_views": first["training"]["image_views"] if first else "",
        "training_seconds": first["training"]["seconds"] if first else "",
        "commit": " ".join(dict.fromkeys(str(run.entry["commit"]) for run in line.runs)),
        "command": ledger.command([line]),
        "protocol": "; ".join(ledger.protocol[:-1]) if line.runs else "",
    }
    return row
