"""HRNetV2-W18 is the published network: names, size, outputs and points."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from golden import cases, check, load
from rebuild import count_parameters, crop, empty, gmac, rebuild, shapes, variant, variants, watch

from fiducia.errors import FiduciaError
from fiducia.models.base import LandmarkModel
from fiducia.weights.converters import converters

SYSTEM, KIND = "hrnet_w18", "hrnet"


@pytest.mark.parametrize("name", variants(SYSTEM))
def test_the_converter_takes_every_published_tensor_into_a_network_of_the_same_size(name: str) -> None:
    recorded = load(SYSTEM)
    facts = variant(recorded, name)
    converted = converters[KIND](shapes(recorded, name))
    model = empty(converted)
    model.load_state_dict(converted.state, strict=True)
    assert converted.num_points == facts["points"]
    assert count_parameters(model) == facts.get("params_that_matter", facts["params"])
    assert gmac(model, *facts["input"]) == pytest.approx(facts["gmac"], rel=0.05)


def _probes(model: LandmarkModel, names: list[str]) -> dict[str, Any]:
    return {n: model.get_submodule(n if n.startswith("head") else f"trunk.{n}") for n in names}


@pytest.mark.parametrize("number", cases(SYSTEM))
def test_its_outputs_are_the_published_ones(number: int) -> None:
    recorded = load(SYSTEM)
    case = recorded["golden"][number]
    model, _ = rebuild(recorded, case["variant"], KIND)
    probes = case.get("probes", {})
    with torch.no_grad(), watch(_probes(model, list(probes))) as seen:
        output = model(crop(case, recorded))
    for name, facts in probes.items():
        check(seen[name], facts, name)
    check(output.heatmaps[-1], case["outputs"]["heatmaps"], "heatmaps")
    if "points" in case:
        # Published: 1-based and half a cell on, so that v - 1 counts cells from the crop's outer edge.
        published = np.reshape(case["points"]["heatmap_coords"]["all"], case["points"]["heatmap_coords"]["shape"])
        ours = model.decode(output).points.numpy()
        same = np.isclose(ours, 4.0 * (published - 1.0) - 0.5, atol=1e-3).all(-1)
        assert same.mean() >= 0.99


def test_another_networks_file_is_refused_in_one_line() -> None:
    with pytest.raises(FiduciaError, match=r"not a checkpoint of HRNetV2-W18: no tensor 'head\.3\.bias'"):
        converters[KIND]({"fc.weight": torch.zeros(2, 2)})
