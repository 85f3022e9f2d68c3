"""A converted file holds the whole of a published network, or the command says in one line what does not fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from fiducia.errors import FiduciaError
from fiducia.models import build_model
from fiducia.weights.backbone import load_backbone, read_state, to_timm_names
from fiducia.weights.convert import convert_checkpoint
from fiducia.weights.info import load_card
from fiducia.weights.store import load_weights
from networks import small

State = dict[str, Tensor]
NAMES = {"score": "cls_layer", "x": "x_layer", "y": "y_layer", "nb_x": "nb_x_layer", "nb_y": "nb_y_layer"}


def pipnet() -> State:
    """Return the state dict of a PIPNet for five points under its published names."""
    state: State = {}
    for name, tensor in build_model("pipnet_r18", 5, 64).state_dict().items():
        first, _, rest = name.partition(".")
        if first != "neighbours":
            state[f"{NAMES[first]}.{rest}" if first in NAMES else rest] = tensor
    return state


def convert(saved: object, folder: Path) -> Path:
    torch.save(saved, folder / "published.pth")
    convert_checkpoint("pipnet", folder / "published.pth", folder / "ours.safetensors")
    return folder / "ours.safetensors"


def foreign(state: State) -> State:
    return {**state, "layer5.0.conv1.weight": torch.zeros(3)}


def whole_numbers(state: State) -> State:
    return {**state, "conv1.weight": torch.zeros(64, 3, 7, 7, dtype=torch.int32)}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (foreign, r"pipnet_r18 has no place for trunk\.layer5\.0\.conv1\.weight; the file is of a larger"),
        (whole_numbers, r"trunk\.conv1\.weight is of int32, expected float32"),
    ],
)
def test_tensors_that_have_no_place_are_told(change: Callable[[State], State], words: str, tmp_path: Path) -> None:
    with pytest.raises(FiduciaError, match=words):
        convert(change(pipnet()), tmp_path)
    assert not (tmp_path / "ours.safetensors").exists()


def test_a_training_checkpoint_is_unwrapped_whatever_its_key(tmp_path: Path) -> None:
    state = {f"module.{name}": tensor for name, tensor in pipnet().items() if not name.endswith("num_batches_tracked")}
    optimizer = {"state": {0: {"exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 0.1}]}
    file = convert({"net": state, "optimizer": optimizer, "epoch": 3}, tmp_path)
    found = load_weights(file)[0].state_dict()
    assert torch.equal(found["trunk.conv1.weight"], state["module.conv1.weight"])


def test_the_card_says_what_is_known_of_the_data(tmp_path: Path) -> None:
    assert load_card(convert(pipnet(), tmp_path)).training["data"] == "the file does not say"


def test_a_vit_of_several_devices_has_the_names_of_one() -> None:
    assert to_timm_names({"module.visual.conv1.weight": torch.zeros(3, 3, 2, 2)}).keys() == {"patch_embed.proj.weight"}


def test_a_dictionary_that_holds_itself_ends(tmp_path: Path) -> None:
    loop: dict[str, object] = {}
    loop["model"] = loop
    torch.save(loop, tmp_path / "loop.pth")
    with pytest.raises(FiduciaError, match="no tensors in it"):
        read_state(tmp_path / "loop.pth")


def test_a_deeper_vit_is_not_loaded_in_part(tmp_path: Path) -> None:
    encoder = small("vit_base").encoder()
    assert encoder is not None
    state = dict(encoder.state_dict())
    torch.save({**state, "blocks.12.norm1.weight": torch.ones(3)}, tmp_path / "deep.pth")
    with pytest.raises(FiduciaError, match=r"has blocks\.12\.norm1\.weight, which the network's encoder does not have"):
        load_backbone(small("vit_base"), tmp_path / "deep.pth")


def test_farl_names_a_tensor_that_it_does_not_know() -> None:
    from fiducia.weights.foreign.farl import _rename

    assert _rename("auxiliary_head.conv.weight") == "auxiliary_head.conv.weight"
    assert _rename("backbone.image_mean") is None
    assert _rename("heatmap_head.head.other.weight") == "heatmap_head.head.other.weight"
