"""A numbered chart of a landmark set: its points on a face, with their numbers, as SVG. A point's name shows on hover."""

from __future__ import annotations

import html

import numpy as np
import numpy.typing as npt

from ..schemes.sets import Scheme

__all__ = ["scheme_chart"]

Array = npt.NDArray[np.float64]

_WIDTH, _PAD, _LABEL = 880.0, 34.0, 13.0
_COLOURS = {
    "contour": "#5b6270",
    "right_brow": "#b4541c",
    "left_brow": "#1f66be",
    "right_eye": "#b4541c",
    "left_eye": "#1f66be",
    "nose": "#168c6e",
    "outer_lip": "#963fa0",
    "inner_lip": "#c22f50",
    "pupils": "#111418",
    "eye_centres": "#8a6d00",
}


def scheme_chart(scheme: Scheme, xy: npt.ArrayLike, ghost: tuple[Scheme, npt.ArrayLike] | None = None) -> str:
    """Return the chart as SVG on a light ground, 880 units wide.

    Args:
        scheme: the landmark set; its edges are drawn, and its regions have a colour each.
        xy: ``(K, 2)`` points of an upright face in any unit, y down. Where two points coincide, their numbers stand together.
        ghost: another set and its points of the same face, whose lines are drawn faintly below: a set of few points shows
            where on the face they are.
    """
    points = np.asarray(xy, dtype=np.float64)
    below = np.asarray(ghost[1], dtype=np.float64) if ghost is not None else points
    low, high = below.min(axis=0), below.max(axis=0)
    scale = (_WIDTH - 2 * _PAD) / max(float(high[0] - low[0]), 1e-9)
    points, below = (points - low) * scale + _PAD, (below - low) * scale + _PAD
    height = float((high[1] - low[1]) * scale + 2 * _PAD)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:.0f} {height:.0f}" role="img" '
        f'font-family="Helvetica, Arial, sans-serif" font-size="{_LABEL:.0f}">',
        f"<title>The {scheme.num_points} points of {html.escape(scheme.name)}</title>",
        f'<rect width="{_WIDTH:.0f}" height="{height:.0f}" fill="#fcfcfa"/>',
    ]
    if ghost is not None:
        lines += _edges(ghost[0], below, "#e9e9e6")
    lines += _edges(scheme, points, "#b9bdc6")
    groups: dict[tuple[float, float], list[int]] = {}
    for i, (x, y) in enumerate(points):
        groups.setdefault((round(float(x), 1), round(float(y), 1)), []).append(i)
    for (x, y), members in groups.items():
        region = _home(scheme, members[0])
        colour = _COLOURS.get(region, "#1f66be")
        dx, dy = _outward(scheme, points, members[0], region)
        names = ", ".join(f"{i} {scheme.names[i]}" for i in members)
        text = ", ".join(map(str, members))
        lines.append(
            f'<g fill="{colour}"><title>{html.escape(names)}</title><circle cx="{x}" cy="{y}" r="3.5"/>'
            f'<text x="{x + 14 * dx:.1f}" y="{y + 14 * dy + 0.36 * _LABEL:.1f}" '
            f'text-anchor="{_anchor(dx, len(text))}">{text}</text></g>'
        )
    return "\n".join([*lines, "</svg>", ""])


def _edges(scheme: Scheme, points: Array, colour: str) -> list[str]:
    return [
        f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="{colour}" stroke-width="1.5"/>'
        for (x1, y1), (x2, y2) in ((points[i], points[j]) for i, j in scheme.edges)
    ]


def _home(scheme: Scheme, point: int) -> str:
    """Return the first region that a point belongs to, empty if none."""
    return next((name for name, indices in scheme.regions.items() if point in indices), "")


def _outward(scheme: Scheme, points: Array, i: int, region: str) -> tuple[float, float]:
    """Return the direction in which a point's number has room: away from its region's middle, but into an open mouth."""
    own = list(scheme.regions.get(region, range(len(points))))
    away = points[i] - points[own].mean(axis=0)
    if region == "contour":
        away = points[i] - (points[:, 0].mean(), points[:, 1].min() + 0.25 * float(np.ptp(points[:, 1])))
    elif region == "inner_lip":
        away = -away * np.array([0.35, 1.0])
    elif region in ("right_brow", "left_brow"):
        # A brow is long and thin: its two edges count, not its middle.
        away = away * np.array([0.25, 3.0]) if len(own) > 5 else np.array([0.0, -1.0])
    elif region == "nose":
        away = np.array([1.0, 0.0]) if abs(away[0]) < 0.2 * float(np.ptp(points[own][:, 0]) + 1e-9) else away
        base = points[i, 1] >= np.sort(points[own][:, 1])[-min(5, len(own))] - 1e-6
        away = np.array([0.0, 1.0]) if base and len(own) > 4 else away
    elif region in ("pupils", "eye_centres"):
        away = np.array([1.0, 0.0])
    elif region in ("right_eye", "left_eye"):
        away = away * np.array([0.6, 2.0])
    length = float(np.hypot(*away))
    return (float(away[0]) / length, float(away[1]) / length) if length > 1e-9 else (0.0, -1.0)


def _anchor(dx: float, letters: int) -> str:
    if letters > 3 or abs(dx) > 0.75:
        return "start" if dx > 0 else "end"
    return "middle"
