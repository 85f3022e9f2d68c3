"""Forms of a network that give the same points in less time, for exported graphs; training never sees them.

All are the same arithmetic in another order, equal up to rounding in float32. What they save was measured per operation on
CPUs: a runtime pays for each small tensor that it hands on, and for every change of layout, more than for multiplying.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..models.parts.foldable import Foldable
from ..models.parts.spectral import FFParser

__all__ = ["DENSE_CELLS", "DenseFilter", "fold_batch_norms", "simplify_filters"]

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
    """Fold each BatchNorm that directly follows a convolution into it, in place; returns how many.

    These are the ones in sequences, and those that a :class:`~fiducia.models.parts.foldable.Foldable` names.

    The result is the same up to rounding, in evaluation mode alone. A norm before an activation (the residual blocks) has
    nothing to be folded into: what it reads is used elsewhere too.
    """
    folded = 0
    for parent in list(model.modules()):
        for first, second in _neighbours(parent):
            layer, norm = parent.get_submodule(first), parent.get_submodule(second)
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and isinstance(norm, nn.BatchNorm2d):
                fused = fuse_conv_bn_eval(layer, norm, transpose=isinstance(layer, nn.ConvTranspose2d))
                parent.register_module(first, fused)
                parent.register_module(second, nn.Identity())
                folded += 1
    return folded


def _neighbours(parent: nn.Module) -> list[tuple[str, str]]:
    """Return the names of children of which the second reads the first's output, and nothing else does."""
    names = [name for name, _ in parent.named_children()]
    if isinstance(parent, nn.Sequential):
        return list(pairwise(names))
    if isinstance(parent, Foldable):
        return [pair for pair in parent.folds if set(pair) <= set(names)]
    return []
