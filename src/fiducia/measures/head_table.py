"""A mean face in three dimensions, by the names of its points. Written by ``benchmarks/head_shape.py``; do not edit.

It is the drawn head of :mod:`fiducia.data.synthetic`, refined on the two-dimensional labels of 1,968 training faces of 300-W.
x points right as the viewer of a frontal face sees it, y down, z away from the viewer. The outer eye corners are at
(-0.5, 0, 0) and (0.5, 0, 0). Left and right in the names are the person's own.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["HEAD"]

HEAD: Mapping[str, tuple[float, float, float]] = {
    "right_brow_outer": (-0.6651, -0.1467, 0.0681),
    "right_brow_top_outer": (-0.5627, -0.2364, -0.0187),
    "right_brow_top": (-0.4215, -0.2655, -0.0969),
    "right_brow_top_inner": (-0.2757, -0.2492, -0.1608),
    "right_brow_top_end": (-0.1365, -0.2000, -0.2093),
    "left_brow_top_end": (0.1365, -0.2000, -0.2093),
    "left_brow_top_inner": (0.2757, -0.2492, -0.1608),
    "left_brow_top": (0.4215, -0.2655, -0.0969),
    "left_brow_top_outer": (0.5627, -0.2364, -0.0187),
    "left_brow_outer": (0.6651, -0.1467, 0.0681),
    "nose_bridge_top": (0.0000, -0.0319, -0.2157),
    "nose_bridge_middle": (0.0000, 0.1016, -0.2878),
    "nose_bridge_bottom": (0.0000, 0.2335, -0.3677),
    "nose_tip": (0.0000, 0.3691, -0.4459),
    "nose_right": (-0.1640, 0.4725, -0.2614),
    "nose_base_right": (-0.0850, 0.4984, -0.2959),
    "nose_base": (0.0000, 0.5222, -0.3169),
    "nose_base_left": (0.0850, 0.4984, -0.2959),
    "nose_left": (0.1640, 0.4725, -0.2614),
    "right_eye_outer": (-0.5000, 0.0000, 0.0000),
    "right_eye_top_outer": (-0.4129, -0.0531, -0.0383),
    "right_eye_top_inner": (-0.3053, -0.0525, -0.0540),
    "right_eye_inner": (-0.2153, 0.0154, -0.0558),
    "right_eye_bottom_inner": (-0.3140, 0.0359, -0.0560),
    "right_eye_bottom_outer": (-0.4196, 0.0354, -0.0394),
    "left_eye_inner": (0.2153, 0.0154, -0.0558),
    "left_eye_top_inner": (0.3053, -0.0525, -0.0540),
    "left_eye_top_outer": (0.4129, -0.0531, -0.0383),
    "left_eye_outer": (0.5000, 0.0000, 0.0000),
    "left_eye_bottom_outer": (0.4196, 0.0354, -0.0394),
    "left_eye_bottom_inner": (0.3140, 0.0359, -0.0560),
    "right_mouth_corner": (-0.3144, 0.7437, -0.0582),
    "upper_lip_top_right_outer": (-0.1990, 0.6892, -0.1880),
    "upper_lip_top_right_inner": (-0.0811, 0.6606, -0.2620),
    "upper_lip_top": (0.0000, 0.6797, -0.2726),
    "upper_lip_top_left_inner": (0.0811, 0.6606, -0.2620),
    "upper_lip_top_left_outer": (0.1990, 0.6892, -0.1880),
    "left_mouth_corner": (0.3144, 0.7437, -0.0582),
    "lower_lip_bottom_left_outer": (0.2031, 0.8444, -0.1558),
    "lower_lip_bottom_left_inner": (0.0882, 0.8863, -0.2208),
    "lower_lip_bottom": (0.0000, 0.8941, -0.2318),
    "lower_lip_bottom_right_inner": (-0.0882, 0.8863, -0.2208),
    "lower_lip_bottom_right_outer": (-0.2031, 0.8444, -0.1558),
    "right_mouth_corner_inner": (-0.2656, 0.7486, -0.0793),
    "upper_lip_bottom_right": (-0.0824, 0.7318, -0.2417),
    "upper_lip_bottom": (0.0000, 0.7391, -0.2544),
    "upper_lip_bottom_left": (0.0824, 0.7318, -0.2417),
    "left_mouth_corner_inner": (0.2656, 0.7486, -0.0793),
    "lower_lip_top_left": (0.0836, 0.7814, -0.2264),
    "lower_lip_top": (0.0000, 0.7899, -0.2381),
    "lower_lip_top_right": (-0.0836, 0.7814, -0.2264),
}
