"""Checkpoints of polarisZhao/PFLD-pytorch: kind ``pfld``."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from ...errors import FiduciaError
from ..converters import Converted, converters, rename
from ..published import SCHEMES, require

__all__ = ["convert_pfld"]

_BLOCK = {"0": "widen.0", "1": "widen.1", "3": "depthwise.0", "4": "depthwise.1", "6": "narrow.0", "7": "narrow.1"}
_PLACES = {
    **{f"{'conv' if i == 1 else 'block'}3_{i}": f"early.{i - 1}" for i in range(1, 6)},
    "conv4_1": "late.0",
    **{f"{'conv' if i == 1 else 'block'}5_{i}": f"late.{i}" for i in range(1, 7)},
    "conv6_1": "late.7",
}
_PLAIN = {
    "conv1": "stem.0.0",
    "bn1": "stem.0.1",
    "conv2": "stem.1.0",
    "bn2": "stem.1.1",
    "conv8": "whole",
    "fc": "head",
}
_BRANCH = {"conv1": "0", "conv2": "1", "conv3": "2", "fc1": "8", "fc2": "9"}


@converters.register("pfld")
def convert_pfld(state: Mapping[str, Tensor]) -> Converted:
    """Rename the tensors of a PFLD, with its auxiliary branch or without.

    The published network reads images as OpenCV does, blue first; the first convolution is turned round, so that ours reads
    RGB. Its unused ``bn8`` is left out.

    Raises:
        FiduciaError: the tensors are of another network.
    """
    state = {_full(name): tensor for name, tensor in state.items()}
    num_points = len(require(state, "pfld_backbone.fc.bias", "PFLD")) // 2
    first = require(state, "pfld_backbone.conv1.weight", "PFLD")
    if tuple(first.shape) != (64, 3, 3, 3):
        raise FiduciaError(
            f"pfld_backbone.conv1.weight has the shape {tuple(first.shape)}; expected (64, 3, 3, 3), the network of width 1X"
        )
    tensors = rename(state, _rename)
    tensors["stem.0.0.weight"] = first.flip(1)
    return Converted(
        model="pfld",
        num_points=num_points,
        size=16 * require(state, "pfld_backbone.conv8.weight", "PFLD").shape[-1],
        state=tensors,
        options={"pose": any(name.startswith("auxiliarynet.") for name in state)},
        scheme=SCHEMES.get(num_points),
        licence="unknown: the code carries no licence file",
        notes="PFLD 1X of polarisZhao/PFLD-pytorch (Guo et al., arXiv 1902.10859), a well-known third-party implementation",
    )


def _full(name: str) -> str:
    """Checkpoints hold the two networks under keys of their own, so the first part of a name may be missing or misspelt."""
    name = name.removeprefix("module.").replace("plfd_backbone.", "pfld_backbone.")
    return name if name.startswith(("pfld_backbone.", "auxiliarynet.")) else f"pfld_backbone.{name}"


def _rename(name: str) -> str | None:
    net, _, rest = name.partition(".")
    first, _, leaf = rest.partition(".")
    if net == "auxiliarynet":
        if first == "conv4":
            index, _, leaf = leaf.partition(".")
            return f"auxiliary.{3 + int(index)}.{leaf}"
        return f"auxiliary.{_BRANCH[first]}.{leaf}" if first in _BRANCH else rest
    if first == "bn8":
        return None
    if first in _PLACES:
        layer = re.fullmatch(r"conv\.(\d+)\.(.+)", leaf)
        return f"{_PLACES[first]}.{_BLOCK[layer[1]]}.{layer[2]}" if layer else rest
    if first == "conv7":
        return f"down.{leaf}"
    return f"{_PLAIN[first]}.{leaf}" if first in _PLAIN else rest
