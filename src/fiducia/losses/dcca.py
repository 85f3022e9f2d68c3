"""DCCA between the two views' features at the landmarks (Sect. 3.3), and the scalar correlation of eqs 7-8."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from ..structures import ModelOutput
from .base import LossContext, Term
from .correlation import canonical_correlation, scalar_correlation
from .pairs import pairs
from .pooling import gather
from .registry import register
from .targets import Targets

__all__ = ["DCCA", "scalar"]

Center = Literal["landmark", "landmark+face", "global"]


@register("dcca", needs=("features",), views=2)
class DCCA(Term):
    """Minus the mean canonical correlation of the two views' features, in [-1, 0] (Sect. 3.3).

    Each (face, landmark) is a sample: the features under its ground-truth heatmap, after a learned linear map. The same loss
    between different faces is logged as ``dcca_shuffled``: what it finds there is not real.

    Args:
        context: gives the width of the features.
        dim: width of the linear map.
        shrinkage: rho in [0, 1], towards the identity; it scales the cross-covariance too.
        eps: floor on the diagonal.
        center: ``landmark``: centred for each view and landmark; ``landmark+face``: the face's own share is taken off too;
            ``global``: one mean for all.
        pool: ``landmarks``, or ``face``: one averaged feature a face, for which ``dim`` should be 8 or less.
        squared: squared correlations, as in cca_zoo.
    """

    def __init__(
        self,
        context: LossContext,
        *,
        dim: int = 16,
        shrinkage: float = 0.05,
        eps: float = 1e-6,
        center: Center = "landmark",
        pool: Literal["landmarks", "face"] = "landmarks",
        squared: bool = False,
    ) -> None:
        super().__init__(context)
        if dim < 1 or not 0 <= shrinkage <= 1 or eps < 0:
            raise ValueError(f"dcca: dim >= 1, shrinkage in [0, 1] and eps >= 0; found {dim}, {shrinkage}, {eps}")
        if center not in ("landmark", "landmark+face", "global") or pool not in ("landmarks", "face"):
            raise ValueError(f"dcca: center {center!r} or pool {pool!r} is not a choice")
        self.shrinkage, self.eps, self.squared, self.pool = shrinkage, eps, squared, pool
        self.center: Center = "global" if pool == "face" else center
        self.projection = nn.Linear(context.feature_channels, dim, bias=False)

    def forward(self, output: ModelOutput, targets: Targets) -> Tensor:
        """Return minus the mean correlation over all processes' samples."""
        views = pairs(output, targets)
        projected, valid = views.pooled, views.valid
        if self.pool == "face":
            projected = views.maps.mean((-2, -1))[:, :, None]
            valid = torch.ones(len(projected), 1, dtype=torch.bool, device=valid.device)
        projected = self.projection(projected)
        a, b = gather(projected[:, 0]), gather(projected[:, 1])
        valid = gather(valid.to(a.dtype)) > 0.5
        total = self._correlate(a, b, valid)
        width = a.shape[-1]
        with torch.no_grad():
            # Landmarks of one face are not independent samples: this baseline says how much of the value is real.
            strangers = self._correlate(a.detach(), b.detach().roll(1, 0), valid & valid.roll(1, 0))
        targets.log("dcca_sum", total.to(a.device, a.dtype))
        targets.log("dcca_shuffled", -strangers.to(a.device, a.dtype) / width)
        return -total.to(a.device, a.dtype) / width

    def _correlate(self, a: Tensor, b: Tensor, valid: Tensor) -> Tensor:
        return canonical_correlation(
            a, b, valid, shrinkage=self.shrinkage, eps=self.eps, center=self.center, squared=self.squared
        )


@register("scalar_correlation", needs=("features",), views=2)
def scalar(output: ModelOutput, targets: Targets) -> Tensor:
    """Eqs 7-8 to the letter: minus the scalar correlation of the two views' flattened feature maps."""
    maps = pairs(output, targets).maps
    return -scalar_correlation(maps[:, 0], maps[:, 1]).to(maps.dtype)
