from __future__ import annotations

import pytest
import torch
from network_checks import check_batch, check_gradients, check_points, stir

from fiducia.errors import UsageError
from fiducia.heatmaps.encode import encode
from fiducia.models import build_model, models
from fiducia.models.base import LandmarkModel
from fiducia.structures import ModelOutput
from networks import crops

TINY = {"blocks": 2, "channels": 16, "width": 16, "heads": 2}


def tiny(size: int = 64, points: int = 5, **options: object) -> LandmarkModel:
    torch.manual_seed(0)
    return build_model("dvit", points, size, options={**TINY, **options})


@pytest.mark.parametrize("size", [64, 96])
@pytest.mark.parametrize("points", [4, 29])
def test_every_block_gives_heatmaps_and_points(size: int, points: int) -> None:
    model = tiny(size, points)
    output = model.eval()(crops(1, size))
    assert [tuple(m.shape) for m in output.heatmaps] == [(1, points, size // 4, size // 4)] * 2
    assert [tuple(p.shape) for p in output.points] == [(1, points, 2)] * 2
    assert output.linear
    check_points(model)


@pytest.mark.parametrize("options", [{}, {"channel_split": False}, {"skip": False, "depth": 2}])
def test_it_keeps_what_every_network_keeps(options: dict[str, object]) -> None:
    check_batch(tiny(**options))
    check_gradients(tiny(**options))


def test_its_points_are_the_expectation_of_its_heatmaps() -> None:
    model = tiny().eval()
    xy = torch.tensor([[[20.0, 33.0], [5.0, 60.0], [31.5, 31.5], [40.0, 12.0], [50.0, 50.0]]])
    maps = encode((xy + 0.5) / 4 - 0.5, (16, 16))
    output = ModelOutput(heatmaps=[maps], linear=True, points=[torch.zeros(1, 5, 2)])
    for method in ("argmax", "quarter", "dark"):
        assert (model.decode(output, method).points - xy).abs().max() < 4
    assert torch.equal(model.decode(output).points, output.points[-1])


def test_a_channel_token_sees_the_other_channels_and_a_spatial_token_the_other_places() -> None:
    block = tiny().blocks[0]  # type: ignore[index]
    stir(block)
    x = torch.randn(1, 16, 16, 16, requires_grad=True)
    (gradient,) = torch.autograd.grad(block.channel(x)[0, 3, 8, 8], x)
    assert gradient[0, 11].abs().max() > 0
    (gradient,) = torch.autograd.grad(block.spatial(x)[0, 3, 8, 8], x)
    assert gradient[0, :, 1, 14].abs().max() > 0


def test_low_level_features_reach_the_last_block_past_the_first() -> None:
    model = tiny().eval()
    stir(model)
    with torch.no_grad():
        model.blocks[0].join[0][0].weight.zero_()  # type: ignore[index, union-attr]
        with_skip = model(crops(1, 64)).heatmaps[-1]
        model.skips[0].weight.zero_()  # type: ignore[index, union-attr]
        without = model(crops(1, 64)).heatmaps[-1]
    assert not torch.allclose(with_skip, without)


def test_it_says_that_it_is_a_reconstruction() -> None:
    assert "reconstruction" in models["dvit"].about
    assert "Chosen here" in (models["dvit"].build.__doc__ or "")


def test_a_size_that_does_not_divide_is_refused() -> None:
    with pytest.raises(UsageError, match="size must divide by 32"):
        build_model("dvit", 5, 80, options=TINY)
