from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fiducia.heatmaps import decode, decoders, encode


def logits_of(maps: torch.Tensor) -> torch.Tensor:
    return torch.logit(maps.clamp(1e-12, 1 - 1e-7))


@pytest.mark.parametrize("method", ["expectation", "local_softargmax", "dark"])
@pytest.mark.parametrize("cells", [32, 64, 128])
def test_interior_points_come_back_within_a_twentieth_of_a_cell(method: str, cells: int) -> None:
    xy = torch.rand(8, 68, 2, generator=torch.Generator().manual_seed(cells)) * (cells - 13) + 6
    found, confidence = decode(logits_of(encode(xy, (cells, cells))), method)
    assert (found - xy).norm(dim=-1).max() <= 0.05
    assert confidence.min() > 0.85
    assert confidence.max() <= 1.0


@pytest.mark.parametrize(("method", "worst"), [("argmax", math.sqrt(0.5)), ("quarter", math.hypot(0.25, 0.25))])
def test_whole_cell_decoders_are_as_far_off_as_their_steps(method: str, worst: float) -> None:
    xy = torch.rand(4, 68, 2, generator=torch.Generator().manual_seed(1)) * 50 + 6
    found, _ = decode(logits_of(encode(xy, (64, 64))), method)
    error = (found - xy).norm(dim=-1)
    assert 0.05 < error.mean() < error.max() <= worst + 1e-4


def test_the_papers_numbers_sigma_1_5_radius_5() -> None:
    one = encode(torch.tensor([[20.0, 30.0]]), (64, 64))[0]
    assert int((one > 0).sum()) == 81
    assert one.sum().item() == pytest.approx(14.09, abs=0.01)
    assert one[30, 20].item() == 1.0
    assert one[30, 25].item() == pytest.approx(0.0039, abs=1e-4)
    assert one[30, 26].item() == 0.0


def test_density_has_eq_1s_peak_and_quantize_rounds_as_eq_2() -> None:
    point = torch.tensor([[20.4, 30.6]])
    density = encode(point, (64, 64), norm="density", quantize=True)[0]
    assert density.max().item() == pytest.approx(1 / (2 * math.pi * 1.5**2))
    assert divmod(int(density.argmax()), 64) == (31, 20)
    assert torch.equal(density, encode(torch.tensor([[20.0, 31.0]]), (64, 64), norm="density")[0])


def test_an_unlabelled_point_has_an_empty_map_and_one_outside_has_its_rim() -> None:
    maps = encode(torch.tensor([[math.nan, 3.0], [-2.0, 10.0], [-50.0, 10.0]]), (32, 32))
    assert maps[0].sum() == 0
    assert 0 < maps[1].max() < 1
    assert maps[2].sum() == 0


def test_an_unknown_norm_is_told() -> None:
    with pytest.raises(ValueError, match="peak1"):
        encode(torch.zeros(1, 2), (8, 8), norm="peak")


@pytest.mark.parametrize("method", list(decoders))
def test_peaks_at_the_border_stay_on_the_map(method: str) -> None:
    xy = torch.tensor([[[0.0, 0.0], [31.0, 31.0], [0.0, 17.0], [31.0, 4.0]]])
    found, _ = decode(logits_of(encode(xy, (32, 32))), method)
    assert torch.isfinite(found).all()
    assert (found - xy).norm(dim=-1).max() < 1.6


@settings(deadline=None, max_examples=25)
@given(
    x=st.floats(8, 55), y=st.floats(8, 39), sigma=st.floats(1.0, 1.5), method=st.sampled_from(["expectation", "dark"])
)
def test_any_interior_point_of_any_map_survives(x: float, y: float, sigma: float, method: str) -> None:
    xy = torch.tensor([[[x, y]]])
    found, _ = decode(logits_of(encode(xy, (48, 64), sigma=sigma)), method)
    assert (found - xy).norm() <= 0.05


def test_expectation_passes_gradients_and_sits_in_the_middle_of_nothing() -> None:
    logits = torch.full((1, 1, 16, 24), -5.0, requires_grad=True)
    found, _ = decode(logits)
    assert found[0, 0].tolist() == pytest.approx([11.5, 7.5], abs=1e-4)
    found.sum().backward()
    assert logits.grad is not None
    assert logits.grad.abs().max() > 0
