"""A larger network starts by computing what the smaller one did."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from fiducia.weights.files import WeightCard, init_from, save_weights
from fiducia.weights.grow import grow

from fiducia.errors import UsageError
from fiducia.models.build import build_model, models
from fiducia.recipes.sections import ModelConfig

Options = dict[str, str | int | float | bool | list[int]]
SLIM: Options = {"width": 32, "heads": 2, "channels": 16, "depth": 6, "stem_base": 8}


def build(name: str, size: int, **more: str | int) -> torch.nn.Module:
    return build_model(ModelConfig(name=name, options={**SLIM, **more}), 5, size).eval()


@pytest.fixture
def trained(tmp_path: Path) -> tuple[torch.nn.Module, Path]:
    """A fifa_tiny whose every tensor has been moved, and its file."""
    torch.manual_seed(0)
    model = build("fifa_tiny", 64)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.endswith("running_var"):
                tensor.mul_(0.8 + 0.4 * torch.rand_like(tensor))
            elif tensor.is_floating_point():
                tensor.add_(0.02 * torch.randn_like(tensor))
    card = WeightCard(
        name="t",
        model="fifa_tiny",
        options={**models["fifa_tiny"].options, **SLIM},
        scheme="five",
        num_points=5,
        size=64,
    )
    path = tmp_path / "t.safetensors"
    save_weights(path, model.state_dict(), card)
    return model, path


def test_four_times_the_pixels_and_twice_the_blocks_change_nothing_at_first(
    trained: tuple[torch.nn.Module, Path],
) -> None:
    small, path = trained
    large = build("fifa_small", 128, depth=12, refine=32)
    assert init_from(large, path) == []
    crops = torch.rand(2, 3, 64, 64) * 255
    with torch.no_grad():
        assert float(small(crops).logits.std()) > 0.01
        ours = large(torch.nn.functional.interpolate(crops, scale_factor=2, mode="nearest")).logits
        assert torch.allclose(ours, small(crops).logits, atol=1e-4)
        # Of a finer picture it sees the mean of each square of pixels.
        fine = torch.rand(1, 3, 128, 128) * 255
        assert torch.allclose(large(fine).logits, small(torch.nn.functional.avg_pool2d(fine, 2)).logits, atol=1e-4)


def test_new_blocks_are_trained_too(trained: tuple[torch.nn.Module, Path]) -> None:
    large = build("fifa_small", 128, depth=12, refine=32)
    init_from(large, trained[1])
    large(torch.rand(1, 3, 128, 128) * 255).logits.square().mean().backward()
    for i in range(12):
        gradient = large.vit.blocks[i].mlp.fc2.weight.grad  # type: ignore[union-attr,index]
        assert float(gradient.abs().max()) > 0


def test_a_wider_refinement_is_new_and_the_rest_is_not(trained: tuple[torch.nn.Module, Path]) -> None:
    new = init_from(build("fifa_small", 128, depth=12, refine=64), trained[1])
    assert {name.partition(".")[0] for name in new} == {"head", "refine"}


def test_another_crop_side_takes_resized_filters_and_positions(trained: tuple[torch.nn.Module, Path]) -> None:
    small, path = trained
    large = build("fifa_tiny", 128)
    assert init_from(large, path) == []
    spectra = [name for name in large.state_dict() if name.endswith("ffp.weight")]
    assert spectra
    for name in spectra:
        # The mean of a map is filtered as before, whatever the map's side.
        assert torch.allclose(large.state_dict()[name][:, 0, 0], small.state_dict()[name][:, 0, 0], atol=1e-6)
    assert large.vit.pos_embed.shape[1] == 4 * small.vit.pos_embed.shape[1]  # type: ignore[union-attr,index]


@pytest.mark.parametrize("more", [{"width": 48}, {"channels": 24}, {"map_stride": 16}])
def test_a_network_that_the_weights_cannot_grow_into_is_refused(
    trained: tuple[torch.nn.Module, Path], more: dict[str, int]
) -> None:
    with pytest.raises(UsageError, match="take the same width, channels and maps"):
        init_from(build("fifa_small", 128, **{"refine": 32, **more}), trained[1])


def test_a_leaner_network_starts_from_what_is_left() -> None:
    torch.manual_seed(0)
    full = build("fifa_tiny", 64, down_kernel=3, hourglass_depth=2)
    lean = build("fifa_tiny", 64, down_kernel=1, hourglass_depth=1)
    state = grow(full.state_dict(), lean)
    assert set(lean.state_dict()) <= set(state)
    down, inner = "hourglasses.0.down.0.0.weight", "hourglasses.1.inner."
    assert torch.equal(state[down], full.state_dict()[down].sum((2, 3), keepdim=True))
    for name in ("wide.conv.weight", "narrow.norm.running_var"):
        assert torch.equal(state[inner + name], full.state_dict()[f"{inner}after.{name}"])


def test_a_shallower_network_keeps_the_first_blocks_of_every_third(trained: tuple[torch.nn.Module, Path]) -> None:
    deep, path = trained
    shallow = build("fifa_tiny", 64, depth=3)
    assert init_from(shallow, path) == []
    for ours, theirs in enumerate((0, 2, 4)):
        name = "mlp.fc1.weight"
        assert torch.equal(
            shallow.state_dict()[f"vit.blocks.{ours}.{name}"], deep.state_dict()[f"vit.blocks.{theirs}.{name}"]
        )


def test_folding_needs_room_before_the_maps() -> None:
    with pytest.raises(UsageError, match="fold needs"):
        build("fifa_tiny", 64, refine=0, fold=8)


def test_hourglasses_can_be_left_out_and_all_else_stays() -> None:
    bare, whole = build("fifa_tiny", 64, hourglass_depth=0), build("fifa_tiny", 64)
    assert set(bare.state_dict()) == {k for k in whole.state_dict() if not k.startswith("hourglasses.")}
    assert bare(torch.zeros(1, 3, 64, 64)).logits.shape == (1, 5, 32, 32)
