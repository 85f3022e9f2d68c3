"""The indices of the known landmark sets: what each data set's own annotation means, 0-based.

Left and right are the **person's own**: ``right_eye`` is the eye nearer the picture's left border in a frontal face.
Sources: the data sets' papers and mark-up pictures; mirror pairs and normalisers as mmpose's metainfo, FaRL's and
HRNet's evaluation state them, which agree with each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["CONVERSIONS", "TABLES"]


def _r(first: int, last: int) -> tuple[int, ...]:
    """Return ``first..last``, both included, counting down where ``last`` is smaller."""
    return tuple(range(first, last + 1)) if last >= first else tuple(range(first, last - 1, -1))


# For each set: regions, in drawing order; paths (open) and rings (closed) that edges are made of; the mirror
# permutation; marks, the names of points that have one of their own (the others are called REGION_NUMBER).
TABLES: Mapping[str, Mapping[str, Any]] = {
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
        "marks": {
            8: "chin", 30: "nose_tip", 36: "right_eye_outer", 39: "right_eye_inner", 42: "left_eye_inner",
            45: "left_eye_outer", 48: "right_mouth_corner", 54: "left_mouth_corner",
        },
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
        "marks": {
            16: "chin", 54: "nose_tip", 60: "right_eye_outer", 64: "right_eye_inner", 68: "left_eye_inner",
            72: "left_eye_outer", 76: "right_mouth_corner", 82: "left_mouth_corner", 96: "right_pupil",
            97: "left_pupil",
        },
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
        "marks": {
            0: "right_brow_outer", 1: "left_brow_outer", 2: "right_brow_inner", 3: "left_brow_inner",
            4: "right_brow_top", 5: "right_brow_bottom", 6: "left_brow_top", 7: "left_brow_bottom",
            8: "right_eye_outer", 9: "left_eye_outer", 10: "right_eye_inner", 11: "left_eye_inner",
            12: "right_eye_top", 13: "right_eye_bottom", 14: "left_eye_top", 15: "left_eye_bottom",
            16: "right_pupil", 17: "left_pupil", 18: "nose_right", 19: "nose_left", 20: "nose_tip", 21: "nose_base",
            22: "right_mouth_corner", 23: "left_mouth_corner", 24: "upper_lip_top", 25: "upper_lip_bottom",
            26: "lower_lip_top", 27: "lower_lip_bottom", 28: "chin",
        },
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
        "marks": {
            0: "right_brow_outer", 1: "right_brow_centre", 2: "right_brow_inner", 3: "left_brow_inner",
            4: "left_brow_centre", 5: "left_brow_outer", 6: "right_eye_outer", 7: "right_eye_centre",
            8: "right_eye_inner", 9: "left_eye_inner", 10: "left_eye_centre", 11: "left_eye_outer",
            12: "nose_right", 13: "nose_tip", 14: "nose_left", 15: "right_mouth_corner", 16: "mouth_centre",
            17: "left_mouth_corner", 18: "chin",
        },
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
        "marks": {
            16: "chin", 54: "nose_tip", 66: "right_eye_outer", 70: "right_eye_inner", 74: "right_eye_centre",
            75: "left_eye_inner", 79: "left_eye_outer", 83: "left_eye_centre", 84: "right_mouth_corner",
            90: "left_mouth_corner", 104: "right_pupil", 105: "left_pupil",
        },
        "inter_ocular": (66, 79),
        "inter_pupil": ((104,), (105,)),
    },
    # Five points, in the order of MTCNN, RetinaFace and YuNet (whose "left" is the picture's left).
    "five": {
        "regions": {"right_eye": (0,), "left_eye": (1,), "nose": (2,), "outer_lip": (3, 4)},
        "paths": [(0, 2), (1, 2), (2, 3), (2, 4), (3, 4)],
        "rings": [],
        "mirror": (1, 0, 2, 4, 3),
        "marks": {
            0: "right_eye_centre", 1: "left_eye_centre", 2: "nose_tip", 3: "right_mouth_corner", 4: "left_mouth_corner",
        },
        "inter_ocular": None,
        "inter_pupil": ((0,), (1,)),
    },
}  # fmt: skip

# (from, to) → for each target point the source points whose mean it is.
# 98 → 68 is the map that LAB's authors and everyone after them use; 106 → 68 the one of mmpose's face model.
CONVERSIONS: Mapping[tuple[str, str], tuple[tuple[int, ...], ...]] = {
    ("wflw98", "ibug68"): tuple(
        (i,)
        for i in (
            *range(0, 33, 2), *_r(33, 37), *_r(42, 46), *_r(51, 59), 60, 61, 63, 64, 65, 67, 68, 69, 71, 72, 73, 75,
            *_r(76, 95),
        )
    ),
    ("lapa106", "ibug68"): tuple(
        (i,)
        for i in (
            *range(0, 33, 2), *_r(33, 37), *_r(42, 46), *_r(51, 54), *_r(58, 62), 66, 67, 69, 70, 71, 73,
            75, 76, 78, 79, 80, 82, *_r(84, 103),
        )
    ),
    # An eye's centre is the mean of its outline, or the annotated centre where there is no outline.
    ("ibug68", "five"): (_r(36, 41), _r(42, 47), (30,), (48,), (54,)),
    ("wflw98", "five"): (_r(60, 67), _r(68, 75), (54,), (76,), (82,)),
    ("lapa106", "five"): (_r(66, 73), _r(75, 82), (54,), (84,), (90,)),
    ("cofw29", "five"): ((16,), (17,), (20,), (22,), (23,)),
    ("aflw19", "five"): ((7,), (10,), (13,), (15,), (17,)),
}  # fmt: skip
