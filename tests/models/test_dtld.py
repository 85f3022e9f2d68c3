from __future__ import annotations

import pytest
import torch
from network_checks import check_batch, check_export, check_gradients, check_points, stir

from fiducia.errors import UsageError
from fiducia.models import build_model, models
from fiducia.models.base import LandmarkModel
from fiducia.models.count import count_parameters
from fiducia.models.dtld import sine_position
from networks import crops

TINY = {"width": 16, "heads": 2, "points": 2, "hidden": 32}


def tiny(size: int = 64, points: int = 5, **options: object) -> LandmarkModel:
    torch.manual_seed(0)
    return build_model("dtld", points, size, options={**TINY, **options})


@pytest.mark.parametrize("size", [64, 96])
@pytest.mark.parametrize("points", [4, 29])
def test_it_gives_the_first_points_and_one_set_a_layer(size: int, points: int) -> None:
    model = tiny(size, points)
    output = model.eval()(crops(1, size))
    assert [tuple(p.shape) for p in output.points] == [(1, points, 2)] * 4
    assert not output.heatmaps
    check_points(model)


@pytest.mark.parametrize("options", [{}, {"parallel": True}, {"queries": "learned"}, {"hidden": 0}])
def test_it_keeps_what_every_network_keeps(options: dict[str, object]) -> None:
    check_batch(tiny(**options))
    check_gradients(tiny(**options))


def test_with_its_parallel_decoder_it_can_be_exported_too() -> None:
    check_export(tiny(parallel=True))


def test_a_new_network_corrects_nothing_yet() -> None:
    output = tiny().eval()(crops(1, 64))
    assert torch.allclose(output.points[-1], output.points[0], atol=1e-4)


def test_a_layer_answers_for_its_own_correction_only() -> None:
    model = tiny(layers=2)
    stir(model)
    output = model(crops(2, 64))
    first = dict(model.named_parameters())["first.weight"]
    (gradient,) = torch.autograd.grad(output.points[-1].sum(), first, allow_unused=True)
    assert gradient is None
    (gradient,) = torch.autograd.grad(output.points[0].sum(), first)
    assert gradient.abs().max() > 0


def test_its_size_is_that_of_the_reconstruction() -> None:
    with torch.device("meta"):
        plain, plus = (build_model(name, 98) for name in ("dtld", "dtld_plus"))
    assert 14e6 <= count_parameters(plain) <= 16e6
    # The paper: "with few parameter increasing".
    assert count_parameters(plus) < 1.06 * count_parameters(plain)


def test_it_says_that_it_is_a_reconstruction_and_names_the_patent() -> None:
    for name in ("dtld", "dtld_plus"):
        assert "reconstruction" in models[name].about
    assert "US 12,430,793 B2" in (models["dtld"].build.__doc__ or "")


def test_there_is_no_decoder_to_choose() -> None:
    model = tiny().eval()
    with pytest.raises(UsageError, match="nothing to choose"):
        model.decode(model(crops(1, 64)), "argmax")


def test_a_size_that_does_not_divide_is_refused() -> None:
    with pytest.raises(UsageError, match="size must divide by 32"):
        build_model("dtld", 5, 80, options=TINY)


def test_no_two_cells_of_a_level_have_the_same_position() -> None:
    y, x = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    waves = sine_position(torch.stack([x.flatten(), y.flatten()], dim=-1) / 8, 16)
    assert waves.shape == (64, 16)
    distances = torch.cdist(waves, waves) + 9 * torch.eye(64)
    assert distances.min() > 0.05
