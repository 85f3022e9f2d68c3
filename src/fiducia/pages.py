"""Pages for people: one HTML file that needs no other, without script, font or network; its style, tables and bars."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

__all__ = ["CHART_STYLE", "PALETTE", "bars", "boxes", "document", "table"]

PALETTE = """
:root { color-scheme: light dark; --paper: #fcfcfa; --ink: #262a33; --soft: #5b6270; --rule: #dee0e4; --panel: #f3f3ef;
--s0: #1f66be; --s1: #c8501a; --s2: #12806a; --s3: #8f3f9b; --s4: #8f6f00; --s5: #5a5a5a; --ours: #1d8a3a; --other: #d8432a; }
@media (prefers-color-scheme: dark) { :root { --paper: #16181d; --ink: #e4e6ea; --soft: #a2a9b6; --rule: #343943;
--panel: #1f2229; --s0: #74b0ff; --s1: #ff9c66; --s2: #4fd0a8; --s3: #d896e4; --s4: #e6c14a; --s5: #b4b4b4;
--ours: #59d67b; --other: #ff7a62; } }
"""
"""Colours of page and charts as CSS variables; both sets keep a contrast of 4.5 to their paper."""

CHART_STYLE = """
svg.chart text { font: 13px system-ui, sans-serif; fill: var(--soft); } svg.chart .name { fill: var(--ink); }
svg.chart .grid { stroke: var(--rule); stroke-width: 1; } svg.chart .axis { stroke: var(--soft); stroke-width: 1; }
svg.chart .line { fill: none; stroke-width: 2.2; stroke-linejoin: round; } svg.chart .band { stroke: none; opacity: .18; }
"""

_STYLE = """
* { box-sizing: border-box; } body { font: 16px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; color: var(--ink);
background: var(--paper); max-width: 72rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .6rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.8rem 0 .6rem; border-top: 1px solid var(--rule); padding-top: 1.4rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .5rem; } p { max-width: 60rem; margin: .5rem 0; }
.cards { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1.2rem 0; }
.card { background: var(--panel); border-radius: .6rem; padding: .7rem 1.1rem; min-width: 8.5rem; }
.card b { display: block; font-size: 1.6rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
.card span, .soft, figcaption, details summary { color: var(--soft); font-size: .875rem; }
.stamp { color: var(--soft); font-size: .875rem; margin: 0; padding-left: 1.1rem; }
code { font: .8125rem/1.6 ui-monospace, monospace; overflow-wrap: anywhere; background: var(--panel); padding: .15rem .4rem;
border-radius: .3rem; } .scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9375rem; }
th, td { padding: .32rem .6rem; text-align: right; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th { font-weight: 600; color: var(--soft); font-size: .8125rem; white-space: normal; max-width: 12rem;
overflow-wrap: break-word; line-height: 1.25; vertical-align: bottom; } th:first-child, td:first-child { text-align: left;
padding-left: 0; } tbody tr:first-child td { font-weight: 600; } table.plain tbody tr:first-child td { font-weight: inherit; }
.note { border-left: 3px solid var(--s1); padding-left: .8rem; } svg.chart { display: block; width: 100%; height: auto; }
.wide { max-width: 50rem; }
.half { max-width: 29rem; } .pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); gap: 1.5rem;
align-items: start; } .faces { display: grid; grid-template-columns: repeat(auto-fill, minmax(10.2rem, 1fr)); gap: .8rem; }
figure { margin: 0; } figure img { width: 100%; height: auto; display: block; border-radius: .4rem; background: #000; }
figcaption { overflow-wrap: anywhere; line-height: 1.3; margin-top: .25rem; font-size: .75rem; }
figcaption b { color: var(--ink); } .ours { color: var(--ours); font-weight: 600; } .other { color: var(--other);
font-weight: 600; } .dot { display: inline-block; width: .7rem; height: .7rem; border-radius: 50%; margin-right: .45rem; }
@media print { body { max-width: none; } h2, figure { break-inside: avoid; } }
"""


def document(title: str, parts: Sequence[str], style: str = "") -> str:
    """Return a whole page.

    Args:
        title: as plain text.
        parts: HTML, one below the other; empty ones are left out.
        style: CSS beside the pages' own.
    """
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, '
        f'initial-scale=1"><title>{html.escape(title)}</title><style>{PALETTE}{CHART_STYLE}{_STYLE}{style}</style></head><body>'
        + "\n".join(part for part in parts if part)
        + "</body></html>\n"
    )


def boxes(values: Mapping[str, str]) -> str:
    """Return figures in large letters, side by side: label -> value, both as HTML."""
    return f'<div class="cards">{"".join(f"<div class=card><b>{v}</b><span>{k}</span></div>" for k, v in values.items())}</div>'


def table(rows: Sequence[Sequence[str]], marks: Sequence[str] = (), *, plain: bool = False) -> str:
    """Return rows, the first of which is the head, as a table; ``marks`` stand before the first cells."""
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in rows[0])
    body = ""
    for i, row in enumerate(rows[1:]):
        cells = [html.escape(cell) for cell in row]
        cells[0] = (marks[i] if marks else "") + cells[0]
        body += "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
    return (
        f'<div class="scroll"><table{" class=plain" if plain else ""}><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def bars(
    values: Sequence[float],
    names: Sequence[str],
    *,
    label: str,
    xlabel: str,
    ylabel: str,
    every: int = 1,
    width: float = 760.0,
) -> str:
    """Return a bar chart as ``<svg>``.

    Args:
        values: one a bar, 0 or more.
        names: what stands below each bar.
        label: what is seen, for those who do not see it.
        xlabel: below the names.
        ylabel: above the chart.
        every: write every so-many-th name.
        width: in pixels of 13-pixel letters.
    """
    height, left, top, bottom = 300.0, 62.0, 30.0, 52.0
    most = _round_up(max(values, default=0.0))
    plot, step = height - top - bottom, (width - left - 16.0) / max(1, len(values))
    parts = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = top + plot * (1 - share)
        parts.append(f'<line class="grid" x1="{left:g}" x2="{width - 16:g}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{left - 8:g}" y="{y + 4:.1f}" text-anchor="end">{share * most:,.6g}</text>')
    for i, (value, name) in enumerate(zip(values, names, strict=True)):
        x, tall = left + i * step, plot * value / most
        text = html.escape(name)
        parts.append(
            f'<rect x="{x + 1:.1f}" y="{top + plot - tall:.1f}" width="{step - 2:.1f}" height="{tall:.1f}" rx="2" '
            f'style="fill: var(--s0)"><title>{text}: {value:,.6g}</title></rect>'
        )
        if i % every == 0:
            parts.append(f'<text x="{x + step / 2:.1f}" y="{top + plot + 18:.1f}" text-anchor="middle">{text}</text>')
    parts.append(
        f'<line class="axis" x1="{left:g}" x2="{width - 16:g}" y1="{top + plot:g}" y2="{top + plot:g}"/>'
        f'<text x="{width - 16:g}" y="{height - 10:g}" text-anchor="end">{html.escape(xlabel)}</text>'
        f'<text x="{left:g}" y="{top - 12:g}">{html.escape(ylabel)}</text>'
    )
    return (
        f'<svg class="chart" viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{html.escape(label)}">'
        f"{''.join(parts)}</svg>"
    )


def _round_up(value: float) -> float:
    """Return 4, 8, 20, 40, 80, 200 … at or above a value, so that a quarter of it is a whole number."""
    unit = 4.0
    while True:
        for factor in (1, 2, 5):
            if unit * factor >= value:
                return unit * factor
        unit *= 10
