"""Where on the face the errors are: every point on the mean face, its colour and size by its error."""

from __future__ import annotations

import html
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ...schemes.sets import Scheme

Array = npt.NDArray[np.float64]

__all__ = ["face_svg", "heat", "mean_shape"]

_RAMP = ((44, 159, 163), (224, 168, 38), (212, 61, 81))
_SIDE, _PAD = 460.0, 30.0


def mean_shape(truth: npt.ArrayLike, rounds: int = 3) -> Array:
    """Return the mean face ``(K, 2)``: upright, about the origin, 1 across its longer side; nan = never labelled.

    Generalised Procrustes analysis (Gower): each face is moved, turned and scaled onto the mean of all, then the mean
    is taken again. The first mean is of faces in their boxes, so that it stands as most faces stand.

    Args:
        truth: ``(N, K, 2)`` points; nan = not labelled.
        rounds: how often.
    """
    xy = np.asarray(truth, dtype=np.float64)
    z = xy[..., 0] + 1j * xy[..., 1]
    there = np.isfinite(z)
    z, there = z[there.sum(axis=1) >= 2], there[there.sum(axis=1) >= 2]
    filled = np.where(there, z, 0)
    count = there.sum(axis=1, keepdims=True)
    centred = np.where(there, z - filled.sum(axis=1, keepdims=True) / np.maximum(count, 1), 0)
    size = np.sqrt((np.abs(centred) ** 2).sum(axis=1, keepdims=True) / np.maximum(count, 1))
    shapes = centred / np.where(size > 0, size, 1)
    mean = _average(np.asarray(shapes, np.complex128), there)
    for _ in range(rounds):
        known = there & np.isfinite(mean)
        target = np.where(known, mean, 0)
        target = np.where(
            known, target - target.sum(axis=1, keepdims=True) / np.maximum(known.sum(1, keepdims=True), 1), 0
        )
        middle = np.where(known, shapes, 0).sum(axis=1, keepdims=True) / np.maximum(known.sum(1, keepdims=True), 1)
        own = np.where(known, shapes - middle, 0)
        power = (np.abs(own) ** 2).sum(axis=1, keepdims=True)
        turn = (np.conj(own) * target).sum(axis=1, keepdims=True) / np.where(power > 0, power, 1)
        offset = np.where(known, mean, 0).sum(axis=1, keepdims=True) / np.maximum(known.sum(1, keepdims=True), 1)
        mean = _average(turn * (shapes - middle) + offset, there)
    points = np.stack([mean.real, mean.imag], axis=-1)
    low, high = np.nanmin(points, axis=0), np.nanmax(points, axis=0)
    return np.asarray((points - (low + high) / 2) / max(float((high - low).max()), 1e-12))


def _average(shapes: npt.NDArray[np.complex128], there: npt.NDArray[np.bool_]) -> npt.NDArray[np.complex128]:
    count = there.sum(axis=0)
    total = np.where(there, shapes, 0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), complex(np.nan, np.nan))


def heat(value: float, low: float, high: float) -> str:
    """Return the colour of an error between the least and the greatest: blue-green, amber, red."""
    at = float(np.clip((value - low) / (high - low), 0, 1)) if high > low else 0.0
    r, g, b = (round(float(np.interp(at, [0, 0.5, 1], [colour[c] for colour in _RAMP]))) for c in range(3))
    return f"#{r:02x}{g:02x}{b:02x}"


def face_svg(mean: npt.ArrayLike, scheme: Scheme, points: Mapping[str, float], regions: Mapping[str, float]) -> str:
    """Return the mean face: a point's colour and size are its error, a line's colour that of its region.

    Args:
        mean: ``(K, 2)`` of :func:`mean_shape`.
        scheme: its names, lines and regions.
        points: point → NME in percent.
        regions: region → NME in percent.
    """
    xy = np.asarray(mean, dtype=np.float64)
    span = np.nanmax(xy, axis=0) - np.nanmin(xy, axis=0)
    scale = _SIDE - 2 * _PAD
    width, height = scale * span[0] + 2 * _PAD, scale * span[1] + 2 * _PAD + 46
    at = (xy - np.nanmin(xy, axis=0)) * scale + _PAD
    low, high = (min(points.values()), max(points.values())) if points else (0.0, 1.0)
    parts = []
    for i, j in scheme.edges:
        if not np.isfinite(at[[i, j]]).all():
            continue
        homes = [name for name, indices in scheme.regions.items() if i in indices and j in indices and name in regions]
        home = min(homes, key=lambda name: len(scheme.regions[name]), default=None)
        colour = heat(regions[home], low, high) if home else "var(--rule)"
        parts.append(
            f'<line x1="{at[i, 0]:.1f}" y1="{at[i, 1]:.1f}" x2="{at[j, 0]:.1f}" y2="{at[j, 1]:.1f}" '
            f'stroke="{colour}" stroke-width="5" stroke-linecap="round" opacity=".38"/>'
        )
    for i, name in enumerate(scheme.names):
        if name not in points or not np.isfinite(at[i]).all():
            continue
        share = (points[name] - low) / (high - low) if high > low else 0.0
        words = html.escape(f"{i} {name}: {points[name]:.2f} %")
        parts.append(
            f'<circle cx="{at[i, 0]:.1f}" cy="{at[i, 1]:.1f}" r="{3.2 + 4.8 * share:.1f}" '
            f'fill="{heat(points[name], low, high)}"><title>{words}</title></circle>'
        )
    stops = "".join(f'<stop offset="{k / 2:g}" stop-color="{heat(k / 2, 0, 1)}"/>' for k in range(3))
    y, end = height - 34, width - _PAD
    parts.append(
        f'<defs><linearGradient id="heat">{stops}</linearGradient></defs>'
        f'<rect x="{_PAD:g}" y="{y:.1f}" width="{end - _PAD:.1f}" height="8" rx="4" fill="url(#heat)"/>'
        f'<text x="{_PAD:g}" y="{y + 26:.1f}">{low:.2f} %</text>'
        f'<text x="{end:.1f}" y="{y + 26:.1f}" text-anchor="end">{high:.2f} %</text>'
    )
    return (
        f'<svg class="chart" viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
        f'aria-label="Error of every point on the mean face">{"".join(parts)}</svg>'
    )
