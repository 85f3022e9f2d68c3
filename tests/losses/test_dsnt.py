from __future__ import annotations

import math

import pytest
import torch
from problems import context_of, targets_of

from fiducia.errors import UsageError
from fiducia.heatmaps import decode_maps, encode
from fiducia.losses import losses
from fiducia.losses.dsnt import divergence, label_distribution
from fiducia.losses.structured import structured_map
from fiducia.structures import ModelOutput

SIZE, SIDE = 96, 24


def faces() -> torch.Tensor:
    return torch.rand(3, 2, 2, generator=torch.Generator().manual_seed(0)) * 50 + 20


def test_distributions_sum_to_one_and_an_unlabelled_point_has_none() -> None:
    xy = faces()
    xy[0, 1] = math.nan
    targets = targets_of(xy, SIZE)
    for sigma in (0.0, 1.0, 2.0):
        sums = label_distribution(targets, SIDE, sigma).sum((-2, -1))
        expected = torch.ones(3, 2)
        expected[0, 1] = 0
        torch.testing.assert_close(sums, expected)


def test_the_js_divergence_is_zero_for_equal_ln_2_for_disjoint_and_symmetric() -> None:
    g = torch.Generator().manual_seed(0)
    p, q = torch.rand(4, 6, 6, generator=g), torch.rand(4, 6, 6, generator=g)
    p, q = p / p.sum((-2, -1), keepdim=True), q / q.sum((-2, -1), keepdim=True)
    assert divergence(p.log(), p).abs().max() < 1e-6
    torch.testing.assert_close(divergence(p.log(), q), divergence(q.log(), p))
    one, other = torch.full((2, 2), -90.0), torch.zeros(2, 2)
    one[0, 0], other[1, 1] = 90.0, 1.0
    assert divergence(one, other).item() == pytest.approx(math.log(2), rel=1e-5)
    torch.testing.assert_close(divergence(p.log(), q, "cross_entropy"), -(q * p.log()).sum((-2, -1)))


def test_an_ideal_map_costs_nothing_and_is_read_by_the_integral_decoder() -> None:
    xy = faces()
    targets = targets_of(xy, SIZE)
    raw = encode(targets.cells(SIDE), (SIDE, SIDE), sigma=1.0, radius=6.0).clamp(min=1e-12).log()
    for linear in (False, True):
        output = ModelOutput(heatmaps=[raw], linear=linear)
        term = losses["dsnt"].build(context_of(output, 2, SIZE), {}, "loss.dsnt")
        assert float(term(output, targets)) < 2e-4
        found = decode_maps(raw, "integral", size=SIZE, linear=linear).points
        assert (found - xy).abs().max() < 0.02


def test_training_by_it_moves_the_integral_to_the_truth() -> None:
    xy = faces()
    targets = targets_of(xy, SIZE)
    raw = torch.zeros(3, 2, SIDE, SIDE, requires_grad=True)
    output = ModelOutput(heatmaps=[raw])
    for options in ({}, {"regulariser": "cross_entropy", "weight": 0.05}, {"regulariser": "none", "distance": "l1"}):
        term = losses["dsnt"].build(context_of(output, 2, SIZE), options, "loss.dsnt")
        with torch.no_grad():
            raw.zero_()
        optimiser = torch.optim.Adam([raw], lr=0.3)
        before = (decode_maps(raw.detach(), "integral", size=SIZE).points - xy).norm(dim=-1).mean()
        for _ in range(60):
            optimiser.zero_grad()
            term(output, targets).backward()
            optimiser.step()
        after = (decode_maps(raw.detach(), "integral", size=SIZE).points - xy).norm(dim=-1).mean()
        assert after < 0.1 * before


def test_the_structured_objective_is_a_hinge_as_its_temperature_falls() -> None:
    scores = torch.tensor([[3.0, 1.0], [0.5, -1.0]])
    task = torch.tensor([[0.0, 1.0], [1.0, 1.5]])
    label = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    assert structured_map(scores, task, label, 1e-3).item() == pytest.approx(0.0, abs=1e-4)
    assert structured_map(scores - 3 * label, task, label, 1e-3).item() == pytest.approx(2.0, abs=1e-4)
    # At temperature 1 without a task loss it is the softmax cross-entropy.
    entropy = -torch.log_softmax(scores.flatten(), 0)[0]
    assert structured_map(scores, 0 * task, label, 1.0).item() == pytest.approx(entropy.item())


def test_the_structured_hinge_bounds_the_distance_of_the_argmax_from_above() -> None:
    """The classic property of margin rescaling: the loss is at least what the wrong cell costs."""
    xy = faces()
    targets = targets_of(xy, SIZE)
    output = ModelOutput(heatmaps=[torch.randn(3, 2, SIDE, SIDE, generator=torch.Generator().manual_seed(1))])
    term = losses["structured"].build(context_of(output, 2, SIZE), {"epsilon": 1e-3, "sigma": 0.0}, "loss.structured")
    found = decode_maps(output.heatmaps[0], "argmax", size=SIZE).points
    distance = ((found - xy) / SIZE).norm(dim=-1).mean()
    assert float(term(output, targets)) >= float(distance) - 1e-3


def test_training_by_the_structured_objective_moves_the_argmax_to_a_cell_at_the_truth() -> None:
    xy = faces()
    targets = targets_of(xy, SIZE)
    raw = torch.randn(3, 2, SIDE, SIDE, generator=torch.Generator().manual_seed(2)).requires_grad_()
    output = ModelOutput(heatmaps=[raw])
    term = losses["structured"].build(context_of(output, 2, SIZE), {}, "loss.structured")
    optimiser = torch.optim.Adam([raw], lr=0.1)
    for _ in range(60):
        optimiser.zero_grad()
        term(output, targets).backward()
        optimiser.step()
    found = decode_maps(raw.detach(), "argmax", size=SIZE).points
    # A point that lies between two cells may end in either.
    assert (found - xy).abs().max() <= 0.6 * SIZE / SIDE


def test_faults_are_told() -> None:
    output = ModelOutput(heatmaps=[torch.zeros(1, 2, 8, 8)])
    context = context_of(output, 2, SIZE)
    for kind, options, message in (
        ("dsnt", {"regulariser": "kl"}, "regulariser is one of js, cross_entropy, none; found 'kl'"),
        ("dsnt", {"sigma": 0.0}, "sigma is more than 0"),
        ("structured", {"epsilon": 0.0}, "epsilon > 0"),
    ):
        with pytest.raises(UsageError, match=message):
            losses[kind].build(context, options, f"loss.{kind}")
