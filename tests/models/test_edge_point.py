"""ADNet's and STAR's own: edges of the landmark set, the two grids, and confidence and spread of a map."""

from __future__ import annotations

import pytest
import torch
from test_stacked_networks import MUZZLE, network

from fiducia.errors import UsageError
from fiducia.heatmaps.encode import encode
from fiducia.models.build import build_model
from fiducia.models.parts.coordconv import with_coordinates
from fiducia.models.parts.moments import expected_points, read_moments
from fiducia.schemes.curves import curves
from networks import crops


def test_there_is_an_edge_map_a_curve_and_none_where_there_are_no_edges() -> None:
    for name in ("adnet", "star"):
        with torch.no_grad():
            output = network(name, "cofw29").eval()(crops(1, 64))
            bare = network(name, "bare4").eval()(crops(1, 64))
        assert [m.shape[1] for m in output.maps["edges"]] == [7, 7]
        assert set(output.maps) == {"edges", "points", "attention"}
        assert set(bare.maps) == {"points", "attention"}
        # A landmark on no edge has its point map as attention.
        torch.testing.assert_close(bare.maps["attention"][-1], bare.maps["points"][-1])


def test_attention_is_the_sum_of_a_landmarks_edges_times_its_point_map() -> None:
    with torch.no_grad():
        output = network("adnet", "muzzle4").eval()(crops(1, 64))
    edges, points = output.maps["edges"][-1], output.maps["points"][-1]
    assert [c.points for c in curves(MUZZLE)] == [(0, 2, 1), (2, 3)]
    own = torch.stack([edges[:, 0], edges[:, 0], edges[:, 0] + edges[:, 1], edges[:, 1]], dim=1)
    torch.testing.assert_close(output.maps["attention"][-1], own * points)


def test_star_without_attention_has_neither_edges_nor_point_maps_and_only_its_own_loss() -> None:
    model = network("star", "ibug68", attention=False).eval()
    with torch.no_grad():
        output = model(crops(1, 64))
    assert not output.maps
    assert set(model.default_loss()) == {"star"}
    assert sum(p.numel() for p in model.parameters()) < sum(p.numel() for p in network("star", "ibug68").parameters())


def test_the_losses_follow_the_pixel_rule() -> None:
    tables = network("adnet", pixels={"rule": "published"}).default_loss()
    assert tables["adl"]["grid"] == "centres"
    assert tables["edges"]["rule"] == tables["points"]["rule"] == "published"
    ours = network("adnet").default_loss()
    assert ours["adl"]["grid"] == "edges"
    assert {name: table["weight"] for name, table in ours.items()} == {"adl": 1.0, "edges": 10.0, "points": 10.0}


def test_a_landmark_set_of_another_size_is_refused() -> None:
    with pytest.raises(UsageError, match=r"the landmark set 'muzzle4' has 4 points, the network 5"):
        build_model("adnet", 5, 64, scheme=MUZZLE, options={"stacks": 1, "channels": 16})


@pytest.mark.parametrize("side", [16, 24])
def test_a_maps_mean_is_its_point_on_both_grids(side: int) -> None:
    size, cells = 4 * side, 5 + (side - 10) * torch.rand(2, 3, 2)
    maps = encode(cells, (side, side), radius=20.0)
    ours, published = expected_points(maps, size), expected_points(maps, size, published=True)
    assert (ours - ((cells + 0.5) * 4 - 0.5)).abs().max() < 0.02
    assert (published - (cells * size / (side - 1) - 0.5)).abs().max() < 0.02
    corner = torch.zeros(1, 1, side, side)
    corner[..., 0, -1] = 1.0
    assert expected_points(corner, size)[0, 0].tolist() == pytest.approx([size - 2.5, 1.5])
    assert expected_points(corner, size, published=True)[0, 0].tolist() == pytest.approx([size - 0.5, -0.5])
    # Nothing on the map: the middle of the crop.
    assert expected_points(torch.zeros(1, 1, side, side), size)[0, 0].tolist() == [(size - 1) / 2] * 2


def test_confidence_is_the_share_of_mass_near_the_point_and_spread_its_covariance() -> None:
    middle = torch.tensor([[[32.0, 32.0]]])
    sharp, wide = encode(middle, (64, 64), sigma=1.0, radius=30.0), encode(middle, (64, 64), sigma=6.0, radius=30.0)
    found = read_moments(torch.cat([sharp, wide], dim=1), torch.full((1, 2, 2), 129.5), 256)
    assert found.confidence[0, 0] > 0.99
    assert 0.2 < float(found.confidence[0, 1]) < 0.4
    assert found.spread is not None
    torch.testing.assert_close(found.spread[0, 0], torch.eye(2) * 16.0, atol=0.1, rtol=0.01)
    torch.testing.assert_close(found.spread[0, 1], torch.eye(2) * 36 * 16.0, atol=1.0, rtol=0.03)


def test_coordinates_run_down_the_rows_first_and_speak_only_where_the_mask_does() -> None:
    x, mask = torch.zeros(2, 1, 3, 5), torch.zeros(2, 1, 3, 5)
    mask[0, 0, 0, 4], mask[0, 0, 1, 1] = 0.06, 0.05
    found = with_coordinates(x, mask)
    assert found.shape == (2, 6, 3, 5)
    assert found[0, 1, :, 0].tolist() == [-1.0, 0.0, 1.0]
    assert found[0, 2, 0].tolist() == [-1.0, -0.5, 0.0, 0.5, 1.0]
    assert found[0, 3].max() == 1.0
    assert found[0, 3, 1, 2] == 0.0
    assert found[0, 4, 0, 4] == -1.0
    assert found[0, 5, 0, 4] == 1.0
    assert found[:, 4:].abs().sum() == 2.0
    assert with_coordinates(x).shape == (2, 4, 3, 5)
    # A single cell has no coordinates.
    assert with_coordinates(torch.zeros(1, 1, 1, 1)).abs().sum() == 0.0
