"""Multi-scale deformable attention in plain torch (Zhu et al., "Deformable DETR", ICLR 2021, eq. 3)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["DeformableAttention", "cell_centres", "sample_levels"]


def sample_levels(levels: Sequence[Tensor], locations: Tensor, weights: Tensor) -> Tensor:
    """Return weighted sums of bilinear samples from several maps.

    Args:
        levels: one map a level, ``(G, C, h_l, w_l)``, each of any size; outside it there are zeros.
        locations: ``(G, N, L, P, 2)``, x and y in [0, 1] of the map's width and height: (cell + 0.5) / w is a cell's centre.
        weights: ``(G, N, L, P)``.

    Returns:
        ``(G, C, N)``.
    """
    total: Tensor | None = None
    for i, level in enumerate(levels):
        samples = F.grid_sample(
            level.to(locations.dtype), 2 * locations[:, :, i] - 1, mode="bilinear", align_corners=False
        )
        part = (samples * weights[:, None, :, i]).sum(-1)
        total = part if total is None else total + part
    if total is None:
        raise ValueError("there is no level to sample")
    return total


def cell_centres(shapes: Sequence[tuple[int, int]]) -> Tensor:
    """Return the centres of all cells of all levels, row by row: float32 ``(M, 2)``, x and y in [0, 1]."""
    parts = []
    for height, width in shapes:
        y, x = torch.meshgrid((torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width, indexing="ij")
        parts.append(torch.stack([x.flatten(), y.flatten()], dim=-1))
    return torch.cat(parts)


class DeformableAttention(nn.Module):
    """Every query looks at a few learned places round its reference point, on every level.

    At the start head i looks in the direction i of a compass, at 1 to P cells from the point, with equal weights.

    Args:
        width: C, of queries, memory and output.
        heads: parallel heads; C divides by them.
        levels: L, the number of maps in the memory.
        points: P, samples of a head on a level.

    Raises:
        ValueError: heads that do not divide the width.
    """

    def __init__(self, width: int, heads: int = 8, levels: int = 4, points: int = 4) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"{heads} heads cannot share a width of {width}; take a divisor")
        self.heads, self.levels, self.points = heads, levels, points
        self.value = nn.Linear(width, width)
        self.offsets = nn.Linear(width, heads * levels * points * 2)
        self.weights = nn.Linear(width, heads * levels * points)
        self.output = nn.Linear(width, width)
        self._start()

    def forward(self, query: Tensor, reference: Tensor, memory: Tensor, shapes: Sequence[tuple[int, int]]) -> Tensor:
        """Look the memory up.

        Args:
            query: ``(B, N, C)``; it says where to look and what counts.
            reference: ``(B, N, 2)``, x and y in [0, 1] of the crop.
            memory: ``(B, M, C)``, the cells of all levels, row by row, level after level.
            shapes: ``(h, w)`` of each level; their products sum to M.

        Returns:
            ``(B, N, C)``.
        """
        b, n, c = query.shape
        depth, head = (self.heads, self.levels, self.points), c // self.heads
        values = self.value(memory).view(b, -1, self.heads, head).permute(0, 2, 3, 1).reshape(b * self.heads, head, -1)
        sizes = [height * width for height, width in shapes]
        maps = [v.reshape(-1, head, *shape) for v, shape in zip(values.split(sizes, dim=-1), shapes, strict=True)]
        # Offsets are in cells of their level.
        scale = reference.new_tensor([[width, height] for height, width in shapes])[:, None]
        steps = self.offsets(query).view(b, n, *depth, 2) / scale
        places = reference[:, :, None, None, None] + steps
        weights = self.weights(query).view(b, n, self.heads, -1).softmax(-1).view(b, n, *depth)
        mixed = sample_levels(maps, _by_head(places), _by_head(weights))
        return self.output(mixed.view(b, c, n).transpose(1, 2))

    def _start(self) -> None:
        nn.init.zeros_(self.offsets.weight)
        nn.init.zeros_(self.weights.weight)
        nn.init.zeros_(self.weights.bias)
        angles = torch.arange(self.heads) * (2 * math.pi / self.heads)
        compass = torch.stack([angles.cos(), angles.sin()], dim=-1)
        compass = compass / compass.abs().amax(-1, keepdim=True)
        steps = torch.arange(1, self.points + 1)[:, None] * compass[:, None, None]
        with torch.no_grad():
            self.offsets.bias.copy_(steps.expand(-1, self.levels, -1, -1).reshape(-1))
        for layer in (self.value, self.output):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)


def _by_head(x: Tensor) -> Tensor:
    """``(B, N, heads, ...)`` → ``(B * heads, N, ...)``."""
    return x.transpose(1, 2).flatten(0, 1)
