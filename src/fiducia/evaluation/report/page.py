"""The report as one HTML page that needs no other file: no font, no network, no script but the sliders' own attribute."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence

import numpy as np

from ...pages import boxes, document, table
from ..evaluate import Evaluation
from .charts import WORDS
from .face import heat
from .others import Compared
from .pictures import Tile, jpeg
from .slider import SLIDER_STYLE, Slide, sliders
from .words import (
    figure_rows,
    names,
    not_found,
    number,
    region_rows,
    risk_rows,
    sweep_rows,
    unmeasured,
    verdict,
    versus_rows,
)

__all__ = ["page"]

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
    notes = [*filter(None, [not_found(result)]), *(f"{line}." for line in unmeasured(result))]
    parts = [
        f"<h1>{_e(title)}</h1>",
        _cards(done),
        *(f'<p class="note">{_e(line)}</p>' for line in notes),
        f'<ul class="stamp">{"".join(f"<li>{_e(line)}</li>" for line in done.protocol.words())}</ul>',
        f"<p><code>{_e(command)}</code></p>" if command else "",
        "<h2>Figures in %</h2>",
        table(figure_rows(result)),
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
    return document(title, parts, style=SLIDER_STYLE)


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
    return boxes(cards)


def _versus(
    done: Evaluation,
    one: Compared,
    number_: int,
    galleries: Mapping[str, Sequence[Tile]],
    slides: Mapping[str, Sequence[Slide]],
) -> str:
    ours, theirs = _e(done.protocol.weights), _e(one.other.name)
    text = (
        f"<h2>Against {theirs}</h2><p>{_e(verdict(done, one))}</p>{table(versus_rows(done, one))}"
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
    rows = region_rows(values, names(compared, "regions"))
    low, high = min(points.values()), max(points.values())
    colours = [heat(value, low, high) for value in sorted(values.values(), reverse=True)]
    dots = [f'<span class="dot" style="background: {colour}"></span>' for colour in colours]
    return table(rows, dots, plain=True)


def _points(done: Evaluation, compared: Sequence[Compared]) -> str:
    if not done.result["points"]:
        return ""
    rows = table(region_rows(done.result["points"], names(compared, "points")), plain=True)
    return f"<details><summary>All {len(done.result['points'])} points</summary>{rows}</details>"


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
        f'quality are left out.{area}</p><div class="pair">{half}<div>{table(risk_rows(told["risk"]))}</div></div>'
    )


def _sweep(done: Evaluation, charts: Mapping[str, str], words: str) -> str:
    if "shift" not in charts:
        return ""
    sweep = done.result["robustness"]
    passes = "with the second pass" if done.protocol.second_pass else "in one pass, not cropped again"
    return (
        f"<h2>If the box is wrong</h2><p>The annotation's box moved and scaled, {passes}. A shift is the mean of "
        f"{sweep['directions']} directions. NME ({words}).</p>"
        f'<div class="pair">{charts["shift"]}{charts["scale"]}</div>{table(sweep_rows(sweep))}'
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


def _base64(picture: np.ndarray) -> str:
    return base64.b64encode(jpeg(picture)).decode()


def _e(text: str) -> str:
    return html.escape(text)
