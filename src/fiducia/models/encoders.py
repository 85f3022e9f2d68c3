"""The convolutional encoders that FiFANet can stand on, by ``backbone.kind``: each gives maps of several strides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ..registry import Registry
from .parts.blocks import Scaling
from .parts.efficientnet_lite import SCALING, EfficientNetLite, lite_block_number
from .parts.pyramid import PyramidTrunk

__all__ = ["PyramidEncoder", "encoders"]


@dataclass(frozen=True)
class PyramidEncoder:
    """One encoder.

    Attributes:
        build: share of residual blocks left out in training (``backbone.drop_path``) → the encoder, with random weights.
        scaling: mean and deviation of the input in [0, 1].
        block: name of a parameter → its block from 0, for ``optim.layer_decay``.
    """

    build: Callable[[float], PyramidTrunk]
    scaling: Scaling
    block: Callable[[str], int]


encoders: Registry[PyramidEncoder] = Registry("encoder")
"""``backbone.kind`` → :class:`PyramidEncoder`."""


def _lite(version: int, drop_path: float) -> PyramidTrunk:
    return EfficientNetLite(version, drop_path=drop_path)


for _version in (0, 1, 2):
    encoders.add(f"efficientnet_lite{_version}", PyramidEncoder(partial(_lite, _version), SCALING, lite_block_number))
