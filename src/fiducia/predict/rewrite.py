"""Forms of a network that give the same points in less time, for exported graphs; training never sees them.

All are the same arithmetic in another order, equal up to rounding in float32. What they save was measured per operation on
CPUs: a runtime pays for each small tensor that it hands on, and for every change of layout, more than for multiplying.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..heatmaps import decode
from ..models.spectral import FFParser

__all__ = ["DENSE_CELLS", "CropsToPoints", "DenseFilter", "ExpectationHead", "fold_batch_norms", "simplify_filters"]

DENSE_CELLS = 256
"""Maps of at most so many cells are filtered by one dense transform each way; its tables grow with the cells' square."""


class DenseFilter(nn.Module):
    """An FF-Parser whose Fourier transform is one matrix product a way over all cells of the map, not one an axis.

    More multiplications than :class:`~fiducia.models.spectral.FFParser`'s matmul form, but seven operations instead of
    thirty-five, and no change of layout between them: two thirds of the time on maps of 16 x 16, a third on 8 x 8.

    Args:
        layer: the trained one; nothing of it is changed.
    """

    dft_re: Tensor
    dft_im: Tensor
    dft_back_re: Tensor
    dft_back_im: Tensor
    real: Tensor
    imaginary: Tensor

    def __init__(self, layer: FFParser) -> None:
        super().__init__()
        channels = layer.weight.shape[0]
        tables = dense_tables(layer.height, layer.width)
        for name, table in zip(("dft_re", "dft_im", "dft_back_re", "dft_back_im"), tables, strict=True):
            self.register_buffer(name, table)
        weight = layer.weight.detach().float()
        self.register_buffer("real", weight[..., 0].reshape(channels, -1).clone())
        self.register_buffer("imaginary", weight[..., 1].reshape(channels, -1).clone())

    def forward(self, x: Tensor) -> Tensor:
        """Filter ``(B, C, h, w)``; the same shape comes back."""
        cells = x.flatten(2)
        re, im = cells @ self.dft_re, cells @ self.dft_im
        real = re * self.real - im * self.imaginary
        imaginary = re * self.imaginary + im * self.real
        return (real @ self.dft_back_re + imaginary @ self.dft_back_im).view(x.shape)


