"""PFLD is the published network: names, size, points and angles."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from golden import cases, check, load, state_dict
from rebuild import count_parameters, crop, empty, gmac, rebuild, shapes, variant, variants, watch

from fiducia.errors import FiduciaError
from fiducia.models.pfld import PFLD
from fiducia.weights.convert import convert_checkpoint
from fiducia.weights.converters import converters
from fiducia.weights.store import load_weights

SYSTEM = KIND = "pfld"
PROBES = {
    "pfld_backbone.conv3_1": "early.0",
    "pfld_backbone.block5_6": "late.6",
    "pfld_backbone.conv6_1": "late.7",
    "pfld_backbone.conv7": "down",
    "pfld_backbone.conv8": "whole",
    "auxiliarynet.conv4": "auxiliary.5",
}


@pytest.mark.parametrize("name", variants(SYSTEM))
@pytest.mark.parametrize("pose", [True, False])
def test_the_converter_takes_every_published_tensor_into_a_network_of_the_same_size(name: str, pose: bool) -> None:
    recorded = load(SYSTEM)
    facts, published = variant(recorded, name), shapes(recorded, name)
    kept = {n: t for n, t in published.items() if pose or n.startswith("pfld_backbone.")}
    converted = converters[KIND](kept)
    model = empty(converted)
    model.load_state_dict(converted.state, strict=True)
    assert converted.num_points == facts["points"]
    assert converted.options["pose"] == pose
    # Registered in the published network, but never used.
    unused = ("pfld_backbone.bn8.weight", "pfld_backbone.bn8.bias")
    assert set(unused) <= set(recorded["parameters_without_effect_on_outputs"])
    total = facts["params" if pose else "params_backbone"]
    assert count_parameters(model) == total - sum(published[n].numel() for n in unused)
    expected = facts["gmac" if pose else "gmac_backbone"]
    assert gmac(model, *facts["input"]) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("number", cases(SYSTEM))
def test_its_outputs_are_the_published_ones(number: int) -> None:
    recorded = load(SYSTEM)
    case = recorded["golden"][number]
    model, _ = rebuild(recorded, case["variant"], KIND)
    assert isinstance(model, PFLD)
    modules = {name: model.get_submodule(place) for name, place in PROBES.items()}
    # The published network reads blue first; ours reads RGB.
    with torch.no_grad(), watch(modules) as seen:
        output = model(crop(case, recorded).flip(1))
        prediction = model.decode(output)
    for name, facts in case.get("probes", {}).items():
        check(seen[name], facts, name)
    assert output.features is not None
    check(output.features, case["outputs"]["features"], "features")
    check(output.maps["angles"][-1], case["outputs"]["angles"], "angles")
    check((prediction.points / model.size).flatten(1), case["outputs"]["landmarks"], "landmarks")


def test_the_published_file_of_two_networks_converts_to_weights_that_load(tmp_path: Path) -> None:
    recorded = load(SYSTEM)
    case = recorded["golden"][0]
    tensors = state_dict(recorded, case["variant"])
    parts: dict[str, dict[str, torch.Tensor]] = {"plfd_backbone": {}, "auxiliarynet": {}}
    for name, tensor in tensors.items():
        part, _, rest = name.partition(".")
        parts[part.replace("pfld_", "plfd_")][rest] = tensor
    torch.save({"epoch": 1, **parts}, tmp_path / "checkpoint.pth.tar")
    card, count = convert_checkpoint(KIND, tmp_path / "checkpoint.pth.tar", tmp_path / "out.safetensors")
    assert card is not None
    assert card.scheme == "wflw98"
    assert card.training["data"] == "the file does not say; its landmarks are those of WFLW"
    assert count == len(tensors) - 5  # bn8
    model, _ = load_weights(tmp_path / "out.safetensors")
    with torch.no_grad():
        prediction = model.eval().decode(model(crop(case, recorded).flip(1)))
    check((prediction.points / model.size).flatten(1), case["outputs"]["landmarks"], "landmarks")


def test_another_networks_file_is_refused_in_one_line() -> None:
    with pytest.raises(FiduciaError, match=r"not a checkpoint of PFLD: no tensor 'pfld_backbone\.fc\.bias'"):
        converters[KIND]({"fc.weight": torch.zeros(2, 2)})
    narrow = {"fc.bias": torch.zeros(196), "conv1.weight": torch.zeros(32, 3, 3, 3)}
    with pytest.raises(FiduciaError, match=r"\(32, 3, 3, 3\); expected \(64, 3, 3, 3\)"):
        converters[KIND](narrow)
