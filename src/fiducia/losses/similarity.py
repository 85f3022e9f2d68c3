"""Table 6's alternatives to DCCA: plain distances between the two views' features at the landmarks."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..structures import ModelOutput
from .base import LossContext, Term
from .distances import smooth_l1, wing
from .pairs import pairs
from .registry import register
from .targets import Targets

__all__ = ["Similarity"]

_PENALTIES: dict[str, Callable[[Tensor], Tensor]] = {
    "l2": torch.square,
    "l1": torch.abs,
    "smooth_l1": smooth_l1,
    # Features are of unit scale, not pixels: the knee stands at 1.
    "wing": lambda x: wing(x, w=1.0, epsilon=0.2),
}


@register("similarity", needs=("features",), views=2)
class Similarity(Term):
    """Mean distance of the two views' features at the landmarks (Table 6).

    Args:
        context: what the network gives.
        distance: ``l2``, ``l1``, ``smooth_l1`` or ``wing``, elementwise.
    """

    def __init__(self, context: LossContext, *, distance: str = "l2") -> None:
        super().__init__(context)
        if distance not in _PENALTIES:
            raise ValueError(f"similarity: distance is one of {', '.join(_PENALTIES)}; found {distance!r}")
        self.penalty = _PENALTIES[distance]

    def forward(self, output: ModelOutput, targets: Targets) -> Tensor:
        """Return the mean over landmarks that are seen in both views."""
        views = pairs(output, targets)
        return targets.mean(self.penalty(views.pooled[:, 0] - views.pooled[:, 1]).mean(-1), views.valid)
