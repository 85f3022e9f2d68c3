"""PIPNet is the published network: names, size, maps, the neighbour table, and both ways to read the points."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from golden import cases, check, load, state_dict, written_face
from rebuild import count_parameters, crop, empty, gmac, shapes, variant, variants, watch
from torch import Tensor

from fiducia.errors import FiduciaError
from fiducia.models.build import build_model
from fiducia.models.pipnet_r18 import PIPNet, PipOptions
from fiducia.weights.converters import converters

SYSTEM, KIND = "pipnet_r18", "pipnet"


def face(points: int) -> Tensor:
    """The mean face of the goldens."""
    return torch.from_numpy(written_face(load(SYSTEM)["mean_face"], points))


def listed() -> list[str]:
    """Return the variants whose tensors are listed; of another depth only the count is recorded."""
    return [name for name in variants(SYSTEM) if "entries_note" not in variant(load(SYSTEM), name)]


@pytest.mark.parametrize("name", listed())
def test_the_converter_takes_every_published_tensor_into_a_network_of_the_same_size(name: str) -> None:
    recorded = load(SYSTEM)
    facts = variant(recorded, name)
    converted = converters[KIND](shapes(recorded, name))
    model = empty(converted)
    model.load_state_dict(converted.state, strict=True)
    assert converted.num_points == facts["points"]
    assert converted.options == {"depth": 18, "heads": {"neighbours": facts["neighbours"], "merge": False}}
    assert model.decoders == ("own", "merged")
    assert count_parameters(model) == facts["params"]
    assert gmac(model, *facts["input"]) == pytest.approx(facts["gmac"], rel=0.01)


def test_a_deeper_trunk_has_the_published_size() -> None:
    facts = variant(load(SYSTEM), "wflw_r101")
    with torch.device("meta"):
        model = build_model(SYSTEM, facts["points"], options={"depth": 101})
    assert count_parameters(model) == facts["params"]


@pytest.mark.parametrize("number", cases(SYSTEM))
def test_its_outputs_are_the_published_ones(number: int) -> None:
    recorded = load(SYSTEM)
    case = recorded["golden"][number]
    points = variant(recorded, case["variant"])["points"]
    converted = converters[KIND](state_dict(recorded, case["variant"]) | {"mean_face": face(points).flatten()})
    model = empty(converted)
    model.load_state_dict(converted.state, strict=True)
    assert isinstance(model.eval(), PIPNet)
    probes = case.get("probes", {})
    with torch.no_grad(), watch({name: model.trunk.get_submodule(name) for name in probes}) as seen:
        output = model(crop(case, recorded))
        read = {name: model.decode(output, name).points / model.size for name in ("own", "merged")}
    for name, facts in probes.items():
        check(seen[name], facts, name)
    for name, facts in case["outputs"].items():
        check(output.maps[name][-1], facts, name)
    for name, facts in case["points"].items():
        off = np.abs(read[name].numpy() - np.reshape(facts["all"], facts["shape"])).max(-1)
        # One cell that float noise picks otherwise moves up to its neighbours' points too, all by a little.
        assert (off < 1e-4).mean() >= 0.99, name
    assert model.decoders[0] == "merged"


def test_neighbours_are_the_published_ones() -> None:
    recorded = load(SYSTEM)
    tables = [key for key in recorded if key.startswith("neighbour_table_")]
    assert tables
    for key in tables:
        points = int(key.rpartition("_")[2])
        mean = tuple((x, y) for x, y in face(points).tolist())
        model = PIPNet(points, 64, heads=PipOptions(mean_face=mean))
        assert model.neighbours.tolist() == recorded[key]
        assert (model.shares > 0).sum(1).max() == recorded[f"reverse_max_len_{points}"]


def test_another_networks_file_is_refused_in_one_line() -> None:
    with pytest.raises(FiduciaError, match=r"not a checkpoint of PIPNet: no tensor 'cls_layer\.bias'"):
        converters[KIND]({"fc.weight": torch.zeros(2, 2)})
    mobile = {"cls_layer.bias": torch.zeros(4), "nb_x_layer.bias": torch.zeros(8), "features.0.weight": torch.zeros(1)}
    with pytest.raises(FiduciaError, match="its third stage has 0 blocks; expected 2, 6 or 23"):
        converters[KIND](mobile)
