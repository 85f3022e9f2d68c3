"""Decoders on the logits of an ideal network; the contract tests hold every registered one to its documented bound."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fiducia.heatmaps import decode, decode_maps, encode


def logits_of(maps: torch.Tensor) -> torch.Tensor:
    return torch.logit(maps.clamp(1e-12, 1 - 1e-7))


@pytest.mark.parametrize("method", ["expectation", "local_softargmax", "dark", "udp"])
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


@settings(deadline=None, max_examples=25)
@given(
    x=st.floats(8, 55),
    y=st.floats(8, 39),
    sigma=st.floats(1.0, 1.5),
    method=st.sampled_from(["expectation", "dark", "udp"]),
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


def test_points_are_in_crop_pixels_whatever_the_maps_side() -> None:
    """Map cell c of a map of side w on a crop of side S is crop pixel (c + 0.5) S / w - 0.5."""
    for side in (16, 32, 64):
        cells = torch.tensor([[[7.0, 9.0]]])
        prediction = decode_maps(encode(cells, (side, side)), "argmax", size=128, linear=True)
        assert prediction.points[0, 0].tolist() == [(7.5 * 128 / side) - 0.5, (9.5 * 128 / side) - 0.5]
        assert prediction.confidence.item() == 1.0


def test_linear_maps_beyond_0_and_1_are_cut_before_they_are_read() -> None:
    maps = 1.3 * encode(torch.tensor([[[20.0, 12.0]]]), (32, 32)) - 0.1
    found = decode_maps(maps, "expectation", size=32, linear=True)
    assert (found.points - torch.tensor([20.0, 12.0])).abs().max() < 0.01
    assert found.confidence.item() == 1.0


def test_local_softargmax_does_not_depend_on_which_of_two_equal_cells_it_starts_from() -> None:
    # Peaks in the middle between two cells: rounding decides which is the largest, as between torch and an exported graph.
    xy = torch.tensor([[[15.5, 12.0], [15.5, 12.3], [20.0, 9.5], [11.5, 17.5]]])
    maps = encode(xy, (32, 32))
    column = torch.arange(32, dtype=torch.float32) - torch.arange(32, dtype=torch.float32)[:, None]
    tilt = 1e-6 * column * maps
    left, right = (decode_maps(m, "local_softargmax", size=32, linear=True).points for m in (maps - tilt, maps + tilt))
    assert (maps - tilt).flatten(2).argmax(-1).ne((maps + tilt).flatten(2).argmax(-1)).any()
    assert (left - right).abs().max() < 1e-3
