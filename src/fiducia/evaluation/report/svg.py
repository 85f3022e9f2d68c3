"""Line charts as SVG text: they take the page's colours, light or dark, and stay sharp at any size."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...pages import CHART_STYLE, PALETTE

__all__ = ["PALETTE", "Series", "chart", "standalone"]

_DASHES = ("", "7 4", "2 3", "10 3 2 3", "5 2", "1 4")
_LEFT, _RIGHT, _PLOT, _BOTTOM = 58.0, 16.0, 300.0, 52.0
_ROW = 20.0


@dataclass(frozen=True, kw_only=True)
class Series:
    """One line of a chart.

    Attributes:
        name: for the legend; empty = not in it.
        x: in the axis' unit.
        y: as many.
        low: lower edge of a band around the line; empty = no band.
        high: its upper edge.
        colour: number of the series' colour and dashes, from 0.
        dots: mark every value.
        faint: a thin grey guide.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    colour: int = 0
    dots: bool = False
    faint: bool = False


def chart(
    series: Sequence[Series],
    *,
    label: str,
    xlabel: str,
    ylabel: str,
    xlim: tuple[float, float] | None = None,
    ylim: tuple[float, float] | None = None,
    width: float = 760.0,
) -> str:
    """Return an ``<svg>`` with the lines, a legend above them, and labelled axes.

    Args:
        series: the lines; values that are not finite are left out.
        label: what is seen, for those who do not see it.
        xlabel: with its unit.
        ylabel: with its unit.
        xlim: ends of the x axis; None = of the values.
        ylim: ends of the y axis; None = round values about the lines and bands.
        width: in pixels of 13-pixel letters.
    """
    xs = [v for s in series for v in s.x if math.isfinite(v)] or [0.0, 1.0]
    ys = [v for s in series for v in (*s.y, *s.low, *s.high) if math.isfinite(v)] or [0.0, 1.0]
    x0, x1 = xlim or (min(xs), max(xs))
    x1 = x1 if x1 > x0 else x0 + 1.0
    yticks = _ticks(*(ylim or (min(ys), max(ys))), outside=ylim is None)
    y0, y1 = ylim or (yticks[0], yticks[-1])
    named = [s for s in series if s.name]
    top = 30.0 + (_ROW * len(named) if len(named) > 1 else 0.0)
    height = top + _PLOT + _BOTTOM

    def px(value: float) -> float:
        return _LEFT + (width - _LEFT - _RIGHT) * (value - x0) / (x1 - x0)

    def py(value: float) -> float:
        return top + _PLOT * (1 - (value - y0) / (y1 - y0))

    parts = []
    for value in yticks:
        y = py(value)
        parts.append(f'<line class="grid" x1="{_LEFT:g}" x2="{width - _RIGHT:g}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 8:g}" y="{y + 4:.1f}" text-anchor="end">{_short(value)}</text>')
    for value in _ticks(x0, x1, outside=False):
        x = px(value)
        parts.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{top + _PLOT:g}" y2="{top + _PLOT + 5:g}"/>')
        parts.append(f'<text x="{x:.1f}" y="{top + _PLOT + 20:g}" text-anchor="middle">{_short(value)}</text>')
    parts.append(
        f'<line class="axis" x1="{_LEFT:g}" x2="{width - _RIGHT:g}" y1="{top + _PLOT:g}" y2="{top + _PLOT:g}"/>'
        f'<text x="{width - _RIGHT:g}" y="{height - 10:g}" text-anchor="end">{html.escape(xlabel)}</text>'
        f'<text x="{_LEFT:g}" y="{top - 12:g}">{html.escape(ylabel)}</text>'
    )
    for s in series:
        parts.append(_line(s, px, py))
    if len(named) > 1:
        for i, s in enumerate(named):
            y = 12 + _ROW * i
            parts.append(f'<line x1="{_LEFT:g}" x2="{_LEFT + 34:g}" y1="{y:g}" y2="{y:g}" {_stroke(s)}/>')
            parts.append(
                f'<text class="name" x="{_LEFT + 42:g}" y="{y + 4:g}">{_fit(s.name, width - _LEFT - 42)}</text>'
            )
    return (
        f'<svg class="chart" viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{html.escape(label)}">'
        f"{''.join(parts)}</svg>"
    )


