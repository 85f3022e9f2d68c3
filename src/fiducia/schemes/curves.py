"""The curves of each landmark set: what networks and losses that draw a face's lines connect, and in which order.

Two published sets: the edges of ADNet and STAR, one map a curve; and the boundaries of LAB, AWing and PropNet, in which a
ring is cut at its corners. For every other landmark set the curves are the chains of its own edges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .sets import Scheme, get_scheme

__all__ = ["Curve", "boundary_curves", "curves"]


@dataclass(frozen=True)
class Curve:
    """A line through landmarks.

    Attributes:
        name: unique within its set.
        points: two or more indices in drawing order; none twice.
        closed: the last point is joined to the first.
    """

    name: str
    points: tuple[int, ...]
    closed: bool = False


def _r(first: int, last: int, *more: int) -> tuple[int, ...]:
    """Return ``first..last``, both included, and then ``more``."""
    return (*range(first, last + 1), *more)


# ADNet (Huang et al., ICCV 2021) and STAR (Zhou et al., CVPR 2023): the order is that of the checkpoints' edge maps. COFW's left
# eye is open in the published table.
_EDGES: Mapping[str, Sequence[Curve]] = {
    "ibug68": (
        Curve("contour", _r(0, 16)),
        Curve("right_brow", _r(17, 21)),
        Curve("left_brow", _r(22, 26)),
        Curve("nose_bridge", _r(27, 30)),
        Curve("nostrils", _r(31, 35)),
        Curve("right_eye", _r(36, 41), closed=True),
        Curve("left_eye", _r(42, 47), closed=True),
        Curve("outer_lip", _r(48, 59), closed=True),
        Curve("inner_lip", _r(60, 67), closed=True),
    ),
    "wflw98": (
        Curve("contour", _r(0, 32)),
        Curve("right_brow", _r(33, 41), closed=True),
        Curve("left_brow", _r(42, 50), closed=True),
        Curve("nose_bridge", _r(51, 54)),
        Curve("nostrils", _r(55, 59)),
        Curve("right_eye", _r(60, 67), closed=True),
        Curve("left_eye", _r(68, 75), closed=True),
        Curve("outer_lip", _r(76, 87), closed=True),
        Curve("inner_lip", _r(88, 95), closed=True),
    ),
    "cofw29": (
        Curve("right_brow", (0, 4, 2, 5), closed=True),
        Curve("left_brow", (1, 6, 3, 7), closed=True),
        Curve("right_eye", (8, 12, 10, 13), closed=True),
        Curve("left_eye", (9, 14, 11, 15)),
        Curve("nose", (18, 20, 19, 21), closed=True),
        Curve("lower_lip", (22, 26, 23, 27), closed=True),
        Curve("upper_lip", (22, 24, 23, 25), closed=True),
    ),
}

# LAB (Wu et al., CVPR 2018) and its successors. AWing draws WFLW without the two lower brows.
_BOUNDARIES: Mapping[str, Sequence[Curve]] = {
    "ibug68": (
        Curve("contour", _r(0, 16)),
        Curve("right_brow", _r(17, 21)),
        Curve("left_brow", _r(22, 26)),
        Curve("nose_bridge", _r(27, 30)),
        Curve("nostrils", _r(31, 35)),
        Curve("right_eye_top", _r(36, 39)),
        Curve("right_eye_bottom", _r(39, 41, 36)),
        Curve("left_eye_top", _r(42, 45)),
        Curve("left_eye_bottom", _r(45, 47, 42)),
        Curve("upper_lip_top", _r(48, 54)),
        Curve("lower_lip_bottom", _r(54, 59, 48)),
        Curve("upper_lip_bottom", _r(60, 64)),
        Curve("lower_lip_top", _r(64, 67, 60)),
    ),
    "wflw98": (
        Curve("contour", _r(0, 32)),
        Curve("right_brow_top", _r(33, 37)),
        Curve("right_brow_bottom", _r(38, 41, 33)),
        Curve("left_brow_top", _r(42, 46)),
        Curve("left_brow_bottom", _r(46, 50)),
        Curve("nose_bridge", _r(51, 54)),
        Curve("nostrils", _r(55, 59)),
        Curve("right_eye_top", _r(60, 64)),
        Curve("right_eye_bottom", _r(64, 67, 60)),
        Curve("left_eye_top", _r(68, 72)),
        Curve("left_eye_bottom", _r(72, 75, 68)),
        Curve("upper_lip_top", _r(76, 82)),
        Curve("lower_lip_bottom", _r(82, 87, 76)),
        Curve("upper_lip_bottom", _r(88, 92)),
        Curve("lower_lip_top", _r(92, 95, 88)),
    ),
    "cofw29": (
        Curve("right_brow_top", (0, 4, 2)),
        Curve("right_brow_bottom", (2, 5, 0)),
        Curve("left_brow_top", (1, 6, 3)),
        Curve("left_brow_bottom", (3, 7, 1)),
        Curve("right_eye_top", (8, 12, 10)),
        Curve("right_eye_bottom", (10, 13, 8)),
        Curve("left_eye_top", (9, 14, 11)),
        Curve("left_eye_bottom", (11, 15, 9)),
        Curve("nostrils", (18, 21, 19)),
        Curve("nose_base", (20, 21)),
        Curve("lower_lip_top", (22, 26, 23)),
        Curve("lower_lip_bottom", (23, 27, 22)),
        Curve("upper_lip_top", (22, 24, 23)),
        Curve("upper_lip_bottom", (23, 25, 22)),
    ),
}


def curves(scheme: Scheme) -> tuple[Curve, ...]:
    """Return the edges of ADNet and STAR; for a landmark set without a published table, the chains of its own edges."""
    return _known(scheme, _EDGES) or _chains(scheme)


def boundary_curves(scheme: Scheme) -> tuple[Curve, ...]:
    """Return the boundaries of LAB and AWing; for a landmark set without a published table, the chains of its own edges."""
    return _known(scheme, _BOUNDARIES) or _chains(scheme)


def _known(scheme: Scheme, table: Mapping[str, Sequence[Curve]]) -> tuple[Curve, ...]:
    """Return a built-in set's curves; an own set that only bears its name has none here."""
    if scheme.name in table and get_scheme(scheme.name).names == scheme.names:
        return tuple(table[scheme.name])
    return ()


def _chains(scheme: Scheme) -> tuple[Curve, ...]:
    """Join edges that follow each other in the scheme: ``(0, 1), (1, 2), (2, 0), (3, 4)`` → a ring and a line."""
    lines: list[tuple[list[int], bool]] = []
    for start, end in scheme.edges:
        line, closed = lines[-1] if lines else ([], True)
        if closed or line[-1] != start or end in line[1:] or (end == line[0] and len(line) < 3):
            lines.append(([start, end], False))
        elif end == line[0]:
            lines[-1] = (line, True)
        else:
            line.append(end)
    return tuple(Curve(f"curve_{i}", tuple(line), closed) for i, (line, closed) in enumerate(lines))
