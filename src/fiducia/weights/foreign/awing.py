"""Checkpoints of AdaptiveWingLoss (``core/models.py``, FAN with CoordConv and a boundary)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ..converters import Converted, converters, rename
from ..published import SCHEMES, Rule, hourglass_name, require, rewrite

__all__ = ["convert_awing"]

_STEM = {"conv1.conv": "coord.conv", "bn1": "norm", "conv2": "stem.0", "conv3": "stem.2", "conv4": "stem.3"}
_HEAD = {"top_m_": "top", "conv_last": "conv", "bn_end": "norm", "l": "maps", "bl": "carry", "al": "feed"}
_CONV = {"1": "wide", "2": "middle", "3": "narrow"}

_RULES: tuple[Rule, ...] = (
    (r"^m(\d+)\.coordconv\.", r"stacks.\1.coord."),
    (r"^m(\d+)\.b2_plus_1\.", lambda m: f"stacks.{m[1]}.hourglass.{hourglass_name(1, 'centre')}"),
    (r"^m(\d+)\.b(\d)_(\d)\.", lambda m: f"stacks.{m[1]}.hourglass.{hourglass_name(int(m[3]), m[2])}"),
    (r"^(top_m_|conv_last|bn_end|bl|al|l)(\d+)\.", lambda m: f"stacks.{m[2]}.{_HEAD[m[1]]}."),
    (r"^(conv1\.conv|bn1|conv2|conv3|conv4)\.", lambda m: f"{_STEM[m[1]]}."),
    (r"\.bn(\d)\.", lambda m: f".{_CONV[m[1]]}.norm."),
    (r"\.conv(\d)\.", lambda m: f".{_CONV[m[1]]}.conv."),
    (r"\.downsample\.0\.", ".skip.norm."),
    (r"\.downsample\.2\.", ".skip.conv."),
)


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
        state=rename(state, lambda name: rewrite(name, _RULES)),
        options={"pixels": {"rule": "published"}},
        scheme=SCHEMES.get(num_points),
        licence="Apache-2.0 (code); the checkpoints follow the terms of their training data",
        notes="AWing of AdaptiveWingLoss (Wang, Bo, Li, ICCV 2019)",
    )
