"""Target maps and HIH's divergence against the values that published code gave, from ``losses.json``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from golden import check, load, uniform, written_point
from torch import Tensor

from fiducia.heatmaps.lines import draw_edges_published
from fiducia.heatmaps.squares import reduced_gaussian, square_gaussian
from fiducia.losses.hih import decimal_divergence, decimal_targets, integer_targets
from fiducia.schemes.curves import Curve

CURVES = (Curve("open", (0, 1, 2, 3, 4)), Curve("ring", (5, 6, 7, 8), closed=True), Curve("segment", (9, 10)))


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    return load("losses")


def near(found: Tensor, recorded: list[float], tolerance: float = 1e-4) -> None:
    ours, theirs = found.double().flatten().numpy(), np.asarray(recorded)
    assert np.abs(ours - theirs).max() <= tolerance * max(np.abs(theirs).max(), 1e-12)


def peaks(maps: Tensor) -> list[int]:
    return maps.flatten(-2).argmax(-1).tolist()


def test_hihs_divergence_and_its_gradient(golden: dict[str, Any]) -> None:
    entry, key = golden["losses"]["hih_kl"], golden["key"]
    maps = torch.from_numpy(uniform((2, 3, 8, 8), key + 21, -3, 3)).double().requires_grad_()
    value = decimal_divergence(maps, torch.from_numpy(uniform((2, 3, 8, 8), key + 22)).double()).mean()
    near(value.detach(), [entry["values"]["loss"]])
    value.backward()
    assert maps.grad is not None
    check(maps.grad, entry["gradient"]["pred"], "gradient")


def test_hihs_two_targets(golden: dict[str, Any]) -> None:
    entry, key = golden["losses"]["hih_target"], golden["key"]
    points = uniform((3, 2), key + 23, 0, 63.9).astype(np.float64)
    points[2] = written_point(entry["inputs"])
    places = torch.from_numpy(points)
    near(places, entry["values"]["points"])
    maps, decimals = integer_targets(places, 64), decimal_targets(8 * (places - places.floor()), 8)
    near(maps.sum((-2, -1)), entry["values"]["map_sums"])
    near(decimals.sum((-2, -1)), entry["values"]["offset_sums"])
    assert peaks(maps) == entry["values"]["map_argmax"]
    assert peaks(decimals) == entry["values"]["offset_argmax"]
    check(decimals, entry["maps"], "decimal maps")


def test_hrnets_targets(golden: dict[str, Any]) -> None:
    entry, key = golden["losses"]["hrnet_target"], golden["key"]
    points = uniform((3, 2), key + 24, 1, 63).astype(np.float64)
    points[2] = written_point(entry["inputs"])
    places = torch.from_numpy(points)
    near(places, entry["values"]["points"])
    maps = square_gaussian(places, (64, 64), 1.5)
    near(maps.sum((-2, -1)), entry["values"]["sum"])
    assert peaks(maps) == entry["values"]["argmax"]
    sharp = square_gaussian(places[0], (64, 64), 1.0)
    near(sharp.sum(), [entry["values"]["sigma1_sum"]])
    assert peaks(sharp) == entry["values"]["sigma1_argmax"]
    for found, facts in zip(maps, entry["nonzero"], strict=True):
        cells = found.nonzero()
        assert len(cells) == facts["cells"]
        assert cells[0].tolist() == facts["first_row_col"]
        assert cells[-1].tolist() == facts["last_row_col"]
        near(found[found > 0][:8], facts["first8"])


def points_256(golden: dict[str, Any]) -> Tensor:
    points = uniform((11, 2), golden["key"] + 40, 30, 220)
    points[-1] = written_point(golden["losses"]["adnet_targets"]["inputs"])
    return torch.from_numpy(points)


def test_adnets_point_maps(golden: dict[str, Any]) -> None:
    entry = golden["losses"]["adnet_targets"]
    maps = reduced_gaussian(points_256(golden), 64, published=True)
    near(maps.sum((-2, -1)), entry["values"]["point_sums"])
    near(maps.amax((-2, -1)), entry["values"]["point_max"])
    # Point maps have equal largest cells where a point falls between two; the first of them counts.
    assert peaks(maps) == entry["values"]["point_argmax"]
    check(maps, entry["point_map"], "point maps")


def test_adnets_edge_maps(golden: dict[str, Any]) -> None:
    entry = golden["losses"]["adnet_targets"]
    maps = draw_edges_published(points_256(golden)[None], CURVES, 64)[0]
    # OpenCV's versions draw thick lines a little differently.
    near(maps.sum((-2, -1)), entry["values"]["edge_sums"], 0.02)
    near(maps.amax((-2, -1)), entry["values"]["edge_max"], 0.1)
