"""Faces over a photograph as SVG: sharp at any size, with names and confidence on hover (``title`` elements)."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from html import escape

import numpy as np
import numpy.typing as npt

from ..faces.face import Face
from .basics import RAMP, SHADE, Colour, confidence_colour
from .faces import Sizes, Style, face_sizes

__all__ = ["faces_svg"]

_STYLE = (
    "g.face line{stroke-linecap:round} g.face circle{transition:r .1s} g.face circle:hover{stroke:#fff} "
    "text{font:600 1px sans-serif;fill:#fff;paint-order:stroke;stroke:#262a33;stroke-width:.2px}"
)


def faces_svg(picture: bytes, kind: str, width: int, height: int, faces: Sequence[Face], style: Style = Style()) -> str:
    """Return an SVG of a photograph with every face's box, lines and points.

    A face's title is its number and score; a point's is its name, its index and its confidence.

    Args:
        picture: the photograph as a JPEG or PNG file, upright.
        kind: ``jpeg`` or ``png``.
        width: of the photograph in pixels.
        height: the same.
        faces: in its pixels.
        style: what is drawn; ``labels`` are written beside the points, too.
    """
    data = base64.b64encode(picture).decode()
    # Half a pixel lies between a pixel's centre, which points count from, and its corner, which SVG counts from.
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="-0.5 -0.5 {width} {height}">',
        f"<style>{_STYLE}</style>",
        f'<image x="-0.5" y="-0.5" width="{width}" height="{height}" href="data:image/{kind};base64,{data}"/>',
    ]
    for face in faces:
        parts += _face(face, style, style.numbers and (len(faces) > 1 or style.lone_number))
    if style.legend:
        parts += _legend(width, height)
    return "\n".join([*parts, "</svg>\n"])


def _face(face: Face, style: Style, several: bool) -> Iterator[str]:
    finite: npt.NDArray[np.bool_] = np.asarray(np.isfinite(face.xy).all(axis=1))
    across = float(np.ptp(face.xy[finite], axis=0).max()) if finite.sum() > 1 else 50.0
    sizes = face_sizes(max(across, 44.0))
    told = "" if face.quality is None else f", quality {face.quality:.2f}"
    dashes = f' stroke-dasharray="{4 * sizes.line:.2f}"' if style.dashed(face) else ""
    yield f'<g class="face"><title>face {face.id}, score {face.score:.2f}{told}</title>'
    if style.box and np.isfinite(face.box).all():
        x1, y1, x2, y2 = (float(v) for v in face.box)
        reach = 0.2 * min(x2 - x1, y2 - y1)
        path = " ".join(
            f"M{x + dx * reach:.2f} {y:.2f}H{x:.2f}V{y + dy * reach:.2f}"
            for x, y, dx, dy in ((x1, y1, 1, 1), (x2, y1, -1, 1), (x2, y2, -1, -1), (x1, y2, 1, -1))
        )
        if dashes:
            path = f"M{x1:.2f} {y1:.2f}H{x2:.2f}V{y2:.2f}H{x1:.2f}Z"
        for wide, colour, cover in ((sizes.frame + 2 * sizes.rim, SHADE, 0.6), (sizes.frame, (255, 255, 255), 0.9)):
            stroke = f'stroke="{_hex(colour)}" stroke-opacity="{cover}" stroke-width="{wide:.2f}"{dashes}'
            yield f'<path d="{path}" fill="none" {stroke}/>'
        if several:
            yield _words(str(face.id), x1, y1 - 3 * sizes.frame, 8 * sizes.frame)
    if style.edges:
        for wide, colour, cover in ((sizes.line + 2 * sizes.rim, SHADE, 0.6), (sizes.line, (255, 255, 255), 0.75)):
            for i, j in face.scheme.edges:
                if finite[i] and finite[j]:
                    (xa, ya), (xb, yb) = face.xy[i].tolist(), face.xy[j].tolist()
                    yield (
                        f'<line x1="{xa:.2f}" y1="{ya:.2f}" x2="{xb:.2f}" y2="{yb:.2f}" stroke="{_hex(colour)}" '
                        f'stroke-opacity="{cover}" stroke-width="{wide:.2f}"{dashes}/>'
                    )
    for place in np.flatnonzero(finite):
        yield _point(face, int(place), sizes, style)
    yield "</g>"


def _point(face: Face, i: int, sizes: Sizes, style: Style) -> str:
    x, y = face.xy[i].tolist()
    sure, name = float(face.confidence[i]), face.scheme.names[i]
    colour, ring = _hex(confidence_colour(sure)), sure < style.low
    # A ring's middle takes the pointer too.
    paint = (
        f'r="{1.5 * sizes.dot:.2f}" fill="#000" fill-opacity="0" stroke="{colour}" stroke-width="{0.75 * sizes.dot:.2f}"'
        if ring
        else f'r="{sizes.dot:.2f}" fill="{colour}" stroke="{_hex(SHADE)}" stroke-width="{1.2 * sizes.rim:.2f}"'
    )
    title = f"{escape(name)} ({i}), confidence {sure:.2f}"
    words = {"index": str(i), "name": name}.get(style.labels, "")
    label = _words(words, x + 1.5 * sizes.dot, y - 1.2 * sizes.dot, 3 * sizes.dot) if words else ""
    return f'<circle cx="{x:.2f}" cy="{y:.2f}" {paint}><title>{title}</title></circle>{label}'


def _legend(width: int, height: int) -> Iterator[str]:
    size = float(np.clip(0.016 * max(width, height), 9.0, 60.0))
    stops = "".join(f'<stop offset="{at}" stop-color="{_hex(colour)}"/>' for at, colour in RAMP)
    yield f'<defs><linearGradient id="confidence">{stops}</linearGradient></defs>'
    left, base = 0.8 * size, height - 1.6 * size
    yield (
        f'<rect x="{left}" y="{base - 1.3 * size}" width="{20.5 * size}" height="{2 * size}" rx="{0.3 * size}" '
        'fill="#262a33" fill-opacity=".7"/>'
    )
    yield _words("confidence 0", left + 0.6 * size, base, size)
    bar = f'y="{base - 0.8 * size}" width="{10 * size}" height="{size}"'
    yield f'<rect x="{left + 8.2 * size}" {bar} fill="url(#confidence)"/>'
    yield _words("1", left + 19 * size, base, size)


def _words(words: str, x: float, y: float, size: float) -> str:
    return f'<text transform="translate({x:.2f} {y:.2f}) scale({size:.2f})">{escape(words)}</text>'


def _hex(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
