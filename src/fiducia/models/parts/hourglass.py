"""The anti-aliased hourglass: down by convolution and BlurPool, up by bilinear steps, FF-Parsers on the way (Sect. 3.4)."""

from __future__ import annotations

from math import comb

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .blocks import ConvNormAct, ResidualBlock, check_choice
from .spectral import FFParser

__all__ = ["BlurPool", "Hourglass", "conv_blur_pool", "resize"]


class BlurPool(nn.Module):
    """Low-pass and halve: a fixed binomial filter with stride 2 (Zhang, "Making convolutional networks shift-invariant").

    With the default filter [1, 3, 3, 1] output cell i is centred on input 2i + 0.5, where a bilinear upsampling puts it
    back: down and up shift nothing. Odd filters are centred on 2i and would shift the map by half a cell a level, so
    they are refused. Borders are padded by reflection.

    Args:
        taps: filter length, 2 or 4.
    """

    kernel: Tensor

    def __init__(self, taps: int = 4) -> None:
        super().__init__()
        if taps not in (2, 4):
            raise ValueError(f"BlurPool takes 2 or 4 taps: odd filters shift the map by half a cell; found {taps}")
        row = [comb(taps - 1, i) for i in range(taps)]
        self.taps = taps
        kernel = torch.tensor([[[[a * b / sum(row) ** 2 for b in row] for a in row]]])
        self.register_buffer("kernel", kernel, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, h, w)`` → ``(B, C, h / 2, w / 2)``; h and w even."""
        if x.dtype == torch.bfloat16 and x.device.type == "cpu":
            # A depthwise convolution's gradient takes ten times as long there in bfloat16 as in float32.
            with torch.autocast("cpu", enabled=False):
                return self._filter(x.float()).to(x.dtype)
        return self._filter(x)

    def _filter(self, x: Tensor) -> Tensor:
        before = self.taps // 2 - 1
        if before:
            x = F.pad(x, (before, before, before, before), mode="reflect")
        channels = x.shape[1]
        return F.conv2d(x, self.kernel.to(x.dtype).expand(channels, 1, -1, -1), stride=2, groups=channels)


def conv_blur_pool(
    inputs: int, outputs: int, norm: str = "batch", *, antialias: bool = True, kernel: int = 3
) -> nn.Sequential:
    """Return Fig. 2's CBP, convolution - norm - ReLU - BlurPool; with a max-pool instead where ``antialias`` is off.

    The figure gives no kernel. The convolution stands before the halving, so a 3x3 one is the dearest of its level; a 1x1
    one costs a ninth, and the residual blocks behind it look round all the same.
    """
    pool = BlurPool() if antialias else nn.MaxPool2d(2, stride=2)
    return nn.Sequential(ConvNormAct(inputs, outputs, kernel, norm=norm), pool)


def resize(x: Tensor, size: int) -> Tensor:
    """Bilinear upsampling of square maps to side ``size``, edges of the image kept together."""
    if x.shape[-1] == size:
        return x
    return F.interpolate(x, size=(size, size), mode="bilinear", align_corners=False)


class Hourglass(nn.Module):
    """One anti-aliased hourglass: ``depth`` halvings and back, same shape out as in (Sect. 3.4, Fig. 2).

    At every level: residual block on the skip; convolution + BlurPool down; residual block; (the next level); residual
    block; bilinear up; concatenate with the skip (the paper's U+A); FF-Parser; residual block.

    Args:
        channels: C, in and out.
        size: side of the maps, divisible by ``2 ** depth``.
        depth: halvings (3, from 128 to 16 at the paper's size).
        antialias: False = max-pool instead of convolution + BlurPool, as in the plain hourglass (Sect. 3.4's ablation).
        down_kernel: side of the kernel of the convolution before a BlurPool, 3 or 1 (see :func:`conv_blur_pool`).
        ffp: False = no FF-Parser.
        ffp_init: ``"identity"`` or ``"paper"``, see :class:`FFParser`.
        ffp_max: largest side of a map that gets an FF-Parser; 0 = all of them. Their cost grows with the side's square.
        fuse: ``"concat"`` (the paper's words) or ``"add"`` (the letter A in its figure).
        skip_block: False = the skip is the map itself: most of an hourglass's time goes into its largest maps.
        norm: ``"batch"`` or ``"group"``.
    """

    def __init__(
        self,
        channels: int,
        size: int,
        depth: int = 3,
        *,
        antialias: bool = True,
        down_kernel: int = 3,
        ffp: bool = True,
        ffp_init: str = "identity",
        ffp_max: int = 0,
        fuse: str = "concat",
        skip_block: bool = True,
        norm: str = "batch",
    ) -> None:
        super().__init__()
        if depth < 1 or size % 2**depth:
            raise ValueError(f"an hourglass of depth {depth} needs maps whose side divides by {2**depth}; found {size}")
        self.fuse = check_choice("fuse", fuse, ("concat", "add"))
        self.size = size
        both = 2 * channels if fuse == "concat" else channels
        self.skip: nn.Module = ResidualBlock(channels, channels, norm) if skip_block else nn.Identity()
        if down_kernel not in (1, 3):
            raise ValueError(f"down_kernel is 1 or 3; found {down_kernel}")
        self.down: nn.Module = (
            conv_blur_pool(channels, channels, norm, kernel=down_kernel) if antialias else nn.MaxPool2d(2, stride=2)
        )
        self.before = ResidualBlock(channels, channels, norm)
        self.inner: nn.Module = (
            Hourglass(
                channels,
                size // 2,
                depth - 1,
                antialias=antialias,
                down_kernel=down_kernel,
                ffp=ffp,
                ffp_init=ffp_init,
                ffp_max=ffp_max,
                fuse=fuse,
                skip_block=skip_block,
                norm=norm,
            )
            if depth > 1
            else ResidualBlock(channels, channels, norm)
        )
        filtered = ffp and (ffp_max == 0 or size <= ffp_max)
        self.ffp: nn.Module = FFParser(both, size, size, init=ffp_init) if filtered else nn.Identity()
        self.after = ResidualBlock(both, channels, norm)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, size, size)`` → the same shape."""
        low = self.inner(self.before(self.down(x)))
        up, skip = resize(low, self.size), self.skip(x)
        joined = torch.cat([up, skip], dim=1) if self.fuse == "concat" else up + skip
        return self.after(self.ffp(joined))
