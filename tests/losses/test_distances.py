from __future__ import annotations

import math

import pytest
import torch

from fiducia.losses.distances import distances, smooth_wing, wing

each_distance = pytest.mark.parametrize("name", list(distances))


@each_distance
def test_a_distance_vanishes_at_the_truth_and_grows_away_from_it(name: str) -> None:
    truth = torch.tensor([[0.5, 0.5]])
    values = [float(distances[name](truth + d, truth)) for d in (0.0, 0.001, 0.01, 0.1)]
    assert values[0] == pytest.approx(0.0, abs=1e-5)
    assert values == sorted(values)
    assert values[1] > values[0]


@each_distance
def test_its_gradient_is_finite_at_the_truth_and_points_back_to_it(name: str) -> None:
    truth = torch.rand(9, 2, dtype=torch.float64)
    at = truth.clone().requires_grad_()
    value = distances[name](at, truth)
    assert value.shape == (9,)
    (grad,) = torch.autograd.grad(value.sum(), at)
    assert torch.isfinite(grad).all()
    off = (truth + torch.tensor([0.02, -0.03])).requires_grad_()
    (grad,) = torch.autograd.grad(distances[name](off, truth).sum(), off)
    assert (grad[:, 0] > 0).all()
    assert (grad[:, 1] < 0).all()


@each_distance
def test_gradcheck_on_both_sides_of_every_knee(name: str) -> None:
    truth = torch.full((40, 2), 0.5, dtype=torch.float64)
    reach = torch.logspace(-4, -0.5, 40, dtype=torch.float64)[:, None] * torch.tensor([0.6, -0.8])
    assert torch.autograd.gradcheck(lambda p: distances[name](p, truth), (truth + reach).requires_grad_())


def test_distances_by_hand() -> None:
    a, b = torch.tensor([0.03, 0.04]), torch.zeros(2)
    assert float(distances["norm"](a, b)) == pytest.approx(0.05)
    assert float(distances["l1"](a, b)) == pytest.approx(0.07)
    assert float(distances["mse"](a, b)) == pytest.approx(0.0025)
    x, y = 0.03 * 512, 0.04 * 512
    assert float(distances["smooth_l1"](a, b)) == pytest.approx((x - 0.5 + y - 0.5) / 512)
    constant = 10 - 10 * math.log(1 + 10 / 2)
    assert float(distances["wing"](a, b)) == pytest.approx((x - constant + y - constant) / 512, rel=1e-5)
    # ADNet's and STAR's are published for [-1, 1], where the error is 0.1 long.
    assert float(distances["adnet_smooth_l1"](a, b)) == pytest.approx(0.1 - 0.005)
    assert float(distances["star_smooth_l1"](a, b)) == pytest.approx(0.1 - 0.005)
    assert float(distances["star_wing"](a, b)) == pytest.approx(0.1 - (0.01 - 0.01 * math.log(1.005)))


def test_below_its_knee_adnets_distance_is_a_parabola() -> None:
    a = torch.tensor([0.0015, 0.002], dtype=torch.float64)
    assert float(distances["adnet_smooth_l1"](a, torch.zeros(2))) == pytest.approx(0.005**2 / 0.02)


def test_smooth_wing_has_no_jump_in_value_or_slope_at_its_knee_and_is_wing_less_a_constant_above() -> None:
    knee = torch.tensor([1.0 - 1e-9, 1.0 + 1e-9], dtype=torch.float64, requires_grad=True)
    value = smooth_wing(knee)
    (slope,) = torch.autograd.grad(value.sum(), knee)
    assert value[0].item() == pytest.approx(value[1].item(), abs=1e-7)
    assert slope[0].item() == pytest.approx(slope[1].item(), abs=1e-6)
    further = torch.tensor([-30.0, -4.0, 2.0, 9.0, 50.0], dtype=torch.float64)
    less = wing(further) - smooth_wing(further)
    torch.testing.assert_close(less, less[0].expand(5))
    assert less[0] > 0
