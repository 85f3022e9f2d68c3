"""The smooth curve through a row of landmarks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["spline"]


def spline(points: Tensor, closed: bool = False, steps: int = 5) -> Tensor:
    """Return places on the interpolating cubic spline through points, parametrised by chord length.

    An open curve ends without a knot at its last but one point (a parabola through three points, a straight line through
    two); a closed one is periodic. Degree and ends are those of the published edge maps of ADNet and STAR.

    Args:
        points: ``(..., n, 2)``, n of 2 or more, all finite.
        closed: the last point is joined to the first; ignored for two points.
        steps: places a segment, evenly spaced in the parameter.

    Returns:
        ``(..., segments * steps + 1, 2)``; the first place is the first point and the last one the last, or again the first.
    """
    n = points.shape[-2]
    ring = closed and n > 2
    ends = torch.cat([points, points[..., :1, :]], dim=-2) if ring else points
    delta = ends.diff(dim=-2)
    chord = delta.square().sum(-1).sqrt().clamp(min=1e-3)
    slope = delta / chord[..., None]
    if n == 2:
        bend = torch.zeros_like(ends)
    elif n == 3 and not ring:
        # A parabola: one second derivative.
        bend = (2 * slope.diff(dim=-2) / chord.sum(-1)[..., None, None]).expand_as(ends)
    else:
        bend = _second_derivatives(slope, chord, ring)
    t = torch.arange(steps, dtype=points.dtype, device=points.device) / steps
    start, end = (1 - t)[:, None], t[:, None]
    a, b = ends[..., :-1, None, :], ends[..., 1:, None, :]
    curve = start * a + end * b
    weight = chord[..., None, None].square() / 6
    curve = curve + weight * ((start**3 - start) * bend[..., :-1, None, :] + (end**3 - end) * bend[..., 1:, None, :])
    return torch.cat([curve.flatten(-3, -2), ends[..., -1:, :]], dim=-2)


def _second_derivatives(slope: Tensor, chord: Tensor, ring: bool) -> Tensor:
    """Return the second derivatives at the knots ``(..., segments + 1, 2)``.

    Args:
        slope: of the chords ``(..., segments, 2)``.
        chord: their lengths ``(..., segments)``.
        ring: the curve is periodic.
    """
    before, after = (chord.roll(1, -1), chord) if ring else (chord[..., :-1], chord[..., 1:])
    middle = 2 * (before + after)
    turn = 6 * (slope - slope.roll(1, -2) if ring else slope.diff(dim=-2))
    if ring:
        matrix = torch.diag_embed(middle) + torch.diag_embed(before).roll(-1, -1) + torch.diag_embed(after).roll(1, -1)
        bend = torch.linalg.solve(matrix, turn)
        return torch.cat([bend, bend[..., :1, :]], dim=-2)
    rows = [F.pad(torch.diag_embed(v), (i, 2 - i)) for i, v in enumerate((before, middle, after))]
    first, last = _end(chord[..., 0], chord[..., 1]), _end(chord[..., -1], chord[..., -2]).flip(-1)
    rest = (0, chord.shape[-1] - 2)
    inner = rows[0] + rows[1] + rows[2]
    matrix = torch.cat([F.pad(first, rest)[..., None, :], inner, F.pad(last, rest[::-1])[..., None, :]], dim=-2)
    bend = torch.linalg.solve(matrix, F.pad(turn, (0, 0, 1, 1)))
    return bend


def _end(outer: Tensor, inner: Tensor) -> Tensor:
    """Return the row ``(..., 3)`` of an open end: the third derivative does not jump at the neighbour of the end."""
    return torch.stack([inner, -(inner + outer), outer], dim=-1)
