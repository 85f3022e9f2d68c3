"""Blocks that say which of their BatchNorms an export may fold away."""

from __future__ import annotations

from typing import ClassVar

from torch import nn

__all__ = ["Foldable"]


class Foldable(nn.Module):
    """A block that is no ``nn.Sequential``, with BatchNorms that read nothing but one convolution's output.

    Attributes:
        folds: names of such a convolution and of its BatchNorm; names that a block lacks are passed over.
    """

    folds: ClassVar[tuple[tuple[str, str], ...]] = ()
