"""The report as one HTML page that needs no other file: no font, no network, no script but the sliders' own attribute."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence

import numpy as np

from ..evaluate import Evaluation
from .charts import WORDS
from .face import heat
from .others import Compared
from .pictures import Tile, jpeg
from .slider import SLIDER_STYLE, Slide, sliders
from .svg import CHART_STYLE, PALETTE
from .words import figure_rows, names, not_found, number, region_rows, risk_rows, sweep_rows, verdict, versus_rows

__all__ = ["page"]

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

_COLOURS = (
    'The <span class="ours">annotation is green</span>, the <span class="other">answer red</span>; '
    "a white line joins the two."
)


def page(
    done: Evaluation,
    compared: Sequence[Compared],
    charts: Mapping[str, str],
    galleries: Mapping[str, Sequence[Tile]],
    slides: Mapping[str, Sequence[Slide]],
    command: str = "",
) -> str:
    """Return the page.

    Args:
        done: the evaluation.
        compared: with others.
        charts: ``ced``, ``face``; ``near``, ``error``, ``shift`` and ``scale`` where there are such.
        galleries: ``worst``, ``median``, ``best``; ``0 better``, ``0 worse`` … of the compared ones.
        slides: ``worst``, and as in ``galleries`` for the compared ones: faces with a line to drag.
        command: the line that made this, if there was one.
    """
    result, kind = done.result, done.kind
    words = WORDS[kind]
    title = f"{done.protocol.weights} on {done.protocol.data} {done.protocol.split}"
    missed = not_found(result)
    parts = [
        f"<h1>{_e(title)}</h1>",
        _cards(done),
        f'<p class="note">{missed}</p>' if missed else "",
        f'<ul class="stamp">{"".join(f"<li>{_e(line)}</li>" for line in done.protocol.words())}</ul>',
        f"<p><code>{_e(command)}</code></p>" if command else "",
        "<h2>Figures in %</h2>",
        _table(figure_rows(result)),
        '<p class="soft">ic: over the distance of the outer eye corners; ip: of the pupils; box: over √(w·h) of the box; diag: '
        "over its diagonal. FR: share of faces above that error. AUC: exact area under the cumulative curve; grid: the "
        "common form of it. A face that was not found fails, and has no part in the NME.</p>",
        f'<h2>Cumulative error</h2><div class="wide">{charts["ced"]}</div>',
        *[_versus(done, one, i, galleries, slides) for i, one in enumerate(compared)],
        f"<h2>Where the errors are</h2><p>Each point on the mean of the {result['faces']} true faces; its colour and size are "
        f"its NME ({words}). A line has the colour of its region.</p>",
        f'<div class="pair"><div class="half">{charts["face"]}</div><div>{_regions(done, compared)}</div></div>',
        _points(done, compared),
        _confidence(done, charts),
        _trust(done, charts),
        _sweep(done, charts, words),
        _slides(done, slides["worst"]),
    ]
    for name, head in (("worst", "The worst faces"), ("median", "Faces in the middle"), ("best", "The best faces")):
        parts += [f"<h2>{head}</h2><p>{_COLOURS}</p>", _faces(galleries[name])]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, '
        f'initial-scale=1"><title>{_e(title)}</title><style>{PALETTE}{CHART_STYLE}{_STYLE}{SLIDER_STYLE}</style></head><body>'
        + "\n".join(part for part in parts if part)
        + "</body></html>\n"
    )


def _cards(done: Evaluation) -> str:
    """Return the figures that one looks for first."""
    result, kind = done.result, done.kind
    shown = {f"NME, {WORDS[kind]}": (result[f"nme_{kind}"], 2, " %")}
    if kind == "ic":
        shown |= {"failures over 10 %": (result["fr10_ic"], 2, " %"), "AUC to 10 %": (result["auc10_ic"], 1, "")}
    else:
        shown["AUC to 7 %"] = (result["auc7_box"], 1, "")
    cards = {
        label: number(value, digits) + (unit if value is not None else "")
        for label, (value, digits, unit) in shown.items()
    }
    cards["faces"] = str(result["faces"])
    return f'<div class="cards">{"".join(f"<div class=card><b>{v}</b><span>{k}</span></div>" for k, v in cards.items())}</div>'


def _versus(
    done: Evaluation,
    one: Compared,
    number_: int,
    galleries: Mapping[str, Sequence[Tile]],
    slides: Mapping[str, Sequence[Slide]],
) -> str:
    ours, theirs = _e(done.protocol.weights), _e(one.other.name)
    text = (
        f"<h2>Against {theirs}</h2><p>{_e(verdict(done, one))}</p>{_table(versus_rows(done, one))}"
        f'<p class="soft">NME ({WORDS[one.kind]}) in %, over faces that both found; a negative difference says that {ours} '
        "has less error. The interval is a paired bootstrap over faces, p a paired sign-flip permutation. Both cover the "
        "choice of faces, not seed variance: train several seeds for that.</p>"
    )
    if one.other.xy is None:
        return text + '<p class="soft">Its points were not kept, so its faces cannot be drawn.</p>'
    colours = (
        f'<span class="ours">{ours} is green</span>, <span class="other">{theirs} red</span>, the annotation white.'
    )
    for key, head in (("better", f"Where {ours} gains most"), ("worse", f"Where {theirs} is ahead most")):
        faces = galleries.get(f"{number_} {key}")
        if faces:
            drag = sliders(slides[f"{number_} {key}"], done.scheme.edges, done.protocol.weights, one.other.name)
            text += f"<h3>{head}</h3>{drag}<p>{colours}</p>{_faces(faces)}"
    return text


def _regions(done: Evaluation, compared: Sequence[Compared]) -> str:
    values, points = done.result["regions"], done.result["points"]
    if not values:
        return '<p class="soft">The landmark set names no regions.</p>'
    table = region_rows(values, names(compared, "regions"))
    low, high = min(points.values()), max(points.values())
    colours = [heat(value, low, high) for value in sorted(values.values(), reverse=True)]
    dots = [f'<span class="dot" style="background: {colour}"></span>' for colour in colours]
    return _table(table, dots, plain=True)


def _points(done: Evaluation, compared: Sequence[Compared]) -> str:
    if not done.result["points"]:
        return ""
    table = _table(region_rows(done.result["points"], names(compared, "points")), plain=True)
    return f"<details><summary>All {len(done.result['points'])} points</summary>{table}</details>"


def _confidence(done: Evaluation, charts: Mapping[str, str]) -> str:
    told = done.result.get("reliability")
    if not told:
        return ""
    return (
        "<h2>What a confidence is worth</h2><p>All points of all faces, in ten equal groups from the least sure to the surest. The "
        f"closer to the dotted line, the more a confidence is the share of points within {told['limit']:g} % of the truth. Rank "
        f"correlation of confidence and error: {told['rank_correlation']:.2f} (ideally -1).</p>"
        f'<div class="pair">{charts["near"]}{charts["error"]}</div>'
    )


def _trust(done: Evaluation, charts: Mapping[str, str]) -> str:
    told = done.result.get("trust")
    if not told:
        return ""
    area = "" if told["roc_area"] is None else f" Area under the ROC for such failures: {told['roc_area']:.3f}."
    half = f'<div class="half">{charts["trust"]}</div>' if "trust" in charts else ""
    gap = f" Mean gap {100 * told['sigma']['gap']:.1f} % of the error." if told["sigma"] else ""
    return (
        f"<h2>What quality and expected errors are worth</h2><p>Left: the expected error of points, in ten equal groups, against "
        f"the actual one.{gap} Right: faces with an NME above {told['limit']:g} % among those that remain when the ones of lowest "
        f'quality are left out.{area}</p><div class="pair">{half}<div>{_table(risk_rows(told["risk"]))}</div></div>'
    )


def _sweep(done: Evaluation, charts: Mapping[str, str], words: str) -> str:
    if "shift" not in charts:
        return ""
    sweep = done.result["robustness"]
    passes = "with the second pass" if done.protocol.second_pass else "in one pass, not cropped again"
    return (
        f"<h2>If the box is wrong</h2><p>The annotation's box moved and scaled, {passes}. A shift is the mean of "
        f"{sweep['directions']} directions. NME ({words}).</p>"
        f'<div class="pair">{charts["shift"]}{charts["scale"]}</div>{_table(sweep_rows(sweep))}'
    )


def _slides(done: Evaluation, slides: Sequence[Slide]) -> str:
    if not slides:
        return ""
    drag = sliders(slides, done.scheme.edges, "annotation", "answer")
    return f"<h2>Annotation and answer</h2><p>The worst faces that were found. Drag the line.</p>{drag}"


def _faces(faces: Sequence[Tile]) -> str:
    shown = "".join(
        f'<figure><img alt="{_e(tile.id)}" loading="lazy" src="data:image/jpeg;base64,{_base64(tile.image)}">'
        f"<figcaption><b>{_e(tile.error)}</b> {_e(tile.id)}</figcaption></figure>"
        for tile in faces
    )
    return f'<div class="faces">{shown}</div>'


def _table(rows: Sequence[Sequence[str]], marks: Sequence[str] = (), *, plain: bool = False) -> str:
    """Return rows, the first of which is the head, as a table; ``marks`` stand before the first cells."""
    head = "".join(f"<th>{_e(cell)}</th>" for cell in rows[0])
    body = ""
    for i, row in enumerate(rows[1:]):
        cells = [_e(cell) for cell in row]
        cells[0] = (marks[i] if marks else "") + cells[0]
        body += "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
    return (
        f'<div class="scroll"><table{" class=plain" if plain else ""}><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _base64(picture: np.ndarray) -> str:
    return base64.b64encode(jpeg(picture)).decode()


def _e(text: str) -> str:
    return html.escape(text)
