from __future__ import annotations

import pytest
import torch
from network_checks import check_batch, check_gradients, check_points, stir
from torch import nn

from fiducia.errors import UsageError
from fiducia.models import build_model, models
from fiducia.models.base import LandmarkModel
from fiducia.models.count import count_parameters
from fiducia.models.parts.hourglass import BlurPool
from fiducia.schemes.curves import boundary_curves
from fiducia.schemes.sets import get_scheme, scheme_from_table
from networks import crops

TINY = {"stacks": 2, "channels": 16, "depth": 2, "propagation": 8}


def tiny(scheme: str | None = "cofw29", size: int = 32, **options: object) -> LandmarkModel:
    torch.manual_seed(0)
    chosen = get_scheme(scheme) if scheme else None
    points = chosen.num_points if chosen else 4
    return build_model("propnet", points, size, scheme=chosen, options={**TINY, **options})


@pytest.mark.parametrize("size", [32, 48])
@pytest.mark.parametrize("scheme", ["ibug68", "wflw98", "cofw29", "aflw19"])
def test_it_gives_heatmaps_a_stack_and_boundaries_a_link(scheme: str, size: int) -> None:
    model = tiny(scheme, size, stacks=3)
    output = model.eval()(crops(1, size))
    side = size // 4
    assert [tuple(m.shape) for m in output.heatmaps] == [(1, model.num_points, side, side)] * 3
    curves = len(boundary_curves(get_scheme(scheme)))
    assert [tuple(m.shape) for m in output.maps["boundaries"]] == [(1, curves, side, side)] * 2
    check_points(model)


def test_it_keeps_what_every_network_keeps() -> None:
    check_batch(tiny())
    check_gradients(tiny())


def test_a_set_without_lines_has_no_boundary_to_learn() -> None:
    dots = scheme_from_table({"name": "dots", "points": 4, "mirror": [], "edges": []})
    for model in (tiny(None), build_model("propnet", 4, 32, scheme=dots, options=TINY)):
        assert "boundaries" not in model.default_loss()
        assert model.eval()(crops(1, 32)).maps["boundaries"][0].shape == (1, 1, 8, 8)
        check_gradients(model)
    assert tiny().default_loss()["boundaries"]["kind"] == "boundaries"


def test_the_boundary_of_one_stack_masks_the_coordinates_of_the_next() -> None:
    stack = tiny(stacks=3).stacks[1]  # type: ignore[index]
    stir(stack.eval())
    x = torch.rand(1, 16, 8, 8)
    boundary = torch.zeros(1, 14, 8, 8)
    with torch.no_grad():
        nowhere = stack(x, boundary)[0]
        boundary[0, 5, 2, 3] = 0.04
        assert torch.equal(stack(x, boundary)[0], nowhere)
        boundary[0, 5, 2, 3] = 0.06
        assert not torch.equal(stack(x, boundary)[0], nowhere)


def test_features_that_get_no_attention_do_not_pass() -> None:
    link = tiny().links[0]  # type: ignore[index]
    stir(link.eval())
    x, features, heatmaps = torch.rand(1, 16, 8, 8), torch.rand(1, 16, 8, 8), torch.rand(1, 29, 8, 8)
    with torch.no_grad():
        link.attention[-1].weight.zero_()
        link.attention[-1].bias.fill_(-40.0)
        closed = link(x, features, heatmaps)[0]
        expected = x + link.carry.bias[:, None, None] + link.feed(heatmaps)
    torch.testing.assert_close(closed, expected, rtol=0, atol=1e-6)


def test_every_pooling_is_anti_aliased() -> None:
    model = tiny()
    kinds = [type(m) for m in model.modules()]
    assert not {nn.AvgPool2d, nn.MaxPool2d} & set(kinds)
    # The stem's, and one a level: two stacks and one link of two hourglasses, of depth 2.
    assert kinds.count(BlurPool) == 1 + 2 * (2 + 2)


def test_its_size_is_that_of_the_reconstruction() -> None:
    with torch.device("meta"):
        model = build_model("propnet", 98, scheme=get_scheme("wflw98"))
    assert count_parameters(model) == pytest.approx(36e6, rel=0.02)
    assert "reconstruction" in models["propnet"].about


@pytest.mark.parametrize("options", [{"stacks": 1}, {"depth": 4}])
def test_sizes_that_do_not_divide_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="a size that divides by"):
        tiny(size=32, **options)
