"""Squared error of heatmaps against the wide Gaussians that FAN's published code draws."""

from __future__ import annotations

import torch
from pydantic import NonNegativeInt, PositiveFloat
from torch import Tensor

from ..structures import ModelOutput
from .heatmap import map_values
from .registry import register
from .stages import Stages, stage_mean
from .targets import Targets

__all__ = ["fan_gaussian", "fan_mse"]


def fan_gaussian(cells: Tensor, side: int, sigma: float = 3.25, reach: int = 6) -> Tensor:
    """Draw FAN's targets: a Gaussian in a square round the nearest cell (1adrianb/face-alignment).

    The published kernel has 13 x 13 cells, a sigma of a quarter of that and peak 1. It counts cells from 1, with the centre of
    the first at 1.5.

    Args:
        cells: points ``(..., K, 2)`` in map cells; an integer is a cell's centre. nan = an empty map.
        side: of the map in cells.
        sigma: standard deviation in cells.
        reach: cells on each side of the centre; further away is 0.

    Returns:
        ``(..., K, side, side)``.
    """
    centre = torch.floor(cells + 0.5)
    grid = torch.arange(side, dtype=cells.dtype, device=cells.device)
    far = grid - centre[..., None]
    # A comparison with nan is false: unlabelled points have empty maps.
    line = torch.where(far.abs() <= reach, torch.exp(-0.5 * (far / sigma) ** 2), torch.zeros_like(far))
    return line[..., 1, :, None] * line[..., 0, None, :]


@register("fan_mse", needs=("heatmaps",))
def fan_mse(
    output: ModelOutput,
    targets: Targets,
    *,
    sigma: PositiveFloat = 3.25,
    reach: NonNegativeInt = 6,
    stages: Stages = "all",
) -> Tensor:
    """Mean squared error of heatmaps against FAN's published targets, Gaussians in a square round the nearest cell.

    FAN's training code was never published, so it is not known whether it was trained with them: they are what its repository
    has to draw Gaussians with.

    Args:
        output: with maps ``(N, K, h, w)`` of any side, one stage or several; logits pass a sigmoid first.
        targets: the truth.
        sigma: of the target Gaussians in cells.
        reach: half the side of the square that a Gaussian fills, in cells.
        stages: see :data:`~fiducia.losses.stages.Stages`.
    """

    def one(maps: Tensor) -> Tensor:
        side = maps.shape[-1]
        target = targets.once(
            ("fan", side, sigma, reach), lambda: fan_gaussian(targets.cells(side), side, sigma, reach)
        )
        return targets.mean((map_values(maps, output.linear) - target).square().mean((-2, -1)), targets.seen)

    return stage_mean(output.heatmaps, stages, one)
