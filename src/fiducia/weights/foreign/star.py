"""Checkpoints of STAR (``stackedHGNetV1.py``, ADNet's network), with and without attention."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ..converters import Converted, converters
from ..published import SCHEMES, require
from .adnet import published_scheme, published_state

__all__ = ["convert_star"]


@converters.register("star")
def convert_star(state: Mapping[str, Tensor]) -> Converted:
    """Rename the tensors of a published STAR; shortcuts that it never uses are left out.

    Raises:
        FiduciaError: the tensors are of another network, or its edges are not the published ones.
    """
    num_points = len(require(state, "out_heatmaps.0.conv.bias", "STAR"))
    attention = any("out_pointmaps." in name for name in state)
    return Converted(
        model="star",
        num_points=num_points,
        size=256,
        state=published_state(state),
        options={"pixels": {"rule": "published"}, "attention": attention},
        scheme=published_scheme(state, num_points, "STAR") if attention else SCHEMES.get(num_points),
        notes="STAR (Zhou et al., CVPR 2023); the repository states no licence",
    )
