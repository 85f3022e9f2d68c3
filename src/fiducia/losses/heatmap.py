"""Losses of heatmaps against target heatmaps, for networks that give one map a landmark."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor

from ..structures import ModelOutput
from .reading import weigh_and_read
from .registry import register
from .stages import Stages, at_least_single, stage_mean
from .targets import Targets

__all__ = ["Stages", "heatmap_bce", "heatmap_mse", "map_values", "read_once", "stage_mean"]


@register("bce", needs=("logits",))
def heatmap_bce(
    output: ModelOutput,
    targets: Targets,
    *,
    sigma: PositiveFloat | None = None,
    radius: PositiveFloat | None = None,
    stages: Stages = "final",
    side: PositiveInt | None = None,
) -> Tensor:
    """Binary cross-entropy of heatmap logits, the mean over a map's cells (Sect. 3.1).

    Args:
        output: with logits ``(N, K, h, w)``.
        targets: the truth.
        sigma: of the target Gaussians in cells; None = the recipe's ``heatmap.sigma``.
        radius: of the target Gaussians in cells; None = the recipe's.
        stages: see :data:`~fiducia.losses.stages.Stages`.
        side: compare at this side in cells: logits of another side are resized bilinearly first (FaRL: 128, with sigma 1.25
            and radius 5); None = at the network's own.
    """

    def one(maps: Tensor) -> Tensor:
        if side is None or maps.shape[-1] == side:
            entropy, _ = read_once(maps, targets, sigma, radius)
        else:
            resized = F.interpolate(at_least_single(maps), size=(side, side), mode="bilinear", align_corners=False)
            entropy, _ = weigh_and_read(resized, targets.heatmaps(side, sigma=sigma, radius=radius))
        return targets.mean(entropy, targets.seen)

    return stage_mean(output.heatmaps, stages, one)


@register("heatmap_mse", needs=("heatmaps",))
def heatmap_mse(
    output: ModelOutput,
    targets: Targets,
    *,
    sigma: PositiveFloat | None = None,
    radius: PositiveFloat | None = None,
    stages: Stages = "all",
) -> Tensor:
    """Mean squared error of heatmaps, as HRNet and FAN are trained; logits pass a sigmoid first.

    Args:
        output: with maps ``(N, K, h, w)`` of any side, one stage or several.
        targets: the truth.
        sigma: of the target Gaussians in cells; None = the recipe's.
        radius: of the target Gaussians in cells; None = the recipe's.
        stages: see :data:`~fiducia.losses.stages.Stages`.
    """

    def one(maps: Tensor) -> Tensor:
        target = targets.heatmaps(maps.shape[-1], sigma=sigma, radius=radius)
        return targets.mean((map_values(maps, output.linear) - target).square().mean((-2, -1)), targets.seen)

    return stage_mean(output.heatmaps, stages, one)


def map_values(maps: Tensor, linear: bool) -> Tensor:
    """Return maps as they are compared with targets: linear ones as they stand, logits through a sigmoid."""
    maps = at_least_single(maps)
    return maps if linear else torch.sigmoid(maps)


def read_once(
    logits: Tensor, targets: Targets, sigma: PositiveFloat | None = None, radius: PositiveFloat | None = None
) -> tuple[Tensor, Tensor]:
    """Return cross-entropy ``(N, K)`` and expected cells ``(N, K, 2)`` of logits, computed once a batch for all losses."""

    def read() -> tuple[Tensor, Tensor]:
        return weigh_and_read(logits, targets.heatmaps(logits.shape[-1], sigma=sigma, radius=radius))

    return targets.once(("read", id(logits), sigma, radius), read)
