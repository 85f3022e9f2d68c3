"""FAN is the published network: names, size, outputs and points, for one to four stacks and both poolings."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from golden import cases, check, load
from rebuild import count_parameters, crop, empty, gmac, rebuild, shapes, variant, variants, watch
from torch import nn

from fiducia.errors import FiduciaError
from fiducia.models.fan import FAN
from fiducia.weights.converters import converters

SYSTEM = "fan"
STEM = {"conv2": "first", "conv3": "second", "conv4": "third"}
DECODERS = {"argmax_quarter": "quarter", "centroid_radius0.1": "centroid"}
STACK = {"m": "hourglass", "top_m_": "top", "bn_end": "norm"}


def kind(name: str) -> str:
    """The pooling is no tensor: the kind of checkpoint says it."""
    return "fan_max" if variant(load(SYSTEM), name)["pooling"] == "max" else "fan"


@pytest.mark.parametrize("name", variants(SYSTEM))
def test_the_converter_takes_every_published_tensor_into_a_network_of_the_same_size(name: str) -> None:
    recorded = load(SYSTEM)
    facts = variant(recorded, name)
    converted = converters[kind(name)](shapes(recorded, name))
    with torch.device("meta"):
        model = empty(converted)
    model.load_state_dict(converted.state, strict=True, assign=True)
    assert converted.num_points == facts["points"]
    assert converted.options["trunk"] == {"stacks": facts["stacks"], "pooling": facts["pooling"]}
    assert count_parameters(model) == facts["params"]


@pytest.mark.parametrize("stacks", [1, 2, 4])
def test_its_multiply_adds_are_the_published_ones(stacks: int) -> None:
    facts = variant(load(SYSTEM), f"fan{stacks}")
    converted = converters["fan"](shapes(load(SYSTEM), f"fan{stacks}"))
    assert gmac(empty(converted), *facts["input"]) == pytest.approx(facts["gmac"], rel=0.01)


def probe(model: FAN, name: str) -> nn.Module:
    """Return our module for a published one's name."""
    if name in STEM:
        return model.trunk.stem.get_submodule(STEM[name])
    published, number = re.fullmatch(r"(.*?)(\d+)", name).groups()  # type: ignore[union-attr]
    return model.trunk.stacks[int(number)].get_submodule(STACK[published])


@pytest.mark.parametrize("number", cases(SYSTEM))
def test_its_outputs_are_the_published_ones(number: int) -> None:
    recorded = load(SYSTEM)
    case = recorded["golden"][number]
    model, _ = rebuild(recorded, case["variant"], kind(case["variant"]))
    assert isinstance(model, FAN)
    probes = case.get("probes", {})
    modules = {name: probe(model, name) for name in probes} | {"stem_features": model.trunk.stem}
    modules |= {f"hg_feature_{i}": s.from_features for i, s in enumerate(model.trunk.stacks) if not s.last}
    with torch.no_grad(), watch(modules) as seen:
        output = model(crop(case, recorded))
        read = {name: model.decode(output, ours).points.numpy() for name, ours in DECODERS.items()}
    for name, facts in probes.items():
        check(seen[name], facts, name)
    heatmaps = {f"heatmaps_stack{i}": maps for i, maps in enumerate(output.heatmaps)}
    found = {**seen, **heatmaps, "heatmaps_last": output.heatmaps[-1]}
    for name, facts in case["outputs"].items():
        check(found[name], facts, name)
    # Published points count from the crop's outer edge in cells; an integer is a pixel's centre here.
    stride = model.size / output.heatmaps[-1].shape[-1]
    for name, facts in case["points"].items():
        published = np.reshape(facts["all"], facts["shape"])
        same = np.isclose(read[name], stride * published - 0.5, atol=2e-3).all(-1)
        assert same.mean() >= 0.99, name


def test_another_networks_file_is_refused_in_one_line() -> None:
    with pytest.raises(FiduciaError, match=r"not a checkpoint of FAN: no tensor 'm0\.b2_plus_1\.conv1\.weight'"):
        converters["fan"]({"fc.weight": torch.zeros(2, 2)})
