"""The two views' features of a batch, in the forms that similarity losses compare."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..heatmaps.encode import encode
from ..structures import ModelOutput
from .pooling import pool_at_landmarks
from .stages import at_least_single
from .targets import Targets

__all__ = ["Pairs", "pairs"]


@dataclass(frozen=True)
class Pairs:
    """The features of two views.

    Attributes:
        maps: ``(B, 2, C, h, w)`` before the head.
        pooled: ``(B, 2, K, C)`` under the ground-truth heatmaps.
        valid: bool ``(B, K)``: seen in both views.
    """

    maps: Tensor
    pooled: Tensor
    valid: Tensor


def pairs(output: ModelOutput, targets: Targets) -> Pairs:
    """Return the views' features; computed once a batch.

    Args:
        output: with features ``(2 B, C, h, w)``.
        targets: of two views.
    """

    def make() -> Pairs:
        assert output.features is not None
        features = at_least_single(output.features)
        side = features.shape[-1]
        logits = bool(output.heatmaps) and not output.linear and output.heatmaps[-1].shape[-1] == side
        # A logit network's own targets are at hand; others pool under the standard Gaussian.
        heatmaps = targets.heatmaps(side) if logits else encode(targets.cells(side), (side, side))
        pooled, on_map = pool_at_landmarks(features, heatmaps.to(features.dtype))
        faces, points = targets.batch.mask.shape[0], targets.batch.mask.shape[-1]
        valid = (targets.batch.mask & on_map.view(faces, 2, points)).all(1)
        maps = features.view(faces, 2, *features.shape[1:])
        return Pairs(maps, pooled.view(faces, 2, points, -1), valid)

    return targets.once("pairs", make)