def standalone(svg: str) -> str:
    """Return an ``<svg>`` as a file of its own, with its colours in it."""
    head, rest = svg.split(">", 1)
    width, height = head.split('viewBox="0 0 ', 1)[1].split('"', 1)[0].split()
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n{head} xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">'
        f"<style>{PALETTE}{CHART_STYLE}</style>"
        f'<rect width="100%" height="100%" fill="var(--paper)"/>{rest}\n'
    )


def _line(s: Series, px: Callable[[float], float], py: Callable[[float], float]) -> str:
    there = [i for i, (x, y) in enumerate(zip(s.x, s.y, strict=True)) if math.isfinite(x) and math.isfinite(y)]
    if not there:
        return ""
    colour = f"var(--s{s.colour % 6})"
    text = ""
    if s.low:
        edge = [f"{px(s.x[i]):.1f},{py(s.high[i]):.1f}" for i in there]
        edge += [f"{px(s.x[i]):.1f},{py(s.low[i]):.1f}" for i in reversed(there)]
        text += f'<polygon class="band" style="fill: {colour}" points="{" ".join(edge)}"/>'
    points = " ".join(f"{px(s.x[i]):.1f},{py(s.y[i]):.1f}" for i in there)
    text += f'<polyline class="line" points="{points}" {_stroke(s)}/>'
    if s.dots:
        for i in there:
            spot = f'cx="{px(s.x[i]):.1f}" cy="{py(s.y[i]):.1f}" r="3.6" style="fill: {colour}"'
            text += f"<circle {spot}><title>{_short(s.x[i])}: {s.y[i]:.3f}</title></circle>"
    return text


def _stroke(s: Series) -> str:
    """Return a line's colour and dashes: the dashes tell lines apart where colours cannot."""
    if s.faint:
        return 'style="stroke: var(--soft); stroke-width: 1.2; stroke-dasharray: 3 4"'
    dashes = _DASHES[s.colour % 6]
    return (
        f'style="stroke: var(--s{s.colour % 6}); stroke-width: 2.2'
        + (f"; stroke-dasharray: {dashes}" if dashes else "")
        + '"'
    )


def _ticks(low: float, high: float, *, outside: bool) -> list[float]:
    """Return round values in [low, high], some five steps; ``outside`` = from below low to above high."""
    span = high - low
    if outside:
        if span <= 1e-6 * max(abs(low), abs(high)):  # one value, or as good as one: a plot needs some room
            span = 0.2 * max(abs(low), abs(high)) or 1.0
            low, high = low - span / 2, high + span / 2
        low, high = max(low - 0.02 * span, min(low, 0.0)), high + 0.02 * span
    rough = span / 5
    unit = 10 ** math.floor(math.log10(rough))
    step = next(m * unit for m in (1.0, 2.0, 2.5, 5.0, 10.0) if m * unit >= rough * 0.999)
    first, last = low / step, high / step
    start = math.floor(first) if outside else math.ceil(first - 1e-9)
    end = math.ceil(last) if outside else math.floor(last + 1e-9)
    return [round(i * step, 12) for i in range(start, end + 1)]


def _fit(name: str, width: float) -> str:
    """Return a name as SVG text no wider than the chart; a longer one loses its middle and shows whole when pointed at."""
    room = max(8, int(width / 7))  # units a character of the legend's letters
    if len(name) <= room:
        return html.escape(name)
    head = (room - 1) // 2
    return f"{html.escape(name[:head])}…{html.escape(name[head + 1 - room :])}<title>{html.escape(name)}</title>"


def _short(value: float) -> str:
    return f"{value:.6g}"
