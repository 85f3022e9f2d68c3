"""A larger network starts by computing what the smaller one did."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from fiducia.errors import UsageError
from fiducia.models import LandmarkModel
from fiducia.recipes.merge import merge_tables
from fiducia.weights.store import save_weights
from fiducia.weights.transfer import init_from
from networks import lively, small, small_card, small_options

SLIM: dict[str, Any] = {"backbone": {"depth": 6}, "hourglass": {"depth": 2}, "head": {"refine": 32}}


def build(name: str, size: int, **more: Any) -> LandmarkModel:
    return small(name, 5, size, **merge_tables(SLIM, more)).eval()


def maps(model: LandmarkModel, crops: Tensor) -> Tensor:
    return model(crops).heatmaps[-1]


@pytest.fixture
def trained(tmp_path: Path) -> tuple[LandmarkModel, Path]:
    """A fifa_tiny whose every tensor has been moved, and its file."""
    model = lively(build("fifa_tiny", 64), amount=0.02)
    path = tmp_path / "t.safetensors"
    save_weights(path, model.state_dict(), small_card(options=small_options(**SLIM)))
    return model, path


def test_four_times_the_pixels_and_twice_the_blocks_change_nothing_at_first(
    trained: tuple[LandmarkModel, Path],
) -> None:
    little, path = trained
    large = build("fifa_small", 128, backbone={"depth": 12})
    assert init_from(large, path) == []
    crops = torch.rand(2, 3, 64, 64) * 255
    with torch.no_grad():
        assert float(maps(little, crops).std()) > 0.01
        ours = maps(large, torch.nn.functional.interpolate(crops, scale_factor=2, mode="nearest"))
        assert torch.allclose(ours, maps(little, crops), atol=1e-4)
        # Of a finer picture it sees the mean of each square of pixels.
        fine = torch.rand(1, 3, 128, 128) * 255
        assert torch.allclose(maps(large, fine), maps(little, torch.nn.functional.avg_pool2d(fine, 2)), atol=1e-4)


def test_new_blocks_are_trained_too(trained: tuple[LandmarkModel, Path]) -> None:
    large = build("fifa_small", 128, backbone={"depth": 12})
    init_from(large, trained[1])
    maps(large, torch.rand(1, 3, 128, 128) * 255).square().mean().backward()
    gradients = {n: p.grad for n, p in large.named_parameters() if n.endswith("mlp.fc2.weight")}
    assert len(gradients) == 12
    assert all(g is not None and float(g.abs().max()) > 0 for g in gradients.values())


def test_a_wider_refinement_is_new_and_the_rest_is_not(trained: tuple[LandmarkModel, Path]) -> None:
    new = init_from(build("fifa_small", 128, backbone={"depth": 12}, head={"refine": 64}), trained[1])
    assert {name.partition(".")[0] for name in new} == {"head", "refine"}


def test_another_crop_side_takes_resized_filters_and_positions(trained: tuple[LandmarkModel, Path]) -> None:
    little, path = trained
    large = build("fifa_tiny", 128)
    assert init_from(large, path) == []
    ours, theirs = large.state_dict(), little.state_dict()
    spectra = [name for name in ours if name.endswith("ffp.weight")]
    assert spectra
    for name in spectra:
        # The mean of a map is filtered as before, whatever the map's side.
        assert torch.allclose(ours[name][:, 0, 0], theirs[name][:, 0, 0], atol=1e-6)
    assert ours["vit.pos_embed"].shape[1] == 4 * theirs["vit.pos_embed"].shape[1]


@pytest.mark.parametrize(
    "more", [{"backbone": {"width": 48}}, {"hourglass": {"channels": 24}}, {"hourglass": {"stride": 16}}]
)
def test_a_network_that_the_weights_cannot_grow_into_is_refused(
    trained: tuple[LandmarkModel, Path], more: dict[str, Any]
) -> None:
    with pytest.raises(UsageError, match="take the same width, channels and maps"):
        init_from(build("fifa_small", 128, **more), trained[1])


def test_a_leaner_network_starts_from_what_is_left() -> None:
    full = build("fifa_tiny", 64, hourglass={"down_kernel": 3, "depth": 2})
    lean = build("fifa_tiny", 64, hourglass={"down_kernel": 1, "depth": 1})
    before = full.state_dict()
    state = lean.adapted(before)
    assert set(lean.state_dict()) <= set(state)
    down, inner = "hourglasses.0.down.0.0.weight", "hourglasses.1.inner."
    assert torch.equal(state[down], before[down].sum((2, 3), keepdim=True))
    for name in ("wide.conv.weight", "narrow.norm.running_var"):
        assert torch.equal(state[inner + name], before[f"{inner}after.{name}"])


def test_a_shallower_network_keeps_the_first_blocks_of_every_third(trained: tuple[LandmarkModel, Path]) -> None:
    deep, path = trained
    shallow = build("fifa_tiny", 64, backbone={"depth": 3})
    assert init_from(shallow, path) == []
    for ours, theirs in enumerate((0, 2, 4)):
        name = "mlp.fc1.weight"
        assert torch.equal(
            shallow.state_dict()[f"vit.blocks.{ours}.{name}"], deep.state_dict()[f"vit.blocks.{theirs}.{name}"]
        )


def test_folding_needs_room_before_the_maps() -> None:
    with pytest.raises(UsageError, match="fold needs"):
        build("fifa_tiny", 64, head={"refine": 0}, backbone={"fold": 8})


def test_hourglasses_can_be_left_out_and_all_else_stays() -> None:
    bare, whole = build("fifa_tiny", 64, hourglass={"depth": 0}), build("fifa_tiny", 64)
    assert set(bare.state_dict()) == {k for k in whole.state_dict() if not k.startswith("hourglasses.")}
    assert maps(bare, torch.zeros(1, 3, 64, 64)).shape == (1, 5, 32, 32)