def dense_tables(height: int, width: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return a map's orthonormal half-spectrum transform as matrices, float32.

    Returns:
        real and imaginary part of the way there, ``(h w, h (w // 2 + 1))`` each, and of the way back, their transposes'
        shape: ``x = re @ back_re + im @ back_im``.
    """
    half = width // 2 + 1
    rows, columns = (torch.arange(n, dtype=torch.float64) for n in (height, width))
    y, x = (t.flatten() for t in torch.meshgrid(rows, columns, indexing="ij"))
    v, u = (t.flatten() for t in torch.meshgrid(rows, columns[:half], indexing="ij"))
    # Whole turns are taken off first: cos of a large angle is less exact.
    turns = torch.remainder(torch.outer(y, v), height) / height + torch.remainder(torch.outer(x, u), width) / width
    cos, sin = (f(2 * math.pi * turns) / math.sqrt(height * width) for f in (torch.cos, torch.sin))
    # A real signal's spectrum is symmetric: every column but the first and the Nyquist one stands for two.
    twice = torch.full((half,), 2.0, dtype=torch.float64)
    twice[0] = 1.0
    if width % 2 == 0:
        twice[-1] = 1.0
    twice = twice.repeat(height)
    return cos.float(), -sin.float(), (cos * twice).T.float().contiguous(), -(sin * twice).T.float().contiguous()


def simplify_filters(model: nn.Module) -> int:
    """Give each FF-Parser, in place, the form that few runtimes refuse and that is quickest; returns how many.

    Those of at most :data:`DENSE_CELLS` cells become a :class:`DenseFilter`, larger ones take their matmul form.
    """
    changed = 0
    for parent in list(model.modules()):
        for name, layer in list(parent.named_children()):
            if not isinstance(layer, FFParser):
                continue
            changed += 1
            if layer.height * layer.width <= DENSE_CELLS:
                setattr(parent, name, DenseFilter(layer))
            else:
                layer.form = "matmul"
    return changed


def fold_batch_norms(model: nn.Module) -> int:
    """Fold each BatchNorm that directly follows a convolution in a sequence into it, in place; returns how many.

    The result is the same up to rounding, in evaluation mode alone. A norm before an activation (the residual blocks) has
    nothing to be folded into: what it reads is used elsewhere too.
    """
    folded = 0
    for parent in model.modules():
        if not isinstance(parent, nn.Sequential):
            continue
        for i in range(len(parent) - 1):
            layer, norm = parent[i], parent[i + 1]
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and isinstance(norm, nn.BatchNorm2d):
                parent[i] = fuse_conv_bn_eval(layer, norm, transpose=isinstance(layer, nn.ConvTranspose2d))
                parent[i + 1] = nn.Identity()
                folded += 1
    return folded


class ExpectationHead(nn.Module):
    """A 1x1 head and the expectation decode in one, on maps that lie channels last, as convolutions leave them.

    Heatmaps of 68 points are the largest tensor of a small network; laid out cells first they need no reordering, and
    their three moments (x, y, mass) are one product with a table. ``1 / (1 + exp(-z))`` is the sigmoid, which
    OpenVINO computes faster as an operation of its own than as the tail of the product before it.

    Args:
        head: the 1x1 convolution to logits.
        side: cells a side of the maps.
        stride: crop pixels a cell.
    """

    weight: Tensor
    bias: Tensor
    moments: Tensor

    def __init__(self, head: nn.Conv2d, side: int, stride: float) -> None:
        super().__init__()
        self.count = head.out_channels
        self.register_buffer("weight", -head.weight.detach().flatten(1).float())
        bias = head.bias if head.bias is not None else torch.zeros(self.count)
        self.register_buffer("bias", -bias.detach().float())
        # Measured from the crop's middle, where sums of both signs lose least to rounding.
        self.middle = (side * stride - 1) / 2
        cells = stride * (torch.arange(side, dtype=torch.float32) - (side - 1) / 2)
        y, x = torch.meshgrid(cells, cells, indexing="ij")
        self.register_buffer("moments", torch.stack([x.flatten(), y.flatten(), torch.ones(side * side)]))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """``(N, C, side, side)`` → points ``(N, K, 2)`` in crop pixels and confidence ``(N, K)`` in [0, 1]."""
        cells = features.permute(0, 2, 3, 1).flatten(0, 2)
        p = 1 / (1 + torch.exp(F.linear(cells, self.weight, self.bias)))
        p = p.view(-1, self.moments.shape[1], self.count)
        sums = self.moments @ p
        xy = sums[:, :2] / sums[:, 2:].clamp(min=1e-6) + self.middle
        return xy.transpose(1, 2), p.amax(1)


class CropsToPoints(nn.Module):
    """A network from crops to points: what :class:`fiducia.predict.runtime.TorchRuntime` does, in one graph.

    Args:
        model: crops → :class:`fiducia.structures.ModelOutput`.
        method: a registered decoder.
    """

    def __init__(self, model: nn.Module, method: str) -> None:
        super().__init__()
        self.model = model
        self.method = method
        self.stride = float(model.stride)  # type: ignore[arg-type]
        head, size = getattr(model, "head", None), getattr(model, "size", None)
        self.head: ExpectationHead | None = None
        if method == "expectation" and size and isinstance(head, nn.Conv2d) and head.kernel_size == (1, 1):
            self.head = ExpectationHead(head, int(size / self.stride), self.stride)

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Uint8 ``(N, 3, S, S)`` RGB → points ``(N, K, 2)`` in crop pixels and confidence ``(N, K)`` in [0, 1]."""
        output = self.model(crops)
        if output.logits is None:
            return output.points.float(), torch.ones_like(output.points[..., 0], dtype=torch.float32)
        if self.head is not None:
            return self.head(output.features)
        cells, confidence = decode(output.logits, self.method)
        return (cells + 0.5) * self.stride - 0.5, confidence
