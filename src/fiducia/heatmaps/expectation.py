"""The mean position over the whole map: of values (FaRL), and of a softmax (DSNT, integral regression)."""

from __future__ import annotations

import torch
from torch import Tensor

from .decode import register

__all__ = ["expectation", "integral"]


@register("expectation", within=0.05)
def expectation(p: Tensor) -> Tensor:
    """Mean position, weighted by the map's values (FaRL, training and test); losses train through it.

    A value below 0, of a map that is regressed directly, counts as 0.
    """
    p = p.clamp(min=0.0)
    h, w = p.shape[-2:]
    columns = torch.arange(w, dtype=p.dtype, device=p.device)
    rows = torch.arange(h, dtype=p.dtype, device=p.device)
    across, down = p.sum(-2), p.sum(-1)
    mass = across.sum(-1).clamp(min=1e-6)
    return torch.stack([across @ columns / mass, down @ rows / mass], dim=-1)


@register("integral", within=0.05, takes="raw")
def integral(maps: Tensor) -> Tensor:
    """Mean position under the softmax of the raw map, for networks trained by the loss ``dsnt``.

    ``sum over cells of softmax(z)_c * c`` (Nibali et al., "Numerical coordinate regression", 2018; Sun et al., "Integral
    human pose regression", ECCV 2018). A softmax does not change when a constant is added to the map, so this cannot be
    computed from values in [0, 1]. On maps that were trained as values it is far off: their softmax is nearly flat.
    """
    return expectation(maps.flatten(2).softmax(-1).view_as(maps))
