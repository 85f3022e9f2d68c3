"""FF-Parser: a learned filter over the whole map, applied in the frequency domain (Sect. 3.4; MedSegDiff)."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from .blocks import check_choice

__all__ = ["FFParser", "resize_spectrum"]


def _dft_tables(n: int) -> tuple[Tensor, Tensor]:
    """Return cos and sin of ``2 pi j k / n``, scaled by ``1 / sqrt(n)``, float32 ``(n, n)``."""
    j = np.arange(n)
    angle = np.outer(j, j) % n * (2 * math.pi / n)
    cos, sin = (table(angle) / math.sqrt(n) for table in (np.cos, np.sin))
    return torch.tensor(cos.astype(np.float32)), torch.tensor(sin.astype(np.float32))


class FFParser(nn.Module):
    """``irfft2(rfft2(x) * W)`` with a learned complex ``W`` a channel: a circular depthwise filter as large as the map.

    It always computes in float32, also under autocast: half-precision FFTs need power-of-two sizes.

    Args:
        channels: C.
        height: h of the maps that it will see; the filter fits that size alone (see :func:`resize_spectrum`).
        width: w.
        init: ``"identity"`` starts as a no-op; ``"paper"`` draws ``W`` from 0.02 N(0, 1) as MedSegDiff does, which
            scatters a peak over the whole map at step 0.
        form: ``"fft"``, or ``"matmul"``: the same filter by real cos/sin matrices, for runtimes without FFTs.
            ``module.form = "matmul"`` switches a trained one.

    Attributes:
        weight: ``(C, h, w // 2 + 1, 2)``, real and imaginary parts; kept real so that averaging, clipping and gradient
            exchange need no complex numbers. Weight decay must leave it alone (it would pull the filter to zero).
    """

    cos_h: Tensor
    sin_h: Tensor
    cos_w: Tensor
    sin_w: Tensor
    fold: Tensor

    def __init__(self, channels: int, height: int, width: int, *, init: str = "identity", form: str = "fft") -> None:
        super().__init__()
        self.height, self.width = height, width
        self.form = check_choice("ffp_form", form, ("fft", "matmul"))
        weight = torch.zeros(channels, height, width // 2 + 1, 2)
        if check_choice("ffp_init", init, ("identity", "paper")) == "identity":
            weight[..., 0].fill_(1.0)
        else:
            weight.normal_(std=0.02)
        self.weight = nn.Parameter(weight)
        half = width // 2 + 1
        cos_h, sin_h = _dft_tables(height)
        cos_w, sin_w = _dft_tables(width)
        # A real signal's spectrum is symmetric: every column but the first and the Nyquist one stands for two.
        alone = {0, half - 1} if width % 2 == 0 else {0}
        fold = torch.tensor([[1.0 if column in alone else 2.0] for column in range(half)])
        for name, table in (("cos_h", cos_h), ("sin_h", sin_h), ("cos_w", cos_w[:half]), ("sin_w", sin_w[:half])):
            self.register_buffer(name, table, persistent=False)
        self.register_buffer("fold", fold, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Filter ``(B, C, h, w)``; same shape and dtype out.

        Raises:
            ValueError: the map is not of the size the filter was built for.
        """
        if x.shape[-2:] != (self.height, self.width):
            raise ValueError(
                f"this FF-Parser filters {self.height}x{self.width} maps; found {x.shape[-2]}x{x.shape[-1]}"
            )
        with torch.autocast("cpu" if x.is_meta else x.device.type, enabled=False):
            y = self._by_fft(x.float()) if self.form == "fft" else self._by_matmul(x.float())
        return y.to(x.dtype)

    def _by_fft(self, x: Tensor) -> Tensor:
        spectrum = torch.fft.rfft2(x, norm="ortho") * torch.view_as_complex(self.weight.float().contiguous())
        return torch.fft.irfft2(spectrum, s=(self.height, self.width), norm="ortho")

    def _by_matmul(self, x: Tensor) -> Tensor:
        ch, sh, cw, sw = self.cos_h, self.sin_h, self.cos_w, self.sin_w
        weight = self.weight.float()
        real, imag = x @ cw.T, -(x @ sw.T)
        real, imag = ch @ real + sh @ imag, ch @ imag - sh @ real
        a, b = weight[..., 0], weight[..., 1]
        real, imag = real * a - imag * b, real * b + imag * a
        real, imag = ch @ real - sh @ imag, ch @ imag + sh @ real
        return real @ (self.fold * cw) - imag @ (self.fold * sw)

    def macs(self, x: Tensor) -> int:
        """Return the multiply-adds for one input: FFTs at 1.25 n log2 n a real transform, or the matrix products."""
        n, h, w, half = x[0, 0].numel(), self.height, self.width, self.width // 2 + 1
        if self.form == "fft":
            each = round(2.5 * n * math.log2(max(n, 2))) + 4 * h * half
        else:
            each = 4 * h * w * half + 8 * h * h * half + 4 * h * half
        return x.shape[0] * x.shape[1] * each

    def extra_repr(self) -> str:
        """Sizes, for ``print(model)``."""
        return f"{self.weight.shape[0]}, {self.height}x{self.width}, form={self.form!r}"


def _blend(source: Tensor, count: int, positions: Tensor, *, wrap: bool) -> Tensor:
    """Return the ``(len(positions), count)`` matrix of linear interpolation at fractional ``positions``."""
    low = positions.floor()
    share = positions - low
    first, second = low.long(), low.long() + 1
    if wrap:
        first, second = first % count, second % count
    else:
        first, second = first.clamp(0, count - 1), second.clamp(0, count - 1)
    matrix = source.new_zeros(len(positions), count)
    rows = torch.arange(len(positions))
    matrix.index_put_((rows, first), 1 - share, accumulate=True)
    matrix.index_put_((rows, second), share, accumulate=True)
    return matrix


def resize_spectrum(weight: Tensor, old_width: int, height: int, width: int) -> Tensor:
    """Fit an FF-Parser's weights to maps of another size by bilinear interpolation over frequency.

    The filter keeps its gain at every frequency in cycles a cell. Rows hold the frequencies 0 … then the negative ones,
    so they are blended round the circle (what an fftshift before and after would do); the mean stays exactly the mean.

    Args:
        weight: ``(C, h, old_width // 2 + 1, 2)``.
        old_width: w, which the halved axis does not tell.
        height: new h.
        width: new w.

    Returns:
        ``(C, height, width // 2 + 1, 2)`` in the weight's dtype.
    """
    old_height, old_half = weight.shape[1], weight.shape[2]
    if (old_height, old_width) == (height, width):
        return weight
    source = weight.double().cpu()
    signed = torch.fft.fftfreq(height, dtype=torch.float64) * old_height
    rows = _blend(source, old_height, signed, wrap=True)
    columns = _blend(
        source, old_half, torch.arange(width // 2 + 1, dtype=torch.float64) * old_width / width, wrap=False
    )
    resized = torch.einsum("ph,chwr,qw->cpqr", rows, source, columns)
    return resized.to(weight)
