from __future__ import annotations

import math

import pytest
import torch

from fiducia.heatmaps import encode


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
