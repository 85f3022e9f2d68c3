"""Checkpoints of AdaptiveWingLoss (``core/models.py``, FAN with CoordConv and a boundary)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ..converters import Converted, converters, rename
from ..published import SCHEMES, require
from .fan import rename_fan

__all__ = ["convert_awing"]


@converters.register("awing")
def convert_awing(state: Mapping[str, Tensor]) -> Converted:
    """Rename the tensors of a published AWing network.

    Raises:
        FiduciaError: the tensors are of another network, such as plain FAN.
    """
    require(state, "m0.coordconv.conv.weight", "AWing")
    num_points = len(require(state, "l0.bias", "AWing")) - 1
    return Converted(
        model="awing",
        num_points=num_points,
        size=256,
        state=rename(state, _rename),
        scheme=SCHEMES.get(num_points),
        licence="Apache-2.0 (code); the checkpoints follow the terms of their training data",
        notes="AWing of AdaptiveWingLoss (Wang, Bo, Li, ICCV 2019)",
    )


def _rename(name: str) -> str:
    stack, _, rest = name.partition(".coordconv.")
    if rest:
        return f"coords.{stack.removeprefix('m')}.{rest}"
    if name.startswith("conv1.conv."):
        name = name.replace("conv1.conv.", "conv1.")
    return rename_fan(name).removeprefix("trunk.")
