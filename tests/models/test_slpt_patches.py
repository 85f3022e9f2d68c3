"""SLPT's patches and stages."""

from __future__ import annotations

import torch

from fiducia.models.parts.mean_face import mean_face
from fiducia.models.slpt import SLPT, SlptOptions, sample_patches
from fiducia.schemes.sets import get_scheme


def test_patches_are_sampled_evenly_from_corner_to_corner() -> None:
    rows, columns = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    features = torch.stack([columns, rows])[None]
    low, high = torch.tensor([[[0.2, 0.4], [0.0, 0.9]]]), torch.tensor([[[0.6, 0.7], [0.1, 1.0]]])
    patches = sample_patches(features, low, high).view(1, 2, 2, 7, 7)
    for k in range(2):
        across = 15 * torch.linspace(float(low[0, k, 0]), float(high[0, k, 0]), 7)
        down = 15 * torch.linspace(float(low[0, k, 1]), float(high[0, k, 1]), 7)
        torch.testing.assert_close(patches[0, k, 0], across.expand(7, 7), atol=1e-4, rtol=0)
        torch.testing.assert_close(patches[0, k, 1], down[:, None].expand(7, 7), atol=1e-4, rtol=0)


def test_each_stage_looks_where_the_last_one_ended() -> None:
    scheme = get_scheme("cofw29")
    model = SLPT(29, 64, patches=SlptOptions(layers=2), scheme=scheme).eval()
    torch.nn.init.zeros_(model.head.weight)
    torch.nn.init.zeros_(model.head.bias)
    with torch.no_grad():
        output = model(torch.zeros(1, 3, 64, 64))
    # An answer of 0 is the upper left corner of the patch: every stage moves by half a side.
    face = mean_face(29, scheme)
    assert len(output.points) == 6
    for stage, moved in enumerate((8 / 64, 12 / 64, 14 / 64)):
        expected = (face - moved).clamp(min=0.0) * 64
        for layer in range(2):
            torch.testing.assert_close(output.points[2 * stage + layer][0], expected, atol=1e-3, rtol=0)


def test_weights_bring_their_own_start() -> None:
    start = tuple((0.1 * i, 0.05 * i) for i in range(4))
    other = SLPT(4, 64, patches=SlptOptions(layers=1, mean_face=start))
    model = SLPT(4, 64, patches=SlptOptions(layers=1))
    model.load_state_dict(other.state_dict())
    torch.testing.assert_close(model.mean_face, torch.tensor(start))


def test_no_gradient_flows_through_the_place_that_a_stage_looks_at() -> None:
    model = SLPT(4, 64, patches=SlptOptions(layers=1, reach=(0.125, 0.03))).train()
    first, second = (p / 64 for p in model(torch.rand(2, 3, 64, 64) * 255).points)
    (gradient,) = torch.autograd.grad(second.sum(), model.head.bias)
    # Only the second stage's own step: the sum of its boxes' sides.
    sides = (first + 0.03).clamp(0.0, 1.0) - (first - 0.03).clamp(0.0, 1.0)
    torch.testing.assert_close(gradient, sides.sum((0, 1)), atol=1e-4, rtol=1e-4)
