"""PIPNet's loss: a score map against the cell of each landmark, and offsets read at that cell (Jin et al., IJCV 2021)."""

from __future__ import annotations

import torch
from torch import Tensor

from ..structures import ModelOutput
from .base import LossContext
from .registry import register
from .stages import at_least_single
from .targets import Targets

__all__ = ["pip"]


_MAPS = ("score", "x", "y", "nb_x", "nb_y")


def _example(context: LossContext, crops: int) -> dict[str, Tensor]:
    """Return maps for the contract tests: two neighbours each, on a grid of 4 x 4 cells."""
    k = context.num_points
    maps = {name: torch.randn(crops, 2 * k if name.startswith("nb") else k, 4, 4) for name in _MAPS}
    near = torch.stack([torch.arange(k).roll(1), torch.arange(k).roll(2)])
    return {**maps, "neighbours": near.expand(crops, -1, -1)}


@register("pip", needs=(*(f"maps.{name}" for name in _MAPS), "maps.neighbours"), example=_example)
def pip(
    output: ModelOutput, targets: Targets, *, score: float = 10.0, offset: float = 1.0, neighbour: float = 1.0
) -> Tensor:
    """PIPNet's loss: squared error of the score map, L1 of the offsets at the landmark's cell.

    ``score * MSE + offset * (L1 of x + L1 of y) + neighbour * (L1 of nb_x + L1 of nb_y)``. The cell of a point p on a grid of
    side w is ``floor(p w / S)``, cut to the grid; its offset is ``p w / S - cell``, in cells from the cell's corner. A
    neighbour's offset counts from the same cell and is not bounded.

    Args:
        output: of :mod:`fiducia.models.pipnet_r18`: its five maps and its neighbours.
        targets: the truth.
        score: weight of the score map, the mean over its cells.
        offset: weight of a landmark's own offsets.
        neighbour: weight of its neighbours' offsets.
    """
    maps = {name: at_least_single(output.maps[name][-1]) for name in _MAPS}
    scores = maps["score"]
    side = scores.shape[-1]
    where = targets.seen
    points = torch.where(where[..., None], targets.xy, torch.zeros_like(targets.xy)) * (side / targets.size)
    cell = points.floor().clamp(0, side - 1)
    index = (cell[..., 1] * side + cell[..., 0]).long()
    one_hot = torch.nn.functional.one_hot(index, side * side).to(scores.dtype)
    total = score * targets.mean((scores.flatten(2) - one_hot).square().mean(-1), where)

    own = torch.stack([_at(maps["x"], index), _at(maps["y"], index)], dim=-1)
    total = total + offset * targets.mean((own[..., 0, :] - (points - cell)).abs().sum(-1), where)

    near = output.maps["neighbours"][-1].round().long().transpose(1, 2)
    rows = torch.arange(len(points), device=points.device)[:, None, None]
    offsets = torch.stack([_at(maps["nb_x"], index), _at(maps["nb_y"], index)], dim=-1)
    error = (offsets - (points[rows, near] - cell[..., None, :])).abs().sum(-1)
    both = where[..., None] & where[rows, near]
    return total + neighbour * targets.mean(error.flatten(1), both.flatten(1))


def _at(maps: Tensor, index: Tensor) -> Tensor:
    """Return ``(N, K, J)``: what each landmark's J maps, of ``(N, K J, h, w)``, hold at its cell."""
    n, k = index.shape
    values = maps.reshape(n, k, -1, maps.shape[-2] * maps.shape[-1])
    return values.gather(-1, index[..., None, None].expand(-1, -1, values.shape[2], 1))[..., 0]
