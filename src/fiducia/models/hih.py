"""HIH: a heatmap in every cell of a heatmap, which says where in the cell the landmark is."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..structures import ModelOutput, Prediction
from .base import LandmarkModel
from .parts.blocks import ZERO_TO_ONE, ConvNormAct, Normalize
from .parts.pixels import PixelOptions
from .parts.plain_hourglass import PlainHourglass
from .parts.resnet import BasicBlock, Bottleneck
from .registry import register

__all__ = ["HIH"]


class _Residual(Bottleneck):
    """1x1 to half the channels, 3x3, 1x1, a shortcut, ReLU after the sum."""

    expansion = 2


def _residual(inputs: int, outputs: int) -> _Residual:
    return _Residual(inputs, outputs // 2)


class _Stack(nn.Module):
    """One hourglass, its heatmaps, and what it hands on."""

    def __init__(self, channels: int, num_points: int, depth: int) -> None:
        super().__init__()
        self.hourglass = PlainHourglass(
            depth, lambda: _residual(channels, channels), pooling="max", upsampling="bilinear_corners"
        )
        self.block = _residual(channels, channels)
        self.lin = ConvNormAct(channels, channels, 1)
        self.maps = nn.Conv2d(channels, num_points, 1)
        self.carry = ConvNormAct(channels, channels, 1)
        self.feed = ConvNormAct(num_points, channels, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``(B, C, h, w)`` → heatmaps ``(B, K, h, w)``, features ``(B, C, h, w)``, and the next stack's input."""
        features = self.lin(self.block(self.hourglass(x)))
        maps = self.maps(features)
        return maps, features, x + self.carry(features) + self.feed(maps)


class _Decimals(nn.Sequential):
    """The second head: one map a landmark of an eighth of the side, a picture of the inside of the landmark's cell."""

    def __init__(self, channels: int, width: int, num_points: int) -> None:
        super().__init__(
            ConvNormAct(channels, width, 1),
            nn.MaxPool2d(3, 2),
            BasicBlock(width, width, 2),
            BasicBlock(width, width, 2),
            ConvNormAct(width, width, 1),
            nn.Conv2d(width, num_points, 1),
        )


@register(
    "hih",
    size=256,
    about="HIH, heatmap in heatmap, 4 stacks (Lan et al., arXiv 2104.02273)",
    test_options={"stacks": 2, "channels": 16},
    test_size=64,
)
class HIH(LandmarkModel):
    """Heatmap in heatmap on a stacked hourglass (Lan, Hu, Chen, Cheng, arXiv 2104.02273).

    Every stack gives one linear heatmap a landmark at a quarter of the crop's side. One more map a landmark, 8x8 at 256 pixels,
    shows the inside of the landmark's cell. The point is the largest cell of the first plus the largest of the second.

    With the published pixel rule a cell n and a decimal cell d of m are crop pixel ``(n + d / m) * S / w``; else the decimal
    cells are the m equal parts of the cell: ``(n + (d + 0.5) / m) * S / w - 0.5``. A map without a value above 0 counts as 0.

    Args:
        num_points: K.
        size: S, a multiple of 64.
        pixels: the pixel rule; the default loss follows it.
        stacks: hourglasses.
        channels: of the hourglasses.

    Raises:
        ValueError: a size that does not divide.
    """

    decoders = ("hih",)

    def __init__(
        self,
        num_points: int,
        size: int = 256,
        *,
        pixels: PixelOptions = PixelOptions(),
        stacks: int = 4,
        channels: int = 256,
    ) -> None:
        super().__init__(num_points, size)
        if size % 64 or stacks < 1:
            raise ValueError(
                f"HIH takes crops whose side is a multiple of 64, and 1 or more stacks; found {size}, {stacks}"
            )
        self.pixels = pixels
        self.normalize = Normalize(ZERO_TO_ONE)
        half = channels // 2
        self.stem = nn.Sequential(
            ConvNormAct(3, channels // 4, 7, 2),
            _residual(channels // 4, half),
            nn.MaxPool2d(2),
            _residual(half, half),
            _residual(half, channels),
        )
        self.stacks = nn.ModuleList(_Stack(channels, num_points, 4) for _ in range(stacks))
        self.decimals = _Decimals(channels, channels * 3 // 2, num_points)

    def forward(self, images: Tensor) -> ModelOutput:
        """Crops ``(B, 3, S, S)`` → heatmaps of all stacks ``(B, K, S / 4, S / 4)`` and ``maps.offsets``, one ``(B, K, m, m)``."""
        x = self.stem(self.normalize(images))
        heatmaps, features = [], x
        for stack in self.stacks:
            maps, features, x = stack(x)
            heatmaps.append(maps)
        return ModelOutput(heatmaps=heatmaps, linear=True, maps={"offsets": [self.decimals(x)]}, features=features)

    def decode(self, output: ModelOutput, method: str | None = None) -> Prediction:
        """Largest cell plus largest decimal cell; confidence is the heatmap's largest value, in [0, 1]."""
        self.check_method(method)
        maps, inner = output.heatmaps[-1].float(), output.maps["offsets"][-1].float()
        cell, peak = _largest(maps)
        decimal, _ = _largest(inner)
        stride, parts = self.size / maps.shape[-1], inner.shape[-1]
        if self.pixels.published:
            points = (cell + decimal / parts) * stride
        else:
            points = (cell + (decimal + 0.5) / parts) * stride - 0.5
        return Prediction(points=points, confidence=peak.clamp(0.0, 1.0))

    def default_loss(self) -> dict[str, dict[str, Any]]:
        """Mean squared error of the heatmaps of all stacks + 0.05 x KL divergence of the decimal maps."""
        return {"hih": {"kind": "hih", "weight": 1.0, "rule": self.pixels.rule}}


def _largest(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Return column and row ``(B, K, 2)`` of the largest value, 0 where it is not above 0, and the value ``(B, K)``."""
    peak, index = F.relu(maps).flatten(2).max(-1)
    width = maps.shape[-1]
    return torch.stack([index % width, index.div(width, rounding_mode="floor")], dim=-1).to(maps.dtype), peak.detach()
