"""SLPT is the published network: names, size, the points of every layer and stage."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from golden import cases, check, load, state_dict, written_face
from rebuild import count_parameters, crop, empty, gmac, shapes, variant, variants, watch
from torch import Tensor

from fiducia.errors import FiduciaError
from fiducia.models.slpt import SLPT
from fiducia.weights.converters import converters

SYSTEM = KIND = "slpt"


def start(points: int) -> Tensor:
    """The face that the goldens start from."""
    return torch.from_numpy(written_face(load(SYSTEM)["initial_face"], points).astype(np.float32))


@pytest.mark.parametrize("name", variants(SYSTEM))
def test_the_converter_takes_every_published_tensor_into_a_network_of_the_same_size(name: str) -> None:
    recorded = load(SYSTEM)
    facts, published = variant(recorded, name), shapes(recorded, name)
    converted = converters[KIND](published)
    model = empty(converted)
    model.load_state_dict(converted.state, strict=True)
    assert converted.num_points == facts["points"]
    assert converted.options["patches"]["layers"] == facts["layers"]
    # Registered in the published network, but never used.
    unused = ("feature_norm.weight", "feature_norm.bias")
    assert set(unused) <= set(recorded["parameters_without_effect_on_outputs"])
    assert count_parameters(model) == facts["params"] - sum(published[name].numel() for name in unused)
    assert gmac(model, *facts["input"]) == pytest.approx(facts["gmac"], rel=0.01)


@pytest.mark.parametrize("number", cases(SYSTEM))
def test_its_outputs_are_the_published_ones(number: int) -> None:
    recorded = load(SYSTEM)
    case = recorded["golden"][number]
    points = variant(recorded, case["variant"])["points"]
    tensors = state_dict(recorded, case["variant"]) | {"mean_face": start(points)}
    converted = converters[KIND](tensors)
    model = empty(converted)
    model.load_state_dict(converted.state, strict=True)
    assert isinstance(model.eval(), SLPT)
    modules = {
        "backbone.layer1": model.trunk.layer1,
        "backbone": model.neck,
        "feature_extractor": model.token,
        "Transformer.Transformer_block.layers.0": model.relations.layers[0],
        "Transformer": model.relations,
    }
    with torch.no_grad(), watch(modules, lambda x: torch.stack(x, 1) if isinstance(x, list) else x) as seen:
        output = model(crop(case, recorded))
        prediction = model.decode(output)
    seen["feature_extractor"] = seen["feature_extractor"].flatten(0, 1)[..., None, None]
    first = "Transformer.Transformer_block.layers.0"
    seen[first] = seen[first].transpose(0, 1)
    for name, facts in case.get("probes", {}).items():
        check(seen[name], facts, name)
    layers = len(output.points) // 3
    for stage in range(3):
        found = torch.stack(output.points[stage * layers : (stage + 1) * layers], dim=1) / model.size
        check(found, case["outputs"][f"landmarks_stage{stage + 1}"], f"stage {stage + 1}")
    assert torch.equal(prediction.points, output.points[-1])


def test_another_networks_file_is_refused_in_one_line() -> None:
    with pytest.raises(FiduciaError, match=r"not a checkpoint of SLPT: no tensor 'Transformer\.landmark_query'"):
        converters[KIND]({"fc.weight": torch.zeros(2, 2)})
