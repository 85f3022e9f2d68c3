"""Small convolutional parts that every network here shares: norms, activations, residual blocks, input scaling."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ...registry import did_you_mean

__all__ = [
    "CLIP",
    "IMAGENET",
    "ZERO_TO_ONE",
    "ConvNormAct",
    "Normalize",
    "PreciseConv",
    "PreciseLinear",
    "ResidualBlock",
    "check_choice",
    "heatmap_head",
    "make_act",
    "make_norm",
]

Scaling = tuple[Sequence[float], Sequence[float]]

CLIP: Scaling = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
IMAGENET: Scaling = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
ZERO_TO_ONE: Scaling = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
"""Means and deviations of R, G, B in [0, 1], for :class:`Normalize`."""


def check_choice(option: str, value: str, known: Iterable[str]) -> str:
    """Return ``value`` where it is one of ``known``.

    Raises:
        ValueError: it is not; the message names the nearest one.
    """
    names = list(known)
    if value not in names:
        raise ValueError(f"{option} = {value!r} is not a choice{did_you_mean(str(value), names)}")
    return value


def make_norm(kind: str, channels: int) -> nn.Module:
    """Return a norm over ``channels``: ``"batch"``, or ``"group"``, which does not see the rest of the batch.

    Group norm takes up to 8 groups; it makes several processes take the same steps as one.
    """
    if check_choice("norm", kind, ("batch", "group")) == "batch":
        return nn.BatchNorm2d(channels)
    return nn.GroupNorm(math.gcd(channels, 8), channels)


class QuickGELU(nn.Module):
    """``x * sigmoid(1.702 x)``, the activation of CLIP's and FaRL's transformers."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply it elementwise."""
        return x * torch.sigmoid(1.702 * x)


def make_act(kind: str) -> nn.Module:
    """Return a transformer's activation: ``"gelu"`` or ``"quick_gelu"``."""
    return nn.GELU() if check_choice("act", kind, ("gelu", "quick_gelu")) == "gelu" else QuickGELU()


class ConvNormAct(nn.Sequential):
    """Convolution without bias, norm, ReLU; "same" padding."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, norm: str = "batch") -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
            make_norm(norm, outputs),
            nn.ReLU(inplace=True),
        )


class _NormActConv(nn.Module):
    """Norm, ReLU, convolution: the pre-activation order."""

    def __init__(self, inputs: int, outputs: int, kernel: int, norm: str) -> None:
        super().__init__()
        self.norm = make_norm(norm, inputs)
        self.act = nn.ReLU(inplace=True)
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs, h, w)`` → ``(B, outputs, h, w)``."""
        return self.conv(self.act(self.norm(x)))


class ResidualBlock(nn.Module):
    """Hierarchical, parallel, multi-scale residual block in the manner of FAN.

    Three 3x3 convolutions of C/2, C/4 and C/4 channels, each reading the one before; their outputs side by side are
    the residual, so one block sees 3x3, 5x5 and 7x7 neighbourhoods. The skip is a 1x1 convolution where C changes.

    Args:
        inputs: channels in.
        outputs: channels out, a multiple of 4.
        norm: see :func:`make_norm`.
    """

    def __init__(self, inputs: int, outputs: int, norm: str = "batch") -> None:
        super().__init__()
        if outputs % 4:
            raise ValueError(f"a residual block's channels come in multiples of 4; found {outputs}")
        half, quarter = outputs // 2, outputs // 4
        self.wide = _NormActConv(inputs, half, 3, norm)
        self.middle = _NormActConv(half, quarter, 3, norm)
        self.narrow = _NormActConv(quarter, quarter, 3, norm)
        self.skip: nn.Module = nn.Identity() if inputs == outputs else _NormActConv(inputs, outputs, 1, norm)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs, h, w)`` → ``(B, outputs, h, w)``."""
        a = self.wide(x)
        b = self.middle(a)
        c = self.narrow(b)
        return torch.cat([a, b, c], dim=1) + self.skip(x)


class Normalize(nn.Module):
    """uint8 or float RGB in [0, 255] → float in [0, 1] with a mean taken off and divided by a deviation.

    Args:
        scaling: mean and deviation of the channels: :data:`CLIP`, :data:`IMAGENET`, or :data:`ZERO_TO_ONE`, which leaves
            [0, 1] as it is.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, scaling: Scaling = CLIP) -> None:
        super().__init__()
        # Products of single precision, made outside torch: on the device "meta" they would import its compiler.
        mean, std = (torch.tensor((np.asarray(values, np.float32) * np.float32(255)).tolist()) for values in scaling)
        self.register_buffer("mean", mean.view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", std.view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """``(B, 3, H, W)`` in [0, 255] → the same shape, normalised."""
        return (images.to(self.mean.dtype) - self.mean) / self.std


class PreciseConv(nn.Conv2d):
    """A 1x1 convolution in float32, also under autocast: bfloat16 rounds a logit of -5 to steps of 0.03."""

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, h, w)`` → ``(B, K, h, w)``."""
        with torch.autocast("cpu" if x.is_meta else x.device.type, enabled=False):
            return super().forward(x.to(self.weight.dtype))


class PreciseLinear(nn.Linear):
    """A linear layer in float32, also under autocast, for coordinates: bfloat16 has 256 steps over half a crop."""

    def forward(self, x: Tensor) -> Tensor:
        """``(..., inputs)`` → ``(..., outputs)``."""
        with torch.autocast("cpu" if x.is_meta else x.device.type, enabled=False):
            return super().forward(x.to(self.weight.dtype))


def heatmap_head(channels: int, num_points: int, bias: float = -5.0) -> nn.Conv2d:
    """Return the last 1x1 convolution, ``(B, C, h, w)`` features → ``(B, K, h, w)`` logits.

    Its bias starts negative because nearly all cells of a heatmap are empty (sigmoid(-5) = 0.007), and because the
    expectation decode is dragged to the middle by any background.
    """
    head = PreciseConv(channels, num_points, 1)
    nn.init.normal_(head.weight, std=0.001)
    nn.init.constant_(head.bias, bias)  # type: ignore[arg-type]
    return head
