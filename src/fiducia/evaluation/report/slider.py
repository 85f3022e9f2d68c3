"""Two sets of points over one face, with a line to drag between them: the annotation and the answer, or two answers.

The parts are a JPEG, two SVG layers that are cut at the line, and a range input over the whole, which a mouse, a finger
and the arrow keys move. One attribute of inline script carries its value to the style; without it the line stays in the middle.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...geometry import affine_apply
from ..evaluate import Evaluation
from .others import Compared
from .pictures import Image, face_crop, jpeg

Array = npt.NDArray[np.float64]

__all__ = ["SLIDER_STYLE", "Slide", "answers", "labels_and_answers", "sliders"]

_SIDE = 384

SLIDER_STYLE = """
.sliders { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: 1rem; }
.slider .stage { position: relative; overflow: hidden; border-radius: .4rem; } .slider svg { position: absolute; inset: 0;
width: 100%; height: 100%; } .slider svg path { fill: none; stroke-width: 1.4; stroke-opacity: .75; }
.slider circle { stroke: #000; stroke-opacity: .55; stroke-width: .8; }
.slider .first { color: #2ee66b; clip-path: inset(0 calc(100% - var(--cut)) 0 0); }
.slider .second { color: #ff5a4a; clip-path: inset(0 0 0 var(--cut)); }
.slider .first, .slider .second { fill: currentColor; stroke: currentColor; }
.slider i { position: absolute; inset: 0 auto 0 var(--cut); width: 0; border-left: 2px solid #fff; margin-left: -1px;
box-shadow: 0 0 4px #000; pointer-events: none; } .slider i::after { content: "\\2194"; position: absolute; top: 50%; left: -.9rem;
width: 1.7rem; height: 1.7rem; margin-top: -.85rem; border-radius: 50%; background: #fff; color: #222; font: 1rem/1.65rem
system-ui, sans-serif; text-align: center; box-shadow: 0 0 4px #000; }
.slider span { position: absolute; bottom: .4rem; padding: .05rem .4rem; border-radius: .3rem; background: rgb(0 0 0 / 65%);
font-size: .75rem; max-width: 47%; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; pointer-events: none; }
.slider span:first-of-type { left: .4rem; color: #2ee66b; } .slider span:last-of-type { right: .4rem; color: #ff8a7d; }
.slider input { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; opacity: 0; cursor: ew-resize;
touch-action: pan-y; appearance: none; } .slider input::-webkit-slider-thumb { appearance: none; width: 1px; height: 1px; }
.slider input::-moz-range-thumb { width: 1px; height: 1px; border: 0; }
.slider .stage:focus-within { outline: 3px solid var(--s0); outline-offset: 2px; }
"""


@dataclass(frozen=True, eq=False)
class Slide:
    """A face with two sets of points.

    Attributes:
        image: uint8 ``(384, 384, 3)`` RGB, nothing drawn.
        first: ``(K, 2)`` points left of the line, in pixels of the image; nan = none.
        second: ``(K, 2)`` points right of it.
        error: what stands below.
        id: of the face.
    """

    image: Image
    first: Array
    second: Array
    error: str
    id: str


def labels_and_answers(done: Evaluation, indices: Iterable[int], count: int) -> list[Slide]:
    """Return the first ``count`` of the faces that were found: the annotation to the left, the answer to the right."""
    values = done.scores.nme[done.kind]
    chosen = [i for i in indices if np.isfinite(values[i])][:count]
    return [_slide(done, i, done.records[i].xy, done.found[i], f"{100 * values[i]:.2f} %") for i in chosen]


def answers(done: Evaluation, one: Compared, indices: Iterable[int], count: int) -> list[Slide]:
    """Return the first ``count`` faces: the answer of this result to the left, that of the other to the right."""
    assert one.other.xy is not None
    ours, theirs = done.scores.nme[one.kind], one.other.nme[one.kind]
    return [
        _slide(done, i, done.found[i], one.other.xy[i], f"{100 * ours[i]:.2f} against {100 * theirs[i]:.2f} %")
        for i in list(indices)[:count]
    ]


def _slide(done: Evaluation, i: int, first: Array, second: Array, error: str) -> Slide:
    image, to_crop = face_crop(done, i, _SIDE)
    return Slide(image, affine_apply(to_crop, first), affine_apply(to_crop, second), error, done.records[i].id)


def sliders(slides: Sequence[Slide], edges: Sequence[tuple[int, int]], first: str, second: str) -> str:
    """Return faces with a line to drag, as HTML.

    Args:
        slides: the faces.
        edges: pairs of points that are joined.
        first: what the points left of the line are.
        second: what those right of it are.
    """
    left, right = html.escape(first), html.escape(second)
    words = html.escape(f"How much of the face shows {first}; the rest shows {second}", quote=True)
    shown = "".join(
        f'<figure class="slider" style="--cut: 50%"><div class="stage"><img alt="{html.escape(slide.id)}" loading="lazy" '
        f'src="data:image/jpeg;base64,{base64.b64encode(jpeg(slide.image)).decode()}">'
        f"{_layer(slide.first, edges, 'first')}{_layer(slide.second, edges, 'second')}<i></i><span>{left}</span>"
        f'<span>{right}</span><input type="range" min="0" max="100" value="50" step="0.5" aria-label="{words}" '
        "oninput=\"this.closest('figure').style.setProperty('--cut', this.value + '%')\"></div>"
        f"<figcaption><b>{html.escape(slide.error)}</b> {html.escape(slide.id)}</figcaption></figure>"
        for slide in slides
    )
    return f'<div class="sliders">{shown}</div>'


def _layer(xy: Array, edges: Sequence[tuple[int, int]], name: str) -> str:
    """Return the points and their lines as an ``<svg>``; an integer is a pixel's centre, half a unit into the view box."""
    at = xy + 0.5
    there = np.asarray(np.isfinite(at).all(axis=1))
    lines = "".join(
        f"M{at[i, 0]:.1f} {at[i, 1]:.1f}L{at[j, 0]:.1f} {at[j, 1]:.1f}" for i, j in edges if there[i] and there[j]
    )
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6"/>' for x, y in at[there])
    return f'<svg class="{name}" viewBox="0 0 {_SIDE} {_SIDE}" aria-hidden="true"><path d="{lines}"/>{dots}</svg>'
