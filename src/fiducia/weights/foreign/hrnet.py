"""Checkpoints of HRNet-Facial-Landmark-Detection (``hrnet.py``, HRNetV2-W18)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ..converters import Converted, converters, rename
from ..published import SCHEMES, require

__all__ = ["convert_hrnet"]


@converters.register("hrnet")
def convert_hrnet(state: Mapping[str, Tensor]) -> Converted:
    """Rename the tensors of a published HRNetV2-W18.

    Raises:
        FiduciaError: the tensors are of another network.
    """
    num_points = len(require(state, "head.3.bias", "HRNetV2-W18"))
    return Converted(
        model="hrnet_w18",
        num_points=num_points,
        size=256,
        state=rename(state, lambda name: name if name.startswith("head.") else f"trunk.{name}"),
        options={"pixels": {"rule": "published"}},
        scheme=SCHEMES.get(num_points),
        licence="MIT (code); the checkpoints follow the terms of their training data",
        notes="HRNetV2-W18 of HRNet-Facial-Landmark-Detection (Wang et al., TPAMI 2020)",
    )
