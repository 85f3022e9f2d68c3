from __future__ import annotations

import math

import pytest
import torch
from problems import context_of, targets_of

from fiducia.losses import losses
from fiducia.losses.adl import anisotropy, direction_points, normals, scheme_curves
from fiducia.schemes.sets import get_scheme, scheme_from_table, scheme_names
from fiducia.structures import ModelOutput


@pytest.mark.parametrize("name", scheme_names())
def test_the_curves_of_every_scheme_are_contours_of_its_points(name: str) -> None:
    scheme = get_scheme(name)
    curves = scheme_curves(scheme)
    assert all(0 <= i < scheme.num_points for indices, _ in curves for i in indices)
    assert all(len(indices) >= 2 for indices, _ in curves)


def test_an_own_schemes_curves_are_chains_of_its_edges_and_cofws_left_eye_is_open() -> None:
    own = scheme_from_table({"name": "own", "points": 8, "mirror": [], "edges": [[0, 1, 2], [3, 4, 5, 3], [6, 7]]})
    assert scheme_curves(own) == [([0, 1, 2], False), ([3, 4, 5], True), ([6, 7], False)]
    assert ([36, 37, 38, 39, 40, 41], True) in scheme_curves(get_scheme("ibug68"))
    assert not all(closed for indices, closed in scheme_curves(get_scheme("cofw29")) if set(indices) & {9, 14, 11, 15})


def test_normals_of_a_circle_point_to_its_centre_and_those_of_a_straight_end_stand_on_it() -> None:
    angles = torch.arange(8).double() * math.pi / 4 + 0.1
    ring = torch.stack([angles.cos(), angles.sin()], dim=-1)
    line = torch.tensor([[0.0, 0.0], [1.0, 0.2], [2.0, 0.4]], dtype=torch.float64)
    alone = torch.tensor([[5.0, 5.0]], dtype=torch.float64)
    found = normals(torch.cat([ring, line, alone])[None], [(range(8), True), ((8, 9, 10), False)])[0]
    torch.testing.assert_close(found[:8], -ring)
    across = torch.tensor([-0.2, 1.0], dtype=torch.float64)
    for end in (8, 10):
        assert abs(float(found[end] @ across / across.norm())) == pytest.approx(1.0)
    assert found[11].abs().max() == 0


def test_an_unlabelled_neighbour_leaves_a_point_without_a_normal() -> None:
    points = torch.tensor([[[0.0, 0.0], [1.0, 1.0], [math.nan, math.nan], [3.0, 0.0], [4.0, 1.0]]])
    found = normals(points, [((0, 1, 2, 3, 4), False)])
    assert torch.isfinite(found).all()
    assert [bool(n.norm() > 0.5) for n in found[0]] == [True, False, False, False, True]


def test_lambda_says_how_much_further_the_map_reaches_along_the_contour() -> None:
    y, x = torch.meshgrid(torch.arange(33).double() - 16, torch.arange(33).double() - 16, indexing="ij")
    maps = torch.exp(-0.5 * (x / 3.0) ** 2 - 0.5 * (y / 1.5) ** 2)[None, None]
    centre = torch.zeros(1, 1, 2, dtype=torch.float64)
    up, right = torch.tensor([[[0.0, 1.0]]]).double(), torch.tensor([[[1.0, 0.0]]]).double()
    assert anisotropy(maps, centre, up).item() == pytest.approx(4.0, rel=0.01)
    assert anisotropy(maps, centre, right).item() == 1.0
    assert anisotropy(maps**9 * (y.abs() < 1), centre, up).item() == 9.0


def test_errors_across_weigh_more_than_errors_along_and_points_on_no_contour_weigh_plainly() -> None:
    truth, up = torch.zeros(1, 1, 2), torch.tensor([[[0.0, 1.0]]])
    ratio = torch.full((1, 1), 9.0)
    across = direction_points(torch.tensor([[[0.0, 0.1]]]), truth, up, ratio).item()
    along = direction_points(torch.tensor([[[0.1, 0.0]]]), truth, up, ratio).item()
    plain = direction_points(torch.tensor([[[0.1, 0.0]]]), truth, 0 * up, ratio).item()
    assert across == pytest.approx(math.sqrt(1.8) * 0.1 - 0.005)
    assert along == pytest.approx(math.sqrt(0.2) * 0.1 - 0.005)
    assert plain == pytest.approx(0.1 - 0.005)


def test_the_term_is_published_for_coordinates_in_minus_1_to_1_and_all_stages_share_the_last_map() -> None:
    size = 64
    xy = torch.tensor([[[16.0, 40.0], [32.0, 40.0], [48.0, 40.0]]])
    y, x = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    centre = (xy + 0.5) / 4 - 0.5
    drawn = torch.exp(-0.5 * ((x - centre[..., :1, None]) / 2) ** 2 - 0.5 * (y - centre[..., 1:, None]) ** 2)
    attention = ModelOutput(points=[xy, xy], maps={"attention": [torch.rand(1, 3, 16, 16), drawn]})
    heatmaps = ModelOutput(points=[xy, xy], heatmaps=[torch.rand(1, 3, 16, 16), drawn], linear=True)
    for output in (attention, heatmaps):
        term = losses["adl"].build(context_of(output, 3, size, [[0, 1, 2]]), {"stages": "final"}, "loss.adl")
        assert float(term(output, targets_of(xy, size))) == 0.0
        off = 2.0  # pixels downwards, across the contour: 1 / 16 of [-1, 1]
        output.points[-1] = xy + torch.tensor([0.0, off])
        # The centre moves with the points: variance 1 + 0.5^2 across, 4 along, in cells.
        ratio = 4 / 1.25
        expected = math.sqrt(2 * ratio / (ratio + 1)) * 2 * off / size - 0.005
        assert float(term(output, targets_of(xy, size))) == pytest.approx(expected, rel=0.02)


def test_points_that_are_read_from_heatmaps_give_the_same_loss_as_points_of_a_network_and_pass_a_gradient() -> None:
    size, side = 64, 32
    xy = torch.tensor([[[16.0, 40.0], [32.0, 40.0], [48.0, 40.0], [40.0, 10.0]]])
    off = xy + torch.tensor([1.0, 2.0])
    y, x = torch.meshgrid(torch.arange(float(side)), torch.arange(float(side)), indexing="ij")
    centre = (off + 0.5) / (size / side) - 0.5
    square = ((x - centre[..., :1, None]) / 2) ** 2 + (y - centre[..., 1:, None]) ** 2
    maps = torch.exp(-0.5 * square).requires_grad_()
    read = ModelOutput(heatmaps=[maps], linear=True)
    given = ModelOutput(points=[off], heatmaps=[maps.detach()], linear=True)
    found = []
    for output in (read, given):
        term = losses["adl"].build(context_of(output, 4, size, [[0, 1, 2]]), {"stages": "final"}, "loss.adl")
        found.append(term(output, targets_of(xy, size)))
    assert found[0].item() == pytest.approx(found[1].item(), rel=1e-3)
    found[0].backward()
    assert maps.grad is not None
    assert maps.grad.abs().sum() > 0
