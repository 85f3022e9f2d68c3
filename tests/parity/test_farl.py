"""FaRL against its golden: names, counts, outputs, and the resizing of the position embedding."""

from __future__ import annotations

import golden
import pytest
import torch

from fiducia.models import build_model
from fiducia.models.count import count_gmac, count_parameters
from fiducia.models.parts.vit import resize_position
from fiducia.weights.converters import converters


def _runs(kind: str) -> list[int]:
    """Return the numbers of the golden cases that run a network, or of those that resize an embedding."""
    numbers = golden.cases("farl")
    records = golden.load("farl")["golden"] if numbers else []
    return [i for i in numbers if ("input_shape" in records[i]) == (kind == "network")]


def test_every_variant_converts_and_has_the_published_number_of_parameters() -> None:
    record = golden.load("farl")
    for variant in record["variants"]:
        state = {name: torch.empty(shape, device="meta") for name, shape, *_ in golden.entries(record, variant["name"])}
        converted = converters["farl"](state)
        with torch.device("meta"):
            model = build_model(converted.model, converted.num_points, converted.size, options=converted.options)
        model.load_state_dict(converted.state)
        assert converted.num_points == variant["points"]
        assert converted.size == variant["input"][-1]
        assert count_parameters(model) == variant["params_that_matter"]
        if "gmac" in variant:
            assert count_gmac(model, converted.size) == pytest.approx(variant["gmac"], rel=0.01)


@pytest.mark.parametrize("case", _runs("network"))
def test_outputs_are_those_of_the_published_network(case: int) -> None:
    record = golden.load("farl")
    expected = record["golden"][case]
    converted = converters["farl"](golden.state_dict(record, expected["variant"]))
    model = build_model(converted.model, converted.num_points, converted.size, options=converted.options).eval()
    model.load_state_dict(converted.state)
    crops = torch.from_numpy(golden.image(expected["input_shape"], record["fill"]["image_seed"])) * 255
    with torch.no_grad():
        output = model(crops)
        points = model.decode(output).points
    golden.check(output.heatmaps[-1], expected["outputs"]["heatmap_logits"], "logits")
    golden.check((points + 0.5) / converted.size, expected["outputs"]["landmarks"], "points")


@pytest.mark.parametrize("case", _runs("embedding"))
def test_position_embeddings_are_resized_as_published(case: int) -> None:
    record = golden.load("farl")
    expected = record["golden"][case]
    table = torch.from_numpy(golden.fill(0, "pe", (197, 768), record["fill"]["seed"], 1.0)).float()
    side = round((expected["outputs"]["resized"]["shape"][0] - 1) ** 0.5)
    golden.check(resize_position(table[None], side)[0], expected["outputs"]["resized"], "position embedding")
