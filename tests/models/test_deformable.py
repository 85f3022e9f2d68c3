from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from fiducia.models.parts.deformable import DeformableAttention, cell_centres, sample_levels

SHAPES = [(6, 6), (3, 4), (2, 2)]


def bilinear(level: Tensor, x: float, y: float) -> Tensor:
    """The value ``(C,)`` of a map at a place in cells, zeros outside it."""
    height, width = level.shape[-2:]
    total = torch.zeros(level.shape[0], dtype=level.dtype)
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            if 0 <= row < height and 0 <= column < width:
                total = total + level[:, row, column] * (1 - abs(x - column)) * (1 - abs(y - row))
    return total


@torch.no_grad()
def test_it_is_the_published_sum_over_heads_levels_and_points() -> None:
    torch.manual_seed(0)
    width, heads, points, count = 8, 2, 3, 5
    layer = DeformableAttention(width, heads, len(SHAPES), points).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.6)
    query = torch.randn(2, count, width, dtype=torch.float64)
    reference = torch.rand(2, count, 2, dtype=torch.float64)
    memory = torch.randn(2, sum(h * w for h, w in SHAPES), width, dtype=torch.float64)
    found = layer(query, reference, memory, SHAPES)
    each = width // heads
    for b in range(2):
        for n in range(count):
            parts = []
            for m in range(heads):
                offsets = layer.offsets(query[b, n]).view(heads, len(SHAPES), points, 2)[m]
                weights = layer.weights(query[b, n]).view(heads, -1)[m].softmax(0).view(len(SHAPES), points)
                mixed = torch.zeros(each, dtype=torch.float64)
                start = 0
                for level, (h, w) in enumerate(SHAPES):
                    values = layer.value(memory[b, start : start + h * w])[:, m * each : (m + 1) * each]
                    start += h * w
                    for p in range(points):
                        x = float(reference[b, n, 0]) * w - 0.5 + float(offsets[level, p, 0])
                        y = float(reference[b, n, 1]) * h - 0.5 + float(offsets[level, p, 1])
                        mixed = mixed + weights[level, p] * bilinear(values.T.reshape(each, h, w), x, y)
                parts.append(mixed)
            torch.testing.assert_close(found[b, n], layer.output(torch.cat(parts)))


def test_its_gradient_is_that_of_finite_differences() -> None:
    torch.manual_seed(1)
    levels = [torch.randn(1, 2, h, w, dtype=torch.float64, requires_grad=True) for h, w in SHAPES[:2]]
    # Between cell centres: at a centre bilinear sampling has a kink.
    locations = (0.1 + 0.8 * torch.rand(1, 3, 2, 2, 2, dtype=torch.float64)).requires_grad_()
    weights = torch.rand(1, 3, 2, 2, dtype=torch.float64, requires_grad=True)

    def run(a: Tensor, b: Tensor, places: Tensor, shares: Tensor) -> Tensor:
        return sample_levels([a, b], places, shares)

    assert torch.autograd.gradcheck(run, (*levels, locations, weights), eps=1e-7, atol=1e-5)


def test_a_centre_reads_its_own_cell() -> None:
    centres = cell_centres(SHAPES)
    assert centres.shape == (sum(h * w for h, w in SHAPES), 2)
    level = torch.randn(1, 3, 3, 4)
    mine = centres[36:48]
    read = sample_levels([level], mine[None, :, None, None], torch.ones(1, 12, 1, 1))
    torch.testing.assert_close(read[0], level[0].flatten(1), rtol=0, atol=1e-5)


def test_heads_look_in_the_directions_of_a_compass_at_the_start() -> None:
    layer = DeformableAttention(16, heads=8, levels=2, points=4)
    offsets = layer.offsets(torch.randn(1, 16)).view(8, 2, 4, 2)
    expected = [(1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1)]
    for head, direction in enumerate(expected):
        for step in range(4):
            wanted = torch.tensor(direction) * (step + 1.0)
            torch.testing.assert_close(offsets[head, :, step], wanted.expand(2, 2), rtol=0, atol=1e-5)


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(ValueError, match="3 heads"):
        DeformableAttention(16, heads=3)
