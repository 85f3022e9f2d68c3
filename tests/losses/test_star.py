from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import context_of, targets_of
from torch import Tensor

from fiducia.errors import UsageError
from fiducia.heatmaps import encode
from fiducia.losses import losses
from fiducia.losses.moments import Grid, map_moments, principal_axes
from fiducia.losses.star import star_points
from fiducia.structures import ModelOutput


def blob(angle: float, long: float, short: float, x: float = 15.0, y: float = 17.0, side: int = 33) -> Tensor:
    """A Gaussian with its long axis at an angle; x to the right, y down; in float64."""
    rows, columns = torch.meshgrid(torch.arange(side).double() - y, torch.arange(side).double() - x, indexing="ij")
    u = columns * math.cos(angle) + rows * math.sin(angle)
    v = rows * math.cos(angle) - columns * math.sin(angle)
    return torch.exp(-0.5 * (u / long) ** 2 - 0.5 * (v / short) ** 2)[None, None]


@settings(deadline=None, max_examples=60)
@given(a=st.floats(-2, 2), b=st.floats(-2, 2), c=st.floats(-2, 2), d=st.floats(-2, 2))
def test_the_closed_form_axes_are_torchs(a: float, b: float, c: float, d: float) -> None:
    root = torch.tensor([[a, b], [c, d]], dtype=torch.float64)
    matrix = root @ root.T
    values, axes = principal_axes(matrix)
    expected, _ = torch.linalg.eigh(matrix)
    torch.testing.assert_close(values, expected, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(axes @ axes.T, torch.eye(2, dtype=torch.float64), atol=1e-7, rtol=0)
    torch.testing.assert_close(axes.T @ torch.diag(values) @ axes, matrix, atol=1e-7, rtol=1e-7)


def test_a_round_covariance_has_finite_gradients() -> None:
    for scale in (0.0, 1e-3, 1.0):
        matrix = (scale * torch.eye(2)).requires_grad_()
        values, axes = principal_axes(matrix)
        (values.sum() + (axes * torch.tensor([[1.0, 2.0], [3.0, 5.0]])).sum()).backward()
        assert matrix.grad is not None
        assert torch.isfinite(matrix.grad).all()


@pytest.mark.parametrize("grid", ["edges", "centres"])
def test_moments_are_those_of_the_gaussian_that_was_drawn(grid: Grid) -> None:
    unit = 2 / 33 if grid == "edges" else 2 / 32
    mean, covariance = map_moments(blob(0.6, 3.0, 1.2), grid)
    zero = (2 * 0 + 1) / 33 - 1 if grid == "edges" else -1.0
    assert mean[0, 0].tolist() == pytest.approx([zero + 15 * unit, zero + 17 * unit], abs=2e-4)
    values, axes = principal_axes(covariance)
    # The unbiased form divides by a little less than 1.
    assert values[0, 0].tolist() == pytest.approx([(1.2 * unit) ** 2, (3.0 * unit) ** 2], rel=0.03)
    assert abs(float(axes[0, 0, 1] @ torch.tensor([math.cos(0.6), math.sin(0.6)], dtype=torch.float64))) > 0.999


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("distance", ["smooth_l1", "wing", "l1", "l2"])
def test_an_error_along_the_long_axis_costs_less_than_one_across(version: int, distance: str) -> None:
    maps = blob(0.6, 4.0, 1.0)
    mean, _ = map_moments(maps)
    along = 0.1 * torch.tensor([math.cos(0.6), math.sin(0.6)], dtype=torch.float64)
    across = 0.1 * torch.tensor([-math.sin(0.6), math.cos(0.6)], dtype=torch.float64)
    costs = [
        star_points(maps, mean + error, version=version, distance=distance) for error in (0 * along, along, across)
    ]
    assert costs[0] < costs[1] < costs[2]


def test_the_eigenvalues_keep_a_map_small() -> None:
    small, large = blob(0.0, 1.0, 1.5), blob(0.0, 3.0, 4.5)
    for maps in (small, large):
        mean, covariance = map_moments(maps)
        paid = star_points(maps, mean, weight=1.0) - star_points(maps, mean, weight=0.0)
        torch.testing.assert_close(paid[0, 0], covariance[0, 0].trace())
    assert star_points(small, map_moments(small)[0]) < star_points(large, map_moments(large)[0])


def test_a_map_without_mass_costs_a_finite_amount() -> None:
    maps = torch.zeros(1, 1, 16, 16, requires_grad=True)
    value = star_points(maps, torch.tensor([[[0.3, -0.2]]])).sum()
    value.backward()
    assert torch.isfinite(value)
    assert maps.grad is not None
    assert torch.isfinite(maps.grad).all()


def test_the_term_reads_maps_as_the_packages_decoders_do_and_each_stage_by_its_own_map() -> None:
    size, side = 64, 32
    xy = torch.tensor([[[31.0, 22.0], [12.4, 40.1]]])
    targets = targets_of(xy, size)
    right = encode(targets.cells(side), (side, side))
    wrong = encode(targets.cells(side) + 3.0, (side, side))
    output = ModelOutput(heatmaps=[wrong, right], linear=True)
    context = context_of(output, 2, size)

    def value(**options: object) -> float:
        return float(losses["star"].build(context, {"spread": 0.0, **options}, "loss.star")(output, targets))

    assert value(stages="final") < 1e-3
    assert value(stages="final", grid="centres") > 10 * value(stages="final")
    # With l1 the error of 3 cells is 6 / 32 along both axes, over a standard deviation of 1.5 cells.
    assert value(stages=[1.0, 0.0], distance="l1", version=1) == pytest.approx(math.hypot(2, 2), rel=0.03)
    for fault, option in (("version", 3), ("distance", "l3"), ("grid", "corners")):
        with pytest.raises(UsageError, match=f"{fault} is .*{option}"):
            value(**{fault: option})
