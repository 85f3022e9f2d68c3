from __future__ import annotations

import math

import pytest
import torch
from problems import context_of, targets_of

from fiducia.errors import UsageError
from fiducia.losses import losses
from fiducia.losses.likelihood import gaussian_nll, residuals, sigma_stages
from fiducia.losses.rle import RLE, Flow
from fiducia.structures import ModelOutput

SIZE = 100


def output_of(points: torch.Tensor, log_sigma: torch.Tensor) -> ModelOutput:
    return ModelOutput(points=[points], maps={"sigma": [log_sigma]})


def test_residuals_are_shares_of_the_crop_over_sigma() -> None:
    xy = torch.full((1, 2, 2), 50.0)
    log_sigma = torch.full((1, 2, 2), math.log(0.02))
    found, kept = residuals(xy - torch.tensor([4.0, 1.0]), log_sigma, targets_of(xy, SIZE))
    torch.testing.assert_close(found, torch.tensor([[2.0, 0.5], [2.0, 0.5]]))
    torch.testing.assert_close(kept, log_sigma[0])


def test_the_gaussian_likelihood_is_torchs_less_its_constant() -> None:
    residual, log_sigma = torch.randn(5, 2), torch.randn(5, 2)
    sigma = log_sigma.exp()
    normal = torch.distributions.Normal(torch.zeros(5, 2), sigma)
    expected = -(normal.log_prob(residual * sigma) + 0.5 * math.log(2 * math.pi)).sum(-1)
    torch.testing.assert_close(gaussian_nll(residual, log_sigma), expected)


def test_the_best_sigma_is_the_size_of_the_errors() -> None:
    g = torch.Generator().manual_seed(0)
    xy = torch.full((200, 3, 2), 50.0)
    points = xy + torch.randn(200, 3, 2, generator=g) * torch.tensor([1.0, 4.0])
    level = torch.zeros(2, requires_grad=True)
    optimiser = torch.optim.Adam([level], lr=0.1)
    term = losses["gaussian_nll"].build(context_of(output_of(points, points), 3, SIZE), {}, "loss.nll")
    for _ in range(200):
        optimiser.zero_grad()
        term(output_of(points, level.expand(200, 3, 2)), targets_of(xy, SIZE)).backward()
        optimiser.step()
    assert level.detach().exp().tolist() == pytest.approx([0.01, 0.04], rel=0.08)


def test_fewer_sigmas_than_stages_belong_to_the_last_ones() -> None:
    points, sigma = [torch.zeros(1, 2, 2), torch.ones(1, 2, 2)], torch.full((1, 2, 2), -3.0)
    (stage,) = sigma_stages(ModelOutput(points=points, maps={"sigma": [sigma]}))
    assert stage[0] is points[1]
    assert stage[1] is sigma


def test_a_wild_sigma_does_not_overflow() -> None:
    xy = torch.full((1, 2, 2), 50.0)
    for kind in ("rle", "gaussian_nll"):
        for level in (-1e4, 1e4):
            sigma = torch.full((1, 2, 2), level, requires_grad=True)
            output = output_of(xy + 1, sigma)
            value = losses[kind].build(context_of(output, 2, SIZE), {}, "loss")(output, targets_of(xy, SIZE))
            value.backward()
            assert torch.isfinite(value)


def test_a_flow_starts_as_the_standard_gaussian_and_stays_a_density() -> None:
    flow = Flow(layers=4, width=16).double()
    side = torch.linspace(-7, 7, 281, dtype=torch.float64)
    grid = torch.cartesian_prod(side, side)
    normal = torch.distributions.Normal(torch.zeros(2).double(), torch.ones(2).double())
    torch.testing.assert_close(flow.log_density(grid), normal.log_prob(grid).sum(-1))
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(0.15 * torch.randn_like(parameter))
    moved = flow.log_density(grid)
    assert (moved - normal.log_prob(grid).sum(-1)).abs().max() > 0.1
    cell = float(side[1] - side[0]) ** 2
    assert float(moved.detach().exp().sum()) * cell == pytest.approx(1.0, abs=5e-3)


def test_rle_without_a_flow_is_the_laplace_likelihood_and_the_flow_adds_its_own_density() -> None:
    xy = torch.full((1, 1, 2), 50.0)
    points, log_sigma = xy - torch.tensor([2.0, 6.0]), torch.full((1, 1, 2), math.log(0.02))
    output, targets = output_of(points, log_sigma), targets_of(xy, SIZE)
    context = context_of(output, 1, SIZE)
    residual = torch.tensor([1.0, 3.0])
    # A Laplace density of variance s^2 has the scale s / sqrt 2.
    laplace = torch.distributions.Laplace(torch.zeros(2), torch.full((2,), 0.02 / math.sqrt(2)))
    simple = -float(laplace.log_prob(residual * 0.02).sum())
    gauss = float(0.5 * residual.square().sum() + math.log(2 * math.pi))
    for layers in (0, 6):
        value = float(losses["rle"].build(context, {"layers": layers}, "loss.rle")(output, targets).detach())
        assert value == pytest.approx(simple + gauss, rel=1e-5)
    normal = float(losses["rle"].build(context, {"density": "gaussian"}, "loss.rle")(output, targets).detach())
    assert normal == pytest.approx(gauss + 2 * math.log(0.02) + gauss, rel=1e-5)
    with pytest.raises(UsageError, match="density is 'laplace' or 'gaussian'; found 'cauchy'"):
        losses["rle"].build(context, {"density": "cauchy"}, "loss.rle")


def test_the_flow_learns_the_errors_that_the_network_makes() -> None:
    """Errors that lie on two sides only are far from any simple density: the flow must pay for itself."""
    g = torch.Generator().manual_seed(0)
    xy = torch.full((64, 4, 2), 50.0)
    side = torch.sign(torch.randn(64, 4, 1, generator=g))
    points = xy + side * torch.tensor([6.0, 0.5]) + 0.3 * torch.randn(64, 4, 2, generator=g)
    output = output_of(points, torch.full((64, 4, 2), math.log(0.03)))
    torch.manual_seed(1)
    term = losses["rle"].build(context_of(output, 4, SIZE), {"width": 16}, "loss.rle")
    assert isinstance(term, RLE)
    optimiser = torch.optim.Adam(term.parameters(), lr=0.02)
    before = float(term(output, targets_of(xy, SIZE)).detach())
    for _ in range(80):
        optimiser.zero_grad()
        value = term(output, targets_of(xy, SIZE))
        value.backward()
        optimiser.step()
    assert float(value.detach()) < before - 0.5
