"""ADNet and STAR are the published networks: names, size, outputs and points."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from golden import cases, check, load
from rebuild import count_parameters, crop, empty, gmac, rebuild, shapes, variant, variants, watch
from torch import Tensor

from fiducia.errors import FiduciaError
from fiducia.models.base import LandmarkModel
from fiducia.schemes.curves import curves
from fiducia.schemes.sets import get_scheme
from fiducia.structures import ModelOutput
from fiducia.weights.converters import converters

SYSTEMS = ("adnet", "star")
PROBES = {
    "pre.0": None,
    "pre.4": "stem.3",
    "hgs.0.coordconv": "stacks.0.coord",
    "hgs.0": "stacks.0.hourglass",
    "features.0": None,
    "out_heatmaps.0": "stacks.0.heads.heatmaps",
    "hgs.1.coordconv": "stacks.1.coord",
    "hgs.3": "stacks.3.hourglass",
    "out_heatmaps.3": "stacks.3.heads.heatmaps",
}


@pytest.mark.parametrize(("system", "name"), [(s, name) for s in SYSTEMS for name in variants(s)])
def test_the_converter_takes_every_tensor_that_matters_into_a_network_of_the_same_size(system: str, name: str) -> None:
    recorded = load(system)
    facts = variant(recorded, name)
    # The fixed table of edges keeps its constructed values, which the golden does not record.
    state = {n: t for n, t in shapes(recorded, name).items() if not n.startswith("e2h_transform")}
    converted = converters[system](state)
    model = empty(converted)
    model.load_state_dict(converted.state, strict=True)
    unused = set(state) & set(recorded["parameters_without_effect_on_outputs"])
    assert len(converted.state) == len(state) - len(unused)
    assert converted.num_points == facts["points"]
    assert count_parameters(model) == facts["params_that_matter"]
    assert gmac(model, *facts["input"]) == pytest.approx(facts["gmac"], rel=0.05)


@pytest.mark.parametrize("name", variants("adnet"))
def test_the_curves_of_a_landmark_set_are_the_published_edges(name: str) -> None:
    facts = variant(load("adnet"), name)
    ours = curves(get_scheme({98: "wflw98", 68: "ibug68", 29: "cofw29"}[facts["points"]]))
    assert [["closed" if c.closed else "open", list(c.points)] for c in ours] == facts["edge_table"]
    alone = set(range(facts["points"])) - {i for c in ours for i in c.points}
    assert sorted(alone) == facts["e2h_bias_points"]


def _ours(output: ModelOutput, name: str) -> Tensor:
    """Return the output that the published code calls ``name``."""
    if name == "attention_mask":
        return output.maps["attention"][-1]
    kind, _, stack = name.partition("_stack")
    if kind == "landmarks":
        return (output.points[int(stack)] * 2 + 1) / 256 - 1
    if kind == "fusionmaps":
        return output.heatmaps[int(stack)]
    return output.maps[{"edgemaps": "edges", "pointmaps": "points"}[kind]][int(stack)]


def _probes(model: LandmarkModel, names: dict[str, Any]) -> dict[str, Any]:
    return {n: model.get_submodule(f"network.{PROBES[n]}") for n in names if PROBES.get(n)}


@pytest.mark.parametrize(("system", "number"), [(s, n) for s in SYSTEMS for n in cases(s)])
def test_its_outputs_and_points_are_the_published_ones(system: str, number: int) -> None:
    recorded = load(system)
    case = recorded["golden"][number]
    model, _ = rebuild(recorded, case["variant"], system)
    # The published network reads B, G, R and the golden image is in that order; ours takes R, G, B.
    images = crop(case, recorded).flip(1)
    probes = case.get("probes", {})
    with torch.no_grad(), watch(_probes(model, probes)) as seen:
        output = model(images)
    for name, found in seen.items():
        check(found, probes[name], name)
    for name, facts in case["outputs"].items():
        check(_ours(output, name), facts, name)
    if "points" in case:
        facts = case["points"]["landmarks_px256"]
        published = np.reshape(facts["all"], facts["shape"])
        assert np.abs(model.decode(output).points.numpy() - published).max() < 1e-4 * 256


@pytest.mark.parametrize("system", SYSTEMS)
def test_names_from_several_devices_and_a_recorded_table_of_edges_are_taken(system: str) -> None:
    recorded = load(system)
    state = shapes(recorded, "300w")
    for i, curve in enumerate(curves(get_scheme("ibug68"))):
        state["e2h_transform.weight"][list(curve.points), i] = 1.0
    plain, parallel = converters[system](state), converters[system]({f"module.{n}": t for n, t in state.items()})
    assert plain.scheme == parallel.scheme == "ibug68"
    assert set(plain.state) == set(parallel.state)
    assert not any("e2h" in name or "module" in name for name in plain.state)


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_checkpoint_with_edges_of_its_own_is_refused_in_one_line(system: str) -> None:
    recorded = load(system)
    state = shapes(recorded, "wflw")
    with pytest.raises(
        FiduciaError, match=r"edges of this checkpoint \(98 points, 9 edges\) are not the published ones"
    ):
        converters[system](state)  # a table of edges that is all 0
    with pytest.raises(FiduciaError, match="not a checkpoint of"):
        converters[system]({"fc.weight": torch.zeros(2, 2)})
