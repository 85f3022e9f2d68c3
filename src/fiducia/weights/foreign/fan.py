"""Checkpoints of FAN: 1adrianb/face-alignment (kind ``fan``), and the two-stack models of ibug's code (``fan_max``)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from ..converters import Converted, converters, rename
from ..published import SCHEMES, require

__all__ = ["convert_fan", "convert_fan_max", "rename_fan"]

_DEPTH = 4
_STEM = {"conv1": "conv", "bn1": "norm", "conv2": "first", "conv3": "second", "conv4": "third"}
_STACK = {"top_m_": "top", "conv_last": "conv", "bn_end": "norm", "l": "head", "bl": "from_features", "al": "from_maps"}
_BLOCK = {
    "bn1": "wide.norm",
    "conv1": "wide.conv",
    "bn2": "middle.norm",
    "conv2": "middle.conv",
    "bn3": "narrow.norm",
    "conv3": "narrow.conv",
    "downsample.0": "skip.norm",
    "downsample.2": "skip.conv",
}
_LEVEL = {"b1": "skip", "b2": "before", "b3": "after"}


@converters.register("fan")
def convert_fan(state: Mapping[str, Tensor]) -> Converted:
    """Rename the tensors of a FAN with average pooling, of any number of stacks.

    Raises:
        FiduciaError: the tensors are of another network.
    """
    return _convert(state, "average")


@converters.register("fan_max")
def convert_fan_max(state: Mapping[str, Tensor]) -> Converted:
    """Rename the tensors of a FAN with max pooling; the tensors themselves do not tell the pooling.

    Raises:
        FiduciaError: the tensors are of another network.
    """
    return _convert(state, "max")


def _convert(state: Mapping[str, Tensor], pooling: str) -> Converted:
    require(state, "m0.b2_plus_1.conv1.weight", "FAN")
    num_points = len(require(state, "l0.bias", "FAN"))
    stacks = sum(re.search(r"(^|\.)l\d+\.bias$", name) is not None for name in state)
    return Converted(
        model="fan",
        num_points=num_points,
        size=256,
        state=rename(state, rename_fan),
        options={"trunk": {"stacks": stacks, "pooling": pooling}},
        scheme=SCHEMES.get(num_points),
        # 1adrianb: side 200 * (w + h) / 195 round the box; ibug: mean side / 0.55.
        scale=195 / 400 if pooling == "average" else 0.55,
        licence="BSD-3 (1adrianb) or MIT (ibug) code; the checkpoints follow the terms of their training data",
        notes=f"FAN with {stacks} stacks and {pooling} pooling (Bulat and Tzimiropoulos, ICCV 2017); its crops were drawn round "
        "a detector's box, not round the landmarks",
    )


def rename_fan(name: str) -> str:
    """Return our name of a published tensor of FAN, or of a network that is built on it."""
    first, _, rest = name.partition(".")
    if first in ("conv1", "bn1"):
        return f"trunk.stem.{_STEM[first]}.{rest}"
    if first in _STEM:
        return f"trunk.stem.{_STEM[first]}.{_block(rest)}"
    stack = re.fullmatch(r"(top_m_|conv_last|bn_end|bl|al|l|m)(\d+)", first)
    if stack is None:
        return name
    kind, home = stack[1], f"trunk.stacks.{stack[2]}"
    if kind != "m":
        return f"{home}.{_STACK[kind]}.{_block(rest) if kind == 'top_m_' else rest}"
    level, _, rest = rest.partition(".")
    part, _, number = level.rpartition("_")
    if part == "b2_plus":
        return f"{home}.hourglass{'.inner' * _DEPTH}.{_block(rest)}"
    # Levels are counted from the innermost, 1, to the outermost.
    return f"{home}.hourglass{'.inner' * (_DEPTH - int(number))}.{_LEVEL[part]}.{_block(rest)}"


def _block(name: str) -> str:
    layer, _, leaf = name.rpartition(".")
    return f"{_BLOCK[layer]}.{leaf}"
