from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from network_checks import check_batch, check_gradients, check_points

from fiducia.errors import FiduciaError, UsageError
from fiducia.models import build_model
from fiducia.models.base import LandmarkModel
from fiducia.models.farl import bin_matrix
from fiducia.weights.converters import converters

TINY = {"width": 24, "depth": 6, "heads": 2, "channels": 8, "patch": 8}


def tiny(size: int = 48, points: int = 5) -> LandmarkModel:
    torch.manual_seed(0)
    return build_model("farl", points, size, options=TINY)


@pytest.mark.parametrize("size", [32, 56])
@pytest.mark.parametrize("points", [4, 29])
def test_maps_are_half_as_wide_as_the_crop_where_a_patch_has_8_pixels(size: int, points: int) -> None:
    model = tiny(size, points)
    output = model.eval()(torch.zeros(1, 3, size, size))
    assert output.heatmaps[0].shape == (1, points, size // 2, size // 2)
    assert output.features is not None
    assert output.features.shape == (1, 8, size // 2, size // 2)
    check_points(model)


def test_it_keeps_what_every_network_keeps() -> None:
    check_batch(tiny())
    check_gradients(tiny())


def test_the_economy_head_costs_less_than_a_third_of_the_published_one() -> None:
    with torch.device("meta"):
        full, small = (build_model(name, 68).neck_head for name in ("farl", "farl_256"))  # type: ignore[union-attr]
    count = [sum(p.numel() for p in head.parameters()) for head in (full, small)]
    assert 3 * count[1] < count[0]


def test_its_loss_is_the_published_one() -> None:
    with torch.device("meta"):
        loss = build_model("farl", 68).default_loss()
    assert loss["heatmap"] == {"kind": "bce", "side": 128, "sigma": 1.25, "radius": 5.0}
    assert loss["coord"] == {"kind": "coord", "distance": "norm"}


@pytest.mark.parametrize(("side", "bins"), [(7, 1), (7, 6), (14, 6), (5, 6), (3, 2), (12, 3)])
def test_pooling_by_products_is_adaptive_average_pooling(side: int, bins: int) -> None:
    x = torch.rand(2, 3, side, side, dtype=torch.float64)
    table = bin_matrix(side, bins).double()
    torch.testing.assert_close(table @ x @ table.T, F.adaptive_avg_pool2d(x, bins), rtol=1e-6, atol=1e-7)


def test_the_converter_refuses_what_is_not_farl() -> None:
    with pytest.raises(FiduciaError, match="no FaRL alignment network"):
        converters["farl"]({"backbone.visual.conv1.weight": torch.zeros(4, 3, 2, 2)})


def test_sizes_that_do_not_divide_are_refused_in_one_line() -> None:
    with pytest.raises(UsageError, match="size must divide by patch") as caught:
        build_model("farl", 5, 50, options=TINY)
    assert "\n" not in str(caught.value)
