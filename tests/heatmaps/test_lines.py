"""Curves as maps: the spline, edge maps, the boundary, and squares with published rounding."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.interpolate import CubicSpline

from fiducia.heatmaps.encode import encode
from fiducia.heatmaps.lines import complete, draw_boundary, draw_edges, draw_edges_published
from fiducia.heatmaps.spline import spline
from fiducia.heatmaps.squares import reduced_gaussian, square_gaussian, square_profile
from fiducia.schemes.curves import Curve

LINE = (Curve("line", (0, 1)),)


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("n", [2, 3, 4, 9])
def test_the_spline_is_the_cubic_interpolation_by_chord_length(n: int, closed: bool) -> None:
    points = np.random.default_rng(n).uniform(0, 100, (n, 2))
    ends = np.vstack([points, points[:1]]) if closed and n > 2 else points
    chord = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(ends, axis=0), axis=1))])
    places = np.concatenate([*(np.linspace(a, b, 7, endpoint=False) for a, b in pairwise(chord)), chord[-1:]])
    expected = CubicSpline(chord, ends, bc_type="periodic" if closed and n > 2 else "not-a-knot")(places)
    found = spline(torch.from_numpy(points), closed, steps=7)
    assert found.shape == expected.shape
    assert np.abs(found.numpy() - expected).max() < 1e-9


def test_points_that_coincide_leave_the_spline_finite() -> None:
    points = torch.tensor([[[3.0, 4.0], [3.0, 4.0], [9.0, 4.0], [9.0, 9.0]]])
    assert torch.isfinite(spline(points)).all()
    assert torch.isfinite(spline(points, closed=True)).all()


def test_an_edge_map_is_a_line_of_the_cells_that_it_crosses() -> None:
    # Along the middle of the fifth row of cells, from the middle of cell 2 to that of cell 12.
    points = torch.tensor([[[9.5, 17.5], [49.5, 17.5]]])
    maps = draw_edges(points, LINE, 16)
    assert maps.shape == (1, 1, 16, 16)
    assert set(maps[0, 0].nonzero()[:, 0].tolist()) == {4}
    assert set(maps[0, 0].nonzero()[:, 1].tolist()) >= set(range(3, 12))
    assert maps[0, 0, 4, 3:12].std() < 0.02
    assert 0.5 < float(maps.max()) <= 1.0


def test_edge_maps_on_the_device_weigh_what_the_published_ones_do() -> None:
    torch.manual_seed(0)
    points = 40 + 176 * torch.rand(24, 9, 2)
    own = (Curve("line", (0, 1, 2, 3, 4)), Curve("ring", (5, 6, 7, 8), closed=True))
    ours, theirs = draw_edges(points, own, 64), draw_edges_published(points, own, 64)
    assert ours.sum((0, 2, 3)) / theirs.sum((0, 2, 3)) == pytest.approx(torch.ones(2), abs=0.08)
    # Rounding moves the published line by a fraction of a cell, so that single cells differ, but not the course of the line.
    blocks = torch.stack([torch.nn.functional.avg_pool2d(maps, 8).flatten() for maps in (ours, theirs)])
    assert torch.corrcoef(blocks)[0, 1] > 0.95


@pytest.mark.parametrize("draw", [draw_edges, draw_edges_published])
def test_a_curve_with_an_unlabelled_point_is_empty_and_one_that_leaves_the_map_is_cut(draw: object) -> None:
    points = torch.tensor([[[9.0, 9.0], [torch.nan, 4.0]], [[10.0, 30.0], [500.0, -300.0]]])
    maps = draw(points, LINE, 16)  # type: ignore[operator]
    assert maps[0].max() == 0.0
    assert 0.0 < float(maps[1].max()) <= 1.0
    assert complete(points, LINE).tolist() == [[False], [True]]


def test_the_boundary_falls_with_the_distance_to_the_nearest_curve() -> None:
    points = torch.tensor([[[2.0, 5.0], [13.0, 5.0], [8.0, 12.0], [torch.nan, 0.0]]])
    both = (Curve("line", (0, 1)), Curve("lost", (2, 3)))
    found = draw_boundary(points, both, 16)
    assert found.shape == (1, 1, 16, 16)
    bell = torch.exp(-0.5 * (torch.arange(16.0) - 5) ** 2) * ((torch.arange(16.0) - 5).abs() < 3)
    torch.testing.assert_close(found[0, 0, :, 7], bell, atol=0.02, rtol=0.0)
    assert found[0, 0, 12, 8] == 0.0
    assert draw_boundary(points, (), 16).max() == 0.0


def test_published_squares_round_or_floor_the_point_and_slip_by_one_at_the_first_cells() -> None:
    def centre(p: float, sigma: float) -> int:
        return int(square_profile(torch.tensor(p), 64, sigma).argmax())

    assert [centre(p, 1.5) for p in (20.4, 20.6)] == [20, 21]
    assert [centre(p, 1.0) for p in (20.4, 20.6)] == [20, 20]
    assert [centre(float(p), 1.5) for p in (3, 4, 5, 6)] == [4, 5, 5, 6]
    assert int((square_profile(torch.tensor(20.0), 64, 1.5) > 0).sum()) == 10
    assert square_gaussian(torch.tensor([torch.nan, 3.0]), (8, 8)).max() == 0.0


def test_a_reduced_gaussian_is_the_canvas_reduced_bilinearly() -> None:
    points = torch.tensor([[30.2, 41.7], [12.0, 50.0], [torch.nan, 1.0]])
    for published in (False, True):
        canvas = square_gaussian(points, (64, 64)) if published else encode(points, (64, 64), radius=40.0)
        expected = torch.nn.functional.interpolate(canvas[None], size=(16, 16), mode="bilinear", align_corners=False)[0]
        found = reduced_gaussian(points, 16, published=published)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
