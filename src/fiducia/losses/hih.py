"""HIH's loss: squared error of the heatmaps, and divergence of the maps of the cells' insides (Lan et al., arXiv 2104.02273)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..heatmaps.squares import square_gaussian
from ..structures import ModelOutput
from .base import LossContext, Term
from .named_maps import Rule, check_rule
from .registry import register
from .stages import Stages, at_least_single, check_stages, stage_mean
from .targets import Targets

__all__ = ["Hih", "decimal_divergence", "decimal_targets", "integer_targets"]


def integer_targets(places: Tensor, side: int, sigma: float = 1.5) -> Tensor:
    """Draw HIH's published heatmaps: a square Gaussian round the floor of the point, which is kept on the map.

    Args:
        places: ``(..., 2)`` in cells from the crop's edge (p * w / S); nan gives an empty map.
        side: w.
        sigma: in cells.

    Returns:
        ``(..., side, side)``, peak 1.
    """
    return square_gaussian(places.floor().clamp(0, side - 1), (side, side), sigma)


def decimal_targets(decimals: Tensor, parts: int, sigma: float = 1.0) -> Tensor:
    """Draw the inside of a cell: a square Gaussian round the nearest of its ``parts`` cells.

    Args:
        decimals: ``(..., 2)`` in cells of the small map, an integer is a cell's centre; nan gives an empty map.
        parts: side of the small map.
        sigma: in its cells.

    Returns:
        ``(..., parts, parts)``, peak 1 where the nearest cell is on the map.
    """
    return square_gaussian(decimals.round(), (parts, parts), sigma)


def decimal_divergence(maps: Tensor, target: Tensor) -> Tensor:
    """Return KL(softmax(target) || softmax(maps)) divided by the number of cells, ``(N, K)``, for maps ``(N, K, m, m)``."""
    found, truth = maps.flatten(2).log_softmax(-1), target.flatten(2).log_softmax(-1)
    return F.kl_div(found, truth, reduction="none", log_target=True).mean(-1)


def _example(context: LossContext, crops: int) -> dict[str, Tensor]:
    """Return offset maps for the contract tests."""
    return {"offsets": torch.randn(crops, context.num_points, 4, 4)}


@register("hih", needs=("linear", "maps.offsets"), example=_example)
class Hih(Term):
    """HIH: mean squared error of the heatmaps + ``decimal`` x KL divergence of the maps of the cells' insides.

    The heatmaps show the cell that holds the point, and the small map the part of that cell. By the rule ``cells`` the parts
    divide the cell evenly. By the rule ``published`` cell and part are counted from the first pixel's centre: the part is
    ``round(m (p w / S - cell))``, which can be m, just outside the small map, whose target then is a tail.

    Args:
        context: what the network gives.
        decimal: weight of the divergence.
        sigma: of the heatmaps' Gaussians, in cells.
        rule: ``cells`` or ``published``, as the network's pixel rule.
        stages: of the heatmaps, see :data:`~fiducia.losses.stages.Stages`.

    Raises:
        ValueError: sigma is not positive, or an unknown option.
    """

    def __init__(
        self,
        context: LossContext,
        *,
        decimal: float = 0.05,
        sigma: float = 1.5,
        rule: Rule = "cells",
        stages: Stages = "all",
    ) -> None:
        super().__init__(context)
        check_stages(stages)
        if sigma <= 0:
            raise ValueError(f"hih: sigma > 0; found {sigma}")
        self.decimal, self.sigma, self.stages = decimal, sigma, stages
        self.published = check_rule("hih", rule)

    def forward(self, output: ModelOutput, targets: Targets) -> Tensor:
        """Return the mean over the points: of the heatmaps those that are labelled, of the decimals those in the crop."""
        inner = at_least_single(output.maps["offsets"][-1])
        side, parts = output.heatmaps[-1].shape[-1], inner.shape[-1]
        # Places in cells from the crop's edge, or, as published, from the first pixel's centre.
        places = targets.xy * (side / targets.size) if self.published else targets.cells(side) + 0.5
        if self.published:
            target = integer_targets(places, side, self.sigma)
        else:
            target = targets.heatmaps(side, sigma=self.sigma, radius=5.0, quantize=True, norm="peak1")
        decimals = parts * (places - places.floor()) - (0.0 if self.published else 0.5)
        each = decimal_divergence(inner, decimal_targets(decimals, parts).to(inner.dtype))

        def one(maps: Tensor) -> Tensor:
            values = at_least_single(maps)
            return targets.mean((values - target.to(values.dtype)).square().mean((-2, -1)), targets.seen)

        return stage_mean(output.heatmaps, self.stages, one) + self.decimal * targets.mean(each, targets.inside)
