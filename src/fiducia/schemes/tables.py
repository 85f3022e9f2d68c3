"""The indices of the known landmark sets: what each data set's own annotation means, 0-based.

Left and right are the **person's own**: ``right_eye`` is the eye nearer the picture's left border in a frontal face.
Sources: the data sets' papers and mark-up pictures; mirror pairs and normalisers as mmpose's metainfo, FaRL's and
HRNet's evaluation state them, which agree with each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["CONVERSIONS", "TABLES"]


def _r(first: int, last: int) -> tuple[int, ...]:
    """Return ``first..last``, both included, counting down where ``last`` is smaller."""
    return tuple(range(first, last + 1)) if last >= first else tuple(range(first, last - 1, -1))


# For each set: regions, in drawing order; paths (open) and rings (closed) that edges are made of; the mirror
# permutation. The names of the points stand in point_names.py.
_PUBLISHED: Mapping[str, Mapping[str, Any]] = {
    # iBUG 300-W (Sagonas et al. 2013), the Multi-PIE mark-up.
    "ibug68": {
        "regions": {
            "contour": _r(0, 16),
            "right_brow": _r(17, 21),
            "left_brow": _r(22, 26),
            "nose": _r(27, 35),
            "right_eye": _r(36, 41),
            "left_eye": _r(42, 47),
            "outer_lip": _r(48, 59),
            "inner_lip": _r(60, 67),
        },
        "paths": [_r(0, 16), _r(17, 21), _r(22, 26), _r(27, 30), _r(31, 35)],
        "rings": [_r(36, 41), _r(42, 47), _r(48, 59), _r(60, 67)],
        "mirror": (
            *_r(16, 0), *_r(26, 17), *_r(27, 30), *_r(35, 31), *_r(45, 42), 47, 46, *_r(39, 36), 41, 40,
            *_r(54, 48), *_r(59, 55), *_r(64, 60), *_r(67, 65),
        ),
        "inter_ocular": (36, 45),
        "inter_pupil": (_r(36, 41), _r(42, 47)),
    },
    # WFLW (Wu et al. 2018, "Look at Boundary").
    "wflw98": {
        "regions": {
            "contour": _r(0, 32),
            "right_brow": _r(33, 41),
            "left_brow": _r(42, 50),
            "nose": _r(51, 59),
            "right_eye": _r(60, 67),
            "left_eye": _r(68, 75),
            "outer_lip": _r(76, 87),
            "inner_lip": _r(88, 95),
            "pupils": (96, 97),
        },
        "paths": [_r(0, 32), _r(51, 54), _r(55, 59)],
        "rings": [_r(33, 41), _r(42, 50), _r(60, 67), _r(68, 75), _r(76, 87), _r(88, 95)],
        "mirror": (
            *_r(32, 0), *_r(46, 42), *_r(50, 47), *_r(37, 33), *_r(41, 38), *_r(51, 54), *_r(59, 55),
            *_r(72, 68), *_r(75, 73), *_r(64, 60), *_r(67, 65), *_r(82, 76), *_r(87, 83), *_r(92, 88), *_r(95, 93),
            97, 96,
        ),
        "inter_ocular": (60, 72),
        "inter_pupil": ((96,), (97,)),
    },
    # COFW (Burgos-Artizzu et al. 2013), the LFPW mark-up; even indices stand on the person's right. Rings as in ADNet.
    "cofw29": {
        "regions": {
            "right_brow": (0, 4, 2, 5),
            "left_brow": (1, 6, 3, 7),
            "right_eye": (8, 12, 10, 13),
            "left_eye": (9, 14, 11, 15),
            "pupils": (16, 17),
            "nose": (18, 20, 19, 21),
            "outer_lip": (22, 24, 23, 27),
            "inner_lip": (22, 25, 23, 26),
            "contour": (28,),
        },
        "paths": [],
        "rings": [
            (0, 4, 2, 5), (1, 6, 3, 7), (8, 12, 10, 13), (9, 14, 11, 15), (18, 20, 19, 21), (22, 24, 23, 27),
            (22, 25, 23, 26),
        ],
        "mirror": (
            1, 0, 3, 2, 6, 7, 4, 5, 9, 8, 11, 10, 14, 15, 12, 13, 17, 16, 19, 18, 20, 21, 23, 22, 24, 25, 26, 27, 28,
        ),
        "inter_ocular": (8, 9),
        "inter_pupil": ((16,), (17,)),
    },
    # AFLW (Koestinger et al. 2011) without the two ears, as Zhu et al. 2016 use it.
    "aflw19": {
        "regions": {
            "right_brow": (0, 1, 2),
            "left_brow": (3, 4, 5),
            "right_eye": (6, 7, 8),
            "left_eye": (9, 10, 11),
            "nose": (12, 13, 14),
            "outer_lip": (15, 16, 17),
            "contour": (18,),
        },
        "paths": [(0, 1, 2), (3, 4, 5), (6, 7, 8), (9, 10, 11), (12, 13, 14), (15, 16, 17)],
        "rings": [],
        "mirror": (5, 4, 3, 2, 1, 0, 11, 10, 9, 8, 7, 6, 14, 13, 12, 17, 16, 15, 18),
        "inter_ocular": (6, 11),
        "inter_pupil": ((7,), (10,)),
    },
    # LaPa and the JD-landmark challenge (Liu et al. 2019, 2020). Neither published a table of names: the order is the
    # one that their pictures and annotations show. LaPa's own code normalises by the outer eye corners, 66 and 79.
    # 74 and 104, and 83 and 105, are the centre of an eye and its pupil; LaPa gives each pair one position.
    "lapa106": {
        "regions": {
            "contour": _r(0, 32),
            "right_brow": _r(33, 41),
            "left_brow": _r(42, 50),
            "nose": _r(51, 65),
            "right_eye": _r(66, 73),
            "left_eye": _r(75, 82),
            "outer_lip": _r(84, 95),
            "inner_lip": _r(96, 103),
            "eye_centres": (74, 83),
            "pupils": (104, 105),
        },
        "paths": [_r(0, 32), _r(51, 54), _r(55, 65)],
        "rings": [_r(33, 41), _r(42, 50), _r(66, 73), _r(75, 82), _r(84, 95), _r(96, 103)],
        "mirror": (
            *_r(32, 0), *_r(46, 42), *_r(50, 47), *_r(37, 33), *_r(41, 38), *_r(51, 54), *_r(65, 55),
            *_r(79, 75), *_r(82, 80), 83, *_r(70, 66), *_r(73, 71), 74, *_r(90, 84), *_r(95, 91), *_r(100, 96),
            *_r(103, 101), 105, 104,
        ),
        "inter_ocular": (66, 79),
        "inter_pupil": ((104,), (105,)),
    },
    # Five points, in the order of MTCNN, RetinaFace and YuNet (whose "left" is the picture's left).
    "five": {
        "regions": {"right_eye": (0,), "left_eye": (1,), "nose": (2,), "outer_lip": (3, 4)},
        "paths": [(0, 2), (1, 2), (2, 3), (2, 4), (3, 4)],
        "rings": [],
        "mirror": (1, 0, 2, 4, 3),
        "inter_ocular": None,
        "inter_pupil": ((0,), (1,)),
    },
}  # fmt: skip


def _shifted(values: Any, first: int) -> Any:
    """Return indices, or tuples of them, counted from ``first``."""
    return values - first if isinstance(values, int) else tuple(_shifted(value, first) for value in values)


def _inner(table: Mapping[str, Any], first: int) -> dict[str, Any]:
    """Return a set without its first points: the contour and what is drawn through it."""
    moved = {key: _shifted(table[key], first) for key in ("rings", "inter_ocular", "inter_pupil")}
    return {
        **moved,
        "regions": {name: _shifted(indices, first) for name, indices in table["regions"].items() if name != "contour"},
        "paths": [_shifted(path, first) for path in table["paths"] if min(path) >= first],
        "mirror": _shifted(table["mirror"][first:], first),
    }


# The inner 51 of the 68 points: the protocols of 300-W also give errors without the contour.
TABLES: Mapping[str, Mapping[str, Any]] = {**_PUBLISHED, "ibug51": _inner(_PUBLISHED["ibug68"], 17)}

_98_TO_68 = (
    *range(0, 33, 2),
    *_r(33, 37),
    *_r(42, 46),
    *_r(51, 59),
    60,
    61,
    63,
    64,
    65,
    67,
    68,
    69,
    71,
    72,
    73,
    75,
    *_r(76, 95),
)
_106_TO_68 = (
    *range(0, 33, 2),
    *_r(33, 37),
    *_r(42, 46),
    *_r(51, 54),
    *_r(58, 62),
    66,
    67,
    69,
    70,
    71,
    73,
    75,
    76,
    78,
    79,
    80,
    82,
    *_r(84, 103),
)
_106_TO_98 = (*_r(0, 54), *_r(58, 62), *_r(66, 73), *_r(75, 82), *_r(84, 105))
# Where a brow has one point for its inner end or its middle, that is the mean of the upper and the lower edge; the mouth's
# middle is that of the inner lips.
_98_TO_29 = (
    33,
    46,
    (37, 38),
    (42, 50),
    35,
    40,
    44,
    48,
    60,
    72,
    64,
    68,
    62,
    66,
    70,
    74,
    96,
    97,
    55,
    59,
    54,
    57,
    76,
    82,
    79,
    90,
    94,
    85,
    16,
)
_98_TO_19 = (
    33,
    (35, 40),
    (37, 38),
    (42, 50),
    (44, 48),
    46,
    60,
    96,
    64,
    68,
    97,
    72,
    55,
    54,
    59,
    76,
    (90, 94),
    82,
    16,
)
_29_TO_19 = (0, (4, 5), 2, 3, (6, 7), 1, 8, 16, 10, 11, 17, 9, 18, 20, 19, 22, (25, 26), 23, 28)

Groups = tuple[tuple[int, ...], ...]


def _groups(chosen: Sequence[int | tuple[int, ...]]) -> Groups:
    return tuple((i,) if isinstance(i, int) else i for i in chosen)


def _after(first: Sequence[int], then: Groups) -> Groups:
    """Return the conversion that selects points ``first``, and then converts those."""
    return tuple(tuple(first[i] for i in group) for group in then)


# (from, to) → for each target point the source points whose mean it is.
# 98 → 68 is the map that LAB's authors and everyone after them use; 106 → 68 the one of mmpose's face model.
# An eye's centre in ``five`` is the mean of its outline, or the annotated centre where there is no outline.
_68_TO_5: Groups = (_r(36, 41), _r(42, 47), (30,), (48,), (54,))
CONVERSIONS: Mapping[tuple[str, str], Groups] = {
    ("ibug68", "ibug51"): _groups(_r(17, 67)),
    ("ibug68", "five"): _68_TO_5,
    ("ibug51", "five"): _shifted(_68_TO_5, 17),
    ("wflw98", "ibug68"): _groups(_98_TO_68),
    ("wflw98", "ibug51"): _groups(_98_TO_68[17:]),
    ("wflw98", "cofw29"): _groups(_98_TO_29),
    ("wflw98", "aflw19"): _groups(_98_TO_19),
    ("wflw98", "five"): (_r(60, 67), _r(68, 75), (54,), (76,), (82,)),
    ("lapa106", "wflw98"): _groups(_106_TO_98),
    ("lapa106", "ibug68"): _groups(_106_TO_68),
    ("lapa106", "ibug51"): _groups(_106_TO_68[17:]),
    ("lapa106", "cofw29"): _after(_106_TO_98, _groups(_98_TO_29)),
    ("lapa106", "aflw19"): _after(_106_TO_98, _groups(_98_TO_19)),
    ("lapa106", "five"): (_r(66, 73), _r(75, 82), (54,), (84,), (90,)),
    ("cofw29", "aflw19"): _groups(_29_TO_19),
    ("cofw29", "five"): ((16,), (17,), (20,), (22,), (23,)),
    ("aflw19", "five"): ((7,), (10,), (13,), (15,), (17,)),
}  # fmt: skip
