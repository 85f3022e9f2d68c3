"""The names of the points of the known landmark sets, in the order of their indices.

Left and right are the person's own. A name and its mirror image differ in the words ``left`` and ``right`` alone. The same
name in two sets is the same place of a face, but for numbered names, which count within a set: the points of a contour are
numbered from the ear (0) down to the chin, on both sides.

On a brow, ``outer`` is the tip at the temple; the edges ``top`` and ``bottom`` run from there to their ends at the nose,
``top_end`` and ``bottom_end``. On an eye and a lip, ``outer`` and ``inner`` tell which corner or which side is nearer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["FORMER_MARKS", "POINT_NAMES"]

_RIGHT, _LEFT = "right", "left"
_BROW = ("brow_outer", "brow_top_outer", "brow_top", "brow_top_inner", "brow_top_end")
_BROW_BOTTOM = ("brow_bottom_end", "brow_bottom_inner", "brow_bottom", "brow_bottom_outer")
_EYE_TOP = ("eye_outer", "eye_top_outer", "eye_top", "eye_top_inner", "eye_inner")
_EYE_BOTTOM = ("eye_bottom_inner", "eye_bottom", "eye_bottom_outer")
_NOSE_BASE = ("nose_right", "nose_base_right", "nose_base", "nose_base_left", "nose_left")
_BRIDGE = ("nose_bridge_top", "nose_bridge_middle", "nose_bridge_bottom", "nose_tip")
_LIPS = (
    *("right_mouth_corner", "upper_lip_top_right_outer", "upper_lip_top_right_inner", "upper_lip_top"),
    *("upper_lip_top_left_inner", "upper_lip_top_left_outer", "left_mouth_corner"),
    *("lower_lip_bottom_left_outer", "lower_lip_bottom_left_inner", "lower_lip_bottom"),
    *("lower_lip_bottom_right_inner", "lower_lip_bottom_right_outer"),
    *("right_mouth_corner_inner", "upper_lip_bottom_right", "upper_lip_bottom", "upper_lip_bottom_left"),
    *("left_mouth_corner_inner", "lower_lip_top_left", "lower_lip_top", "lower_lip_top_right"),
)
"""Outer edge from the right corner over the top and back below, then the inner edge."""


def _of(side: str, parts: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{side}_{part}" for part in parts)


def _contour(each: int) -> tuple[str, ...]:
    right = [f"right_contour_{i}" for i in range(each)]
    left = [f"left_contour_{i}" for i in range(each)]
    return (*right, "chin", *reversed(left))


def _eyelids(top: Sequence[str], bottom: Sequence[str], side: str) -> tuple[str, ...]:
    """Return an eye's outline: from the picture's left corner over the top, then back below."""
    return _of(side, (*top, *bottom)) if side == _RIGHT else _of(side, (*top[::-1], *bottom[::-1]))


_BROW_RINGS = (*_of(_RIGHT, (*_BROW, *_BROW_BOTTOM)), *_of(_LEFT, (*_BROW[::-1], *_BROW_BOTTOM[::-1])))
_SHORT_TOP = tuple(part for part in _EYE_TOP if part != "eye_top")
_SHORT_BOTTOM = tuple(part for part in _EYE_BOTTOM if part != "eye_bottom")

_INNER_51 = (
    *_of(_RIGHT, _BROW),
    *_of(_LEFT, _BROW[::-1]),
    *_BRIDGE,
    *_NOSE_BASE,
    *_eyelids(_SHORT_TOP, _SHORT_BOTTOM, _RIGHT),
    *_eyelids(_SHORT_TOP, _SHORT_BOTTOM, _LEFT),
    *_LIPS,
)

POINT_NAMES: Mapping[str, tuple[str, ...]] = {
    "ibug68": (*_contour(8), *_INNER_51),
    "ibug51": _INNER_51,
    "wflw98": (
        *_contour(16),
        *_BROW_RINGS,
        *_BRIDGE,
        *_NOSE_BASE,
        *_eyelids(_EYE_TOP, _EYE_BOTTOM, _RIGHT),
        *_eyelids(_EYE_TOP, _EYE_BOTTOM, _LEFT),
        *_LIPS,
        *("right_pupil", "left_pupil"),
    ),
    "cofw29": (
        *("right_brow_outer", "left_brow_outer", "right_brow_inner", "left_brow_inner"),
        *("right_brow_top", "right_brow_bottom", "left_brow_top", "left_brow_bottom"),
        *("right_eye_outer", "left_eye_outer", "right_eye_inner", "left_eye_inner"),
        *("right_eye_top", "right_eye_bottom", "left_eye_top", "left_eye_bottom", "right_pupil", "left_pupil"),
        *("nose_right", "nose_left", "nose_tip", "nose_base", "right_mouth_corner", "left_mouth_corner"),
        *("upper_lip_top", "upper_lip_bottom", "lower_lip_top", "lower_lip_bottom", "chin"),
    ),
    "aflw19": (
        *("right_brow_outer", "right_brow_centre", "right_brow_inner"),
        *("left_brow_inner", "left_brow_centre", "left_brow_outer"),
        *("right_eye_outer", "right_eye_centre", "right_eye_inner"),
        *("left_eye_inner", "left_eye_centre", "left_eye_outer"),
        *("nose_right", "nose_tip", "nose_left", "right_mouth_corner", "mouth_centre", "left_mouth_corner", "chin"),
    ),
    "lapa106": (
        *_contour(16),
        *_BROW_RINGS,
        *_BRIDGE,
        *("nose_bridge_right", "nose_wing_top_right", "nose_wing_right"),
        *_NOSE_BASE,
        *("nose_wing_left", "nose_wing_top_left", "nose_bridge_left"),
        *_eyelids(_EYE_TOP, _EYE_BOTTOM, _RIGHT),
        "right_eye_centre",
        *_eyelids(_EYE_TOP, _EYE_BOTTOM, _LEFT),
        "left_eye_centre",
        *_LIPS,
        *("right_pupil", "left_pupil"),
    ),
    "five": ("right_eye_centre", "left_eye_centre", "nose_tip", "right_mouth_corner", "left_mouth_corner"),
}

FORMER_MARKS: Mapping[str, Mapping[int, str]] = {
    "ibug68": {
        **{8: "chin", 30: "nose_tip", 36: "right_eye_outer", 39: "right_eye_inner", 42: "left_eye_inner"},
        **{45: "left_eye_outer", 48: "right_mouth_corner", 54: "left_mouth_corner"},
    },
    "wflw98": {
        **{16: "chin", 54: "nose_tip", 60: "right_eye_outer", 64: "right_eye_inner", 68: "left_eye_inner"},
        **{
            72: "left_eye_outer",
            76: "right_mouth_corner",
            82: "left_mouth_corner",
            96: "right_pupil",
            97: "left_pupil",
        },
    },
    "lapa106": {
        **{16: "chin", 54: "nose_tip", 66: "right_eye_outer", 70: "right_eye_inner", 74: "right_eye_centre"},
        **{75: "left_eye_inner", 79: "left_eye_outer", 83: "left_eye_centre", 84: "right_mouth_corner"},
        **{90: "left_mouth_corner", 104: "right_pupil", 105: "left_pupil"},
    },
}
"""In version 0.1 these points had a name of their own, and all others were called ``REGION_NUMBER``. Weights and label
files with those names are still read."""
