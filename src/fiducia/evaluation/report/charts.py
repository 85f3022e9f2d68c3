"""The report's charts: cumulative errors, what a confidence is worth, and what a wrong box costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...metrics.errors import ced
from ..evaluate import Evaluation
from .others import Compared
from .svg import Series, chart

__all__ = ["WORDS", "ced_svg", "confidence_svgs", "sweep_svgs", "trust_svg"]

WORDS = {"ic": "inter-ocular", "box": "box"}
_HALF = 540.0  # two charts side by side
_FINE = 500  # from so many faces on a curve is drawn on a grid of as many values


def ced_svg(done: Evaluation, compared: Sequence[Compared] = ()) -> str:
    """Return the cumulative error distribution, others overlaid; a face that was not found keeps a curve below 100 %."""
    kind = done.kind
    limit = 0.10 if kind == "ic" else 0.07
    counted = done.scores.measured[kind]
    curves = {done.protocol.weights: done.scores.nme[kind]}
    curves |= {one.other.name: one.other.nme[kind] for one in compared}
    series = []
    for i, (name, values) in enumerate(curves.items()):
        v = values[counted]
        nme = f"{100 * np.nanmean(v):.2f} %" if np.isfinite(v).any() else "none found"
        x, y = _steps(v, limit)
        series.append(Series(name=f"{name}: NME {nme}", x=100 * x, y=100 * y, colour=i))  # type: ignore[arg-type]
    title = f"Share of faces over their error; {', '.join(s.name for s in series)}"
    return chart(
        series,
        label=title,
        xlabel=f"NME ({WORDS[kind]}) in %",
        ylabel="faces with at most this error, in %",
        xlim=(0.0, 100 * limit),
        ylim=(0.0, 100.0),
    )


def _steps(values: npt.NDArray[np.float64], limit: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the corners of the step curve, or its values on a grid where there are many faces."""
    if len(values) > _FINE:
        x = np.linspace(0.0, limit, _FINE)
        return x, ced(values, x)
    edges = np.sort(values[values <= limit])
    share = np.arange(1, len(edges) + 1) / max(1, len(values))
    x = np.concatenate([[0.0], np.repeat(edges, 2), [limit]])
    return x, np.concatenate([[0.0, 0.0], np.repeat(share, 2)])


def confidence_svgs(reliability: Mapping[str, Any]) -> tuple[str, str]:
    """Return two charts over the confidence: the share of points that are near the truth, and the error itself.

    Args:
        reliability: of :func:`fiducia.metrics.figures.reliability`.
    """
    bins, limit = reliability["bins"], reliability["limit"]
    x = [row["confidence"] for row in bins]
    share = chart(
        [
            Series(name="share = confidence", x=(0.0, 1.0), y=(0.0, 100.0), faint=True),
            Series(name="these weights", x=x, y=[row["near"] for row in bins], dots=True),
        ],
        label=f"Share of points within {limit:g} % over their confidence",
        xlabel="confidence",
        ylabel=f"points within {limit:g} % of the truth, in %",
        xlim=(0.0, 1.0),
        width=_HALF,
        ylim=(0.0, 100.0),
    )
    error = chart(
        [
            Series(
                name="median",
                x=x,
                y=[row["median"] for row in bins],
                low=[row["low"] for row in bins],
                high=[row["high"] for row in bins],
                dots=True,
            )
        ],
        label="Error of points over their confidence",
        xlabel="confidence",
        ylabel="error in %: median, and the middle half of the points",
        xlim=(0.0, 1.0),
        width=_HALF,
    )
    return share, error


def trust_svg(sigma: Mapping[str, Any]) -> str:
    """Return the chart of actual over expected errors.

    Args:
        sigma: of :func:`fiducia.metrics.trust.expected_gap`, in percent.
    """
    x = [row["expected"] for row in sigma["bins"]]
    y = [row["actual"] for row in sigma["bins"]]
    most = 1.1 * max(*x, *y)
    return chart(
        [
            Series(name="actual = expected", x=(0.0, most), y=(0.0, most), faint=True),
            Series(name="these weights", x=x, y=y, dots=True),
        ],
        label="Actual over expected error of points",
        xlabel="expected error in %",
        ylabel="mean actual error in %",
        xlim=(0.0, most),
        width=_HALF,
        ylim=(0.0, most),
    )


def sweep_svgs(done: Evaluation, compared: Sequence[Compared] = ()) -> tuple[str, str]:
    """Return two charts of the NME: over the box's shift, and over its scale; of others too where they have them."""
    sweeps = {done.protocol.weights: done.result["robustness"]}
    sweeps |= {one.other.name: one.other.result.get("robustness") for one in compared}
    kind = WORDS[done.kind]
    charts = []
    for key, xlabel in (("shift", "shift of the box, % of its longer side"), ("scale", "box side / its own side")):
        unit = 100.0 if key == "shift" else 1.0
        series = [
            Series(
                name=name,
                x=[unit * float(at) for at in sweep[key]],
                y=[np.nan if value is None else value for value in sweep[key].values()],
                colour=i,
                dots=True,
            )
            for i, (name, sweep) in enumerate(sweeps.items())
            if sweep
        ]
        charts.append(
            chart(series, label=f"NME over the box's {key}", xlabel=xlabel, ylabel=f"NME ({kind}) in %", width=_HALF)
        )
    return charts[0], charts[1]
