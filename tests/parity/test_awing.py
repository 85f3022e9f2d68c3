"""AWing's network is the published one: names, size, outputs and points."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from golden import cases, check, load
from rebuild import count_parameters, crop, empty, gmac, rebuild, shapes, variant, variants, watch
from torch import Tensor

from fiducia.errors import FiduciaError
from fiducia.weights.converters import converters

SYSTEM = KIND = "awing"
PROBES = {
    "conv1": "stem.conv",
    "conv4": "stem.third",
    "m0.coordconv": "coords.0",
    "m0": "stacks.0.hourglass",
    "bn_end0": "stacks.0.norm",
    "m1.coordconv": "coords.1",
    "m3": "stacks.3.hourglass",
}


@pytest.mark.parametrize("name", variants(SYSTEM))
def test_the_converter_takes_every_published_tensor_into_a_network_of_the_same_size(name: str) -> None:
    recorded = load(SYSTEM)
    facts = variant(recorded, name)
    state = shapes(recorded, name)
    converted = converters[KIND](state)
    model = empty(converted)
    model.load_state_dict(converted.state, strict=True)
    assert len(converted.state) == len(state)
    assert converted.num_points == facts["points"]
    assert count_parameters(model) == facts.get("params_that_matter", facts["params"])
    assert gmac(model, *facts["input"]) == pytest.approx(facts["gmac"], rel=0.05)


@pytest.mark.parametrize("number", cases(SYSTEM))
def test_its_outputs_and_points_are_the_published_ones(number: int) -> None:
    recorded = load(SYSTEM)
    case = recorded["golden"][number]
    model, _ = rebuild(recorded, case["variant"], KIND)
    masked: list[Tensor] = []

    def keep(_module: Any, args: tuple[Tensor]) -> None:
        masked.append(args[0][:, -2:])

    handle = model.get_submodule("coords.3.conv").register_forward_pre_hook(keep)
    probes = case.get("probes", {})
    with torch.no_grad(), watch({n: model.get_submodule(PROBES[n]) for n in probes if n in PROBES}) as seen:
        output = model(crop(case, recorded))
    handle.remove()
    for name, found in seen.items():
        check(found, probes[name], name)
    for stack in (0, 3):
        joined = torch.cat([output.heatmaps[stack], output.maps["boundary"][stack]], dim=1)
        check(joined, case["outputs"][f"heatmaps_stack{stack}"], f"stack {stack}")
    check(masked[0], case["outputs"]["boundary_coords_last"], "coordinates in the boundary")
    if "points" in case:
        facts = case["points"]["argmax_quarter"]
        published = np.reshape(facts["all"], facts["shape"])
        ours = model.decode(output).points.numpy()
        # Published cells are counted from the crop's outer edge.
        assert np.isclose(ours, 4.0 * published - 0.5, atol=1e-3).all(-1).mean() >= 0.99


def test_plain_fan_is_refused_in_one_line() -> None:
    with pytest.raises(FiduciaError, match=r"not a checkpoint of AWing: no tensor 'm0\.coordconv\.conv\.weight'"):
        converters[KIND]({"l0.bias": torch.zeros(68)})
