"""What page and Markdown say alike: the tables and sentences, as rows of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...metrics.compare import Comparison
from ..evaluate import Evaluation
from .others import Compared

__all__ = [
    "figure_rows",
    "names",
    "not_found",
    "number",
    "region_rows",
    "risk_rows",
    "sweep_rows",
    "unmeasured",
    "verdict",
    "versus_rows",
]

_LABELS = {
    "nme_ic": "NME ic",
    "nme_ip": "NME ip",
    "nme_box": "NME box",
    "nme_diag": "NME diag",
    "fr10_ic": "FR 10 %",
    "fr8_ic": "FR 8 %",
    "fr5_ic": "FR 5 %",
    "auc10_ic": "AUC 10 % ic",
    "auc8_ic": "AUC 8 % ic",
    "auc5_ic": "AUC 5 % ic",
    "auc7_box": "AUC 7 % box",
    "auc10_ic_grid": "AUC 10 % grid",
    "auc7_box_grid": "AUC 7 % grid",
}


def number(value: float | None, digits: int = 3) -> str:
    """Return a number, or a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def figure_rows(result: Mapping[str, Any]) -> list[list[str]]:
    """Return the figures in percent: a head, then a row for all faces and one for each subset."""
    rows = {"all": result, **result["subsets"]}
    keys = [key for key in _LABELS if any(row[key] is not None for row in rows.values())]
    table = [["", "faces", "found", *(_LABELS[key] for key in keys)]]
    for name, row in rows.items():
        digits = [3 if key.startswith("nme") else 2 for key in keys]
        values = [number(row[key], d) for key, d in zip(keys, digits, strict=True)]
        table.append([name, str(row["faces"]), str(row["detected"]), *values])
    return table


def not_found(result: Mapping[str, Any]) -> str:
    """Return a sentence on the faces that were not found; empty where all were."""
    missed = result["faces"] - result["detected"]
    return f"Not found: {missed} of {result['faces']} faces. They fail, and are no part of the NME." if missed else ""


def unmeasured(result: Mapping[str, Any]) -> list[str]:
    """Return lines on the figures that some faces have no part in, found or not, because their unit has no length there."""
    faces = result["faces"]
    counts = {kind: count for kind, count in result["measured"].items() if 0 < count < faces}
    lines = []
    eyes = ", ".join(f"{kind} of {counts[kind]}" for kind in ("ic", "ip") if kind in counts)
    if eyes:
        lines.append(f"NME, FR and AUC by {eyes} of {faces} faces; the others lack labels at an eye")
    if "box" in counts:
        lines.append(f"NME and AUC by the box of {counts['box']} of {faces} faces; the others have no box with an area")
    return lines


def region_rows(values: Mapping[str, float], others: Mapping[str, Mapping[str, float]]) -> list[list[str]]:
    """Return regions (or points) with their NME, the greatest first, and those of other results beside them."""
    table = [["", "NME in %", *others]]
    for name, value in sorted(values.items(), key=lambda item: -item[1]):
        table.append([name.replace("_", " "), number(value), *(number(other.get(name)) for other in others.values())])
    return table


def sweep_rows(sweep: Mapping[str, Any]) -> list[list[str]]:
    """Return the NME under each box, as two rows below one head of shifts and scales."""
    shifts = {f"shift {100 * float(at):g} %": value for at, value in sweep["shift"].items()}
    scales = {f"scale {at}": value for at, value in sweep["scale"].items() if at != "1"}
    return [["", *shifts, *scales], ["NME in %", *(number(value) for value in (*shifts.values(), *scales.values()))]]


def risk_rows(risk: Sequence[Mapping[str, float]]) -> list[list[str]]:
    """Return the failures that remain when the faces of lowest quality are left out."""
    rows = [[f"{100 * row['left_out']:g} %", str(row["faces"]), number(row["failures"])] for row in risk]
    return [["left out", "faces", "failures in %"], *rows]


def versus_rows(done: Evaluation, one: Compared) -> list[list[str]]:
    """Return this result against another: all faces, and each subset."""
    table = [["", "faces", done.protocol.weights, one.other.name, "difference", "95 % interval", "p", "better on"]]
    for name, row in one.rows.items():
        interval = f"{_signed(row.low, row)} … {_signed(row.high, row)}"
        values = [
            str(row.faces),
            number(row.mean_b),
            number(row.mean_a),
            _signed(row.difference, row),
            interval,
            _p(row.p),
        ]
        table.append([name, *values, f"{100 * row.better:.1f} %"])
    return table


def verdict(done: Evaluation, one: Compared) -> str:
    """Say in a sentence what the comparison over all faces shows."""
    ours, theirs = done.protocol.weights, one.other.name
    if "all" not in one.rows:
        return f"{ours} and {theirs} cannot be compared: no face was found by both."
    row = one.rows["all"]
    # Of few faces the bootstrap's interval is too narrow, so both tests must agree before a difference is claimed.
    if row.significant and row.p < 1 - row.level:
        word = "less" if row.difference < 0 else "more"
        text = f"{ours} has {word} error than {theirs} by {_signed(abs(row.difference), row)[1:]} points of NME"
    else:
        text = f"No difference is shown between {ours} and {theirs}: {_signed(row.difference, row)} points of NME"
    left = f" {row.left_out} faces that only one or neither found are left out." if row.left_out else ""
    return f"{text} ({_interval(row)}; permutation p {_p(row.p, equals=True)}).{left}{_own_crops(done, one)}"


def _own_crops(done: Evaluation, one: Compared) -> str:
    """Say how each was cropped, where that differs."""
    theirs = one.other.result["protocol"]
    ours = done.protocol
    if (theirs.get("crop_scale"), theirs.get("size")) == (ours.crop_scale, ours.size):
        return ""
    # A written result of an earlier version may not say.
    size, scale = (
        theirs.get(key, "an unknown number of" if key == "size" else "unknown") for key in ("size", "crop_scale")
    )
    return (
        f" Each was measured by its own crop: {ours.weights} at {ours.size} px with the box filling {ours.crop_scale}, "
        f"{one.other.name} at {size} px with {scale}."
    )


def _interval(row: Comparison) -> str:
    ends = f"{_signed(row.low, row)} … {_signed(row.high, row)}"
    return f"{100 * row.level:g} % interval {ends}, {row.faces} {'face' if row.faces == 1 else 'faces'}, paired"


def _signed(value: float, row: Comparison) -> str:
    """Return a difference with enough digits to tell its interval from zero."""
    return f"{value:+.{3 if max(abs(row.low), abs(row.high)) >= 0.01 else 5}f}"


def _p(value: float, *, equals: bool = False) -> str:
    small = "< 0.001"
    return small if value < 0.001 else f"{'= ' if equals else ''}{value:.3f}"


def names(compared: Sequence[Compared], key: str) -> dict[str, Mapping[str, float]]:
    """Return other results' ``regions`` or ``points`` by name, of those that have them."""
    return {one.other.name: one.other.result[key] for one in compared if one.other.result.get(key)}
