"""EfficientNet-Lite (Tan and Le 2019; the Lite variants of 2020) as an encoder: the maps of strides 2 to 32.

The modules bear the names of the published state dicts, so that such a file fits as it is. From the paper's network the Lite
variants leave out squeeze-and-excitation, take ReLU6 for swish, and scale neither the stem nor the repeats of the first and
last stage.
"""

from __future__ import annotations

import math
import re

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .foldable import Foldable
from .pyramid import PyramidTrunk

__all__ = ["SCALING", "EfficientNetLite", "lite_block_number"]

SCALING = ((127 / 255,) * 3, (128 / 255,) * 3)
"""Mean and deviation of R, G and B in [0, 1]: the input is ``(x - 127) / 128`` of x in [0, 255]."""

# Repeats, kernel, stride, expansion, channels out of each stage of Lite0.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_FACTORS = {0: (1.0, 1.0), 1: (1.0, 1.1), 2: (1.1, 1.2)}
"""Version → factors on channels and on repeats."""
_STEM = 32
_EPS = 1e-3
_BLOCK = re.compile(r"(?:^|\.)_blocks\.(\d+)\.")


class EfficientNetLite(PyramidTrunk, Foldable):
    """EfficientNet-Lite without its classifier.

    Args:
        version: 0, 1 or 2.
        drop_path: share of crops for which the last residual block is left out in training (stochastic depth, Huang et al.
            2016); it falls linearly to zero at the first block.

    Attributes:
        channels: stride in pixels → channels of its map: 2, 4, 8, 16 and 32.

    Raises:
        ValueError: another version.
    """

    folds = (("_conv_stem", "_bn0"),)

    def __init__(self, version: int = 0, *, drop_path: float = 0.0) -> None:
        super().__init__()
        if version not in _FACTORS:
            raise ValueError(
                f"EfficientNet-Lite has the versions {', '.join(map(str, _FACTORS))} here; found {version}"
            )
        wider, deeper = _FACTORS[version]
        self._conv_stem = _SameConv(3, _STEM, 3, 2)
        self._bn0 = nn.BatchNorm2d(_STEM, eps=_EPS)
        blocks: list[_Block] = []
        inputs, pixels = _STEM, 2
        self.channels = {}
        self._last: dict[int, int] = {}
        for place, (repeats, kernel, stride, expand, channels) in enumerate(_STAGES):
            outputs = _rounded(channels * wider)
            ends = place in (0, len(_STAGES) - 1)
            for turn in range(repeats if ends else math.ceil(repeats * deeper)):
                blocks.append(_Block(inputs, outputs, kernel, stride if turn == 0 else 1, expand))
                inputs = outputs
            pixels *= stride
            self.channels[pixels] = outputs
            self._last[pixels] = len(blocks) - 1
        for place, block in enumerate(blocks):
            block.drop = drop_path * place / (len(blocks) - 1)
        self._blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> dict[int, Tensor]:
        """Normalised crops ``(B, 3, S, S)``, S divisible by 32 → stride → map ``(B, C, S / stride, S / stride)``."""
        x = F.relu6(self._bn0(self._conv_stem(x)))
        maps: dict[int, Tensor] = {}
        strides = {place: stride for stride, place in self._last.items()}
        for place, block in enumerate(self._blocks):
            x = block(x)
            if place in strides:
                maps[strides[place]] = x
        return maps


class _SameConv(nn.Conv2d):
    """A convolution without bias and with TensorFlow's SAME padding: at stride 2 one row more below and to the right."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        self.both = kernel // 2 if stride == 1 else 0
        super().__init__(inputs, outputs, kernel, stride, self.both, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs, h, w)`` → ``(B, outputs, ceil(h / stride), ceil(w / stride))``."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        if stride > 1:
            (top, bottom), (left, right) = (_same(int(side), kernel, stride) for side in x.shape[-2:])
            x = F.pad(x, (left, right, top, bottom))
        return super().forward(x)


def _same(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return the rows of zeros before and after a side, as TensorFlow's SAME has them."""
    total = max((math.ceil(side / stride) - 1) * stride + kernel - side, 0)
    return total // 2, total - total // 2


class _Block(Foldable):
    """1x1 convolution to ``expand`` times the channels, depthwise convolution, linear 1x1, and the input where shapes agree."""

    folds = (("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2"))

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expand: int) -> None:
        super().__init__()
        self.residual, self.expands = inputs == outputs and stride == 1, expand > 1
        self.drop = 0.0
        wide = inputs * expand
        if self.expands:
            self._expand_conv = _SameConv(inputs, wide, 1)
            self._bn0 = nn.BatchNorm2d(wide, eps=_EPS)
        self._depthwise_conv = _SameConv(wide, wide, kernel, stride, groups=wide)
        self._bn1 = nn.BatchNorm2d(wide, eps=_EPS)
        self._project_conv = _SameConv(wide, outputs, 1)
        self._bn2 = nn.BatchNorm2d(outputs, eps=_EPS)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs, h, w)`` → ``(B, outputs, ceil(h / stride), ceil(w / stride))``, linear."""
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = self._bn2(self._project_conv(F.relu6(self._bn1(self._depthwise_conv(y)))))
        if not self.residual:
            return y
        if self.training and self.drop > 0:
            kept = 1.0 - self.drop
            y = y * (torch.rand(len(y), 1, 1, 1, device=y.device) < kept).to(y.dtype) / kept
        return x + y


def _rounded(channels: float) -> int:
    """Return channels as the nearest multiple of 8 that is not more than a tenth smaller (MobileNetV2's rule)."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * channels else nearest + 8


def lite_block_number(name: str) -> int:
    """Return the block that a parameter belongs to, counted from 1; 0 for the stem."""
    found = _BLOCK.search(name)
    return int(found[1]) + 1 if found else 0
