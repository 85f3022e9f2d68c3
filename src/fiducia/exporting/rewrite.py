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

from ..heatmaps.maps import decode
from ..models.parts.spectral import FFParser

__all__ = ["DENSE_CELLS", "CropsToPoints", "DenseFilter", "ExpectationHead", "fold_batch_norms", "simplify_filters"]

DENSE_CELLS = 256
"""Maps of at most so many cells are filtered by one dense transform each way; its tables grow with the cells' square."""


class DenseFilter(nn.Module):
    """An FF-Parser by Hartley's real transform, one matrix product over all cells of the map each way.

    Hartley's transform H (``cas = cos + sin`` for ``exp``) is real, symmetric and its own inverse, and filtering is
    ``H(E X + O X')``: X the map's transform, X' the same read at the negative frequencies, E and O the even and odd parts of
    the filter's. More multiplications than :class:`~fiducia.models.parts.spectral.FFParser`'s matmul form, but a sixth of its
    operations, and no change of layout between them.

    Args:
        layer: the trained one; nothing of it is changed.
    """

    dft: Tensor
    negative: Tensor
    even: Tensor
    odd: Tensor

    def __init__(self, layer: FFParser) -> None:
        super().__init__()
        height, width = layer.height, layer.width
        table, negative = hartley_table(height, width)
        self.register_buffer("dft", table.float())
        self.register_buffer("negative", negative)
        # What the layer makes of a single bright cell is its filter.
        impulse = torch.zeros(1, layer.weight.shape[0], height, width)
        impulse[..., 0, 0] = 1.0
        with torch.no_grad():
            response = layer(impulse)[0].flatten(1).double()
        filter_ = response @ table * math.sqrt(height * width)
        self.register_buffer("even", ((filter_ + filter_[:, negative]) / 2).float())
        self.register_buffer("odd", ((filter_ - filter_[:, negative]) / 2).float())

    def forward(self, x: Tensor) -> Tensor:
        """Filter ``(B, C, h, w)``; the same shape comes back."""
        spectrum = x.flatten(2) @ self.dft
        filtered = spectrum * self.even + spectrum[..., self.negative] * self.odd
        return (filtered @ self.dft).view(x.shape)


def hartley_table(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return a map's orthonormal Hartley transform and where each frequency's negative stands.

    Returns:
        float64 ``(h w, h w)``, symmetric and its own inverse, and int64 ``(h w,)``.
    """
    rows, columns = torch.arange(height), torch.arange(width)
    y, x = (t.flatten() for t in torch.meshgrid(rows, columns, indexing="ij"))
    # Whole turns are taken off first: cos of a large angle is less exact.
    down = torch.remainder(torch.outer(y, y), height).double() / height
    right = torch.remainder(torch.outer(x, x), width).double() / width
    angle = 2 * math.pi * (down + right)
    return (angle.cos() + angle.sin()) / math.sqrt(height * width), (-y % height) * width + (-x % width)


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
    """A network from crops to points: what :class:`fiducia.runtimes.torch_runtime.TorchRuntime` does, in one graph.

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
            points, confidence = self.head(output.features)
        else:
            cells, confidence = decode(output.logits, self.method)
            points = (cells + 0.5) * self.stride - 0.5
        return points if output.settle is None else output.settle(points), confidence
