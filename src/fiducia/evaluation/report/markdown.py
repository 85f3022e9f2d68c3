"""The report as Markdown and as LaTeX, for a pull request or a notebook; its pictures lie beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...latex import booktabs
from ..evaluate import Evaluation
from .charts import WORDS
from .others import Compared
from .words import figure_rows, names, not_found, region_rows, risk_rows, sweep_rows, unmeasured, verdict, versus_rows

__all__ = ["latex", "markdown"]


def markdown(done: Evaluation, compared: Sequence[Compared], pictures: Iterable[str], command: str = "") -> str:
    """Return the report's Markdown.

    Args:
        done: the evaluation.
        compared: with others.
        pictures: names of the files beside it, of which those it knows are shown.
        command: the line that made this, if there was one.
    """
    there, words = set(pictures), WORDS[done.kind]
    text = [f"# {done.protocol.weights} on {done.protocol.data} {done.protocol.split}", ""]
    text += [f"* {line}" for line in done.protocol.words()]
    if command:
        text += ["", f"    {command}"]
    if not_found(done.result):
        text += ["", f"**{not_found(done.result)}**"]
    for line in unmeasured(done.result):
        text += ["", f"**{line}.**"]
    text += ["", "## Figures in %", "", *_table(figure_rows(done.result)), "", "![cumulative error](ced.svg)"]
    for one in compared:
        text += ["", f"## Against {one.other.name}", "", verdict(done, one), "", *_table(versus_rows(done, one))]
    text += ["", f"## Where the errors are (NME, {words})", "", "![error of each point](face.svg)"]
    if done.result["regions"]:
        text += ["", *_table(region_rows(done.result["regions"], names(compared, "regions")))]
    for name, head in (("reliability", "What a confidence is worth"), ("robustness", "If the box is wrong")):
        shown = {"reliability": ("near", "error"), "robustness": ("shift", "scale")}[name]
        if f"{shown[0]}.svg" in there:
            text += ["", f"## {head}", "", *(f"![{key}]({key}.svg)" for key in shown)]
            if name == "robustness":
                text += ["", *_table(sweep_rows(done.result["robustness"]))]
    if told := done.result.get("trust"):
        area = (
            "" if told["roc_area"] is None else f"ROC area for NME above {told['limit']:g} %: {told['roc_area']:.3f}."
        )
        text += ["", "## What quality and expected errors are worth", "", area, "", *_table(risk_rows(told["risk"]))]
        text += ["", "![actual over expected error](trust.svg)"] if "trust.svg" in there else []
    text += ["", "## Faces", "", "Annotation green, answer red."]
    for name in ("worst", "median", "best"):
        text += ["", f"![{name} faces]({name}.jpg)"]
    return "\n".join(text) + "\n"


def latex(done: Evaluation, compared: Sequence[Compared]) -> str:
    """Return the figures, and the comparisons with others, as LaTeX tables in booktabs style."""
    protocol = "; ".join([*done.protocol.words(), *unmeasured(done.result)])
    tables = [booktabs(figure_rows(done.result), f"{done.protocol.weights}, in %. {protocol}", "tab:figures")]
    for one in compared:
        tables.append(booktabs(versus_rows(done, one), verdict(done, one), f"tab:against-{len(tables)}"))
    return "\n".join(tables)


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return [lines[0], "|" + " --- |" + " ---: |" * (len(rows[0]) - 1), *lines[1:]]
