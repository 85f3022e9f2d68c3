"""HIH is the published network: names, size, outputs and points."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from golden import cases, check, load
from rebuild import count_parameters, crop, empty, gmac, rebuild, shapes, variant, variants, watch

from fiducia.errors import FiduciaError
from fiducia.weights.converters import converters

SYSTEM = KIND = "hih"
PROBES = {
    "pre_conv.0": "stem.0",
    "pre_conv": "stem",
    "hg0": "stacks.0.hourglass",
    "hg0_lin1": "stacks.0.lin",
    "hg0_conv_pred": "stacks.0.maps",
    "hg3": "stacks.3.hourglass",
    "offset_head.conv1": "decimals.0",
    "offset_head.pool": "decimals.1",
    "offset_head.down_ops": "decimals.3",
}


@pytest.mark.parametrize("name", variants(SYSTEM))
def test_the_converter_takes_every_tensor_that_matters_into_a_network_of_the_same_size(name: str) -> None:
    recorded = load(SYSTEM)
    facts = variant(recorded, name)
    state = shapes(recorded, name)
    converted = converters[KIND](state)
    model = empty(converted)
    model.load_state_dict(converted.state, strict=True)
    unused = {n for n in state if "skip_layer" in n} - {n for n in state if n.startswith(("pre_conv.1", "pre_conv.4"))}
    assert len(converted.state) == len(state) - len(unused)
    assert set(recorded["parameters_without_effect_on_outputs"]) <= unused
    assert converted.num_points == facts["points"]
    assert count_parameters(model) == facts["params_that_matter"]
    assert gmac(model, *facts["input"]) == pytest.approx(facts["gmac"], rel=0.05)


@pytest.mark.parametrize("number", cases(SYSTEM))
def test_its_outputs_and_points_are_the_published_ones(number: int) -> None:
    recorded = load(SYSTEM)
    case = recorded["golden"][number]
    model, _ = rebuild(recorded, case["variant"], KIND)
    probes = case.get("probes", {})
    with torch.no_grad(), watch({n: model.get_submodule(PROBES[n]) for n in probes if n in PROBES}) as seen:
        output = model(crop(case, recorded))
    for name, found in seen.items():
        check(found, probes[name], name)
    check(torch.stack(output.heatmaps, dim=1), case["outputs"]["heatmaps_all_stacks"], "heatmaps")
    check(output.maps["offsets"][-1][:, None], case["outputs"]["offset_maps"], "offset maps")
    if "points" in case:
        published = np.reshape(case["points"]["points_64"]["all"], case["points"]["points_64"]["shape"])
        ours = model.decode(output).points.numpy()
        assert np.isclose(ours, published / 64 * 256, atol=1e-3).all(-1).mean() >= 0.99


def test_another_networks_file_is_refused_in_one_line() -> None:
    with pytest.raises(FiduciaError, match=r"not a checkpoint of HIH: no tensor 'hg0_conv_pred\.bias'"):
        converters[KIND]({"fc.weight": torch.zeros(2, 2)})
