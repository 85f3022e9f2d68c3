"""What makes the two views' features alike: DCCA (the paper), its variants, and Table 6's regression losses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..config import LossConfig
from ..registry import Registry
from .correlation import canonical_correlation, scalar_correlation
from .pooling import gather, global_count
from .regression import smooth_l1, wing

__all__ = ["Views", "similarities"]


@dataclass(frozen=True)
class Views:
    """The features of two views, in the forms that a similarity may want.

    Attributes:
        maps: ``(B, 2, C, h, w)`` before the head.
        pooled: ``(B, 2, K, C)`` under the ground-truth heatmaps.
        projected: ``(B, 2, K', o)`` after the learned linear map; K' is K, or 1 for global features.
        valid: bool ``(B, K')``: seen in both views.
    """

    maps: Tensor
    pooled: Tensor
    projected: Tensor
    valid: Tensor


Similarity = Callable[[Views, LossConfig], dict[str, Tensor]]

similarities: Registry[Similarity] = Registry("similarity")
"""Name → function giving ``{"similarity": loss}`` and any terms that are only logged."""


def _correlate(views: Views, cfg: LossConfig, *, squared: bool = False, center: str | None = None) -> dict[str, Tensor]:
    a, b = gather(views.projected[:, 0]), gather(views.projected[:, 1])
    valid = gather(views.valid.to(a.dtype)) > 0.5
    how = center if center is not None else cfg.dcca_center
    options = {"shrinkage": cfg.dcca_shrinkage, "eps": cfg.dcca_eps, "center": how, "squared": squared}
    total = canonical_correlation(a, b, valid, **options)  # type: ignore[arg-type]
    width = a.shape[-1]
    with torch.no_grad():
        # Landmarks of one face are not independent samples: what the loss still finds between different faces is not real.
        strangers = canonical_correlation(
            a.detach(),
            b.detach().roll(1, 0),
            valid & valid.roll(1, 0),
            **options,  # type: ignore[arg-type]
        )
    return {
        "similarity": -total.to(a.device, a.dtype) / width,
        "dcca_sum": total.detach().to(a.device, a.dtype),
        "dcca_shuffled": -strangers.to(a.device, a.dtype) / width,
    }


@similarities.register("dcca")
def _dcca(views: Views, cfg: LossConfig) -> dict[str, Tensor]:
    """DCCA over (face, landmark) samples: minus the mean canonical correlation, in [-1, 0] (Sect. 3.3)."""
    return _correlate(views, cfg)


@similarities.register("dcca_sq")
def _dcca_squared(views: Views, cfg: LossConfig) -> dict[str, Tensor]:
    """The same with squared correlations (cca_zoo), which cares more for what correlates already."""
    return _correlate(views, cfg, squared=True)


@similarities.register("dcca_global")
def _dcca_global(views: Views, cfg: LossConfig) -> dict[str, Tensor]:
    """DCCA over whole faces: one averaged feature a face, so a batch of B gives B samples; wants dcca_dim <= 8."""
    return _correlate(views, cfg, center="global")


@similarities.register("corr_scalar")
def _corr_scalar(views: Views, cfg: LossConfig) -> dict[str, Tensor]:
    """Eqs 7-8 to the letter: minus the scalar correlation of the two views' flattened feature maps."""
    return {"similarity": -scalar_correlation(views.maps[:, 0], views.maps[:, 1]).to(views.maps.dtype)}


def _regress(views: Views, penalty: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
    each = penalty(views.pooled[:, 0] - views.pooled[:, 1]).mean(-1)
    each = torch.where(views.valid, each, torch.zeros_like(each))
    return {"similarity": each.sum() / global_count(views.valid.sum().to(each.dtype))}


@similarities.register("l2")
def _l2(views: Views, cfg: LossConfig) -> dict[str, Tensor]:
    """Mean squared difference of the pooled features (Table 6)."""
    return _regress(views, torch.square)


@similarities.register("l1")
def _l1(views: Views, cfg: LossConfig) -> dict[str, Tensor]:
    """Mean absolute difference of the pooled features (Table 6)."""
    return _regress(views, torch.abs)


@similarities.register("smooth_l1")
def _smooth_l1(views: Views, cfg: LossConfig) -> dict[str, Tensor]:
    """Smooth L1 of the pooled features (Table 6)."""
    return _regress(views, smooth_l1)


@similarities.register("wing")
def _wing(views: Views, cfg: LossConfig) -> dict[str, Tensor]:
    """Wing loss of the pooled features (Table 6), knee at 1: features are of unit scale, not pixels."""
    return _regress(views, lambda x: wing(x, w=1.0, epsilon=0.2))
