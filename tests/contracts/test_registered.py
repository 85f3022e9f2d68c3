"""What every registered thing must keep, whatever its name: registering is enrolling here."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from fiducia.data.source import datasets, describe_datasets
from fiducia.detectors.registry import describe_detectors, detectors
from fiducia.heatmaps import decode, decoders, encode
from fiducia.losses import Objective, coord_losses, similarities
from fiducia.models.build import build_model, models
from fiducia.recipes.sections import HeatmapConfig, LossConfig, ModelConfig
from fiducia.schemes.sets import get_scheme, scheme_names
from fiducia.structures import ModelOutput


@pytest.mark.parametrize("name", scheme_names())
def test_a_scheme_mirrors_onto_itself_and_covers_its_points(name: str) -> None:
    scheme = get_scheme(name)
    mirror = np.array(scheme.mirror)
    assert (mirror[mirror] == np.arange(scheme.num_points)).all()
    assert sorted(mirror) == list(range(scheme.num_points))
    assert len(set(scheme.names)) == scheme.num_points
    covered = {i for region in scheme.regions.values() for i in region}
    assert covered == set(range(scheme.num_points))


@pytest.mark.parametrize("name", list(models))
def test_a_network_says_what_the_engine_asks(name: str) -> None:
    with torch.device("meta"):
        model = build_model(ModelConfig(name=name), 7, models[name].size)
    assert model.name == name
    assert model.num_points == 7
    assert model.size == models[name].size
    groups = model.parameter_groups()  # type: ignore[operator]
    assert set(groups) == {"backbone", "backbone_no_decay", "rest", "rest_no_decay"}
    assert sum(len(g) for g in groups.values()) == len(list(model.parameters()))
    output = model.eval()(torch.zeros(2, 3, model.size, model.size, device="meta"))  # type: ignore[arg-type]
    cells = model.size // model.stride  # type: ignore[operator]
    if output.logits is not None:
        assert output.logits.shape == (2, 7, cells, cells)
    else:
        assert output.points.shape == (2, 7, 2)
    assert output.features.shape[:2] == (2, model.feature_channels)


@pytest.mark.parametrize("name", list(decoders))
def test_a_decoder_finds_a_clear_peak_within_a_cell_with_confidence(name: str) -> None:
    xy = torch.tensor([[[20.3, 11.8]]])
    point, confidence = decode(torch.logit(encode(xy, (32, 40)).clamp(1e-12, 1 - 1e-7)), name)
    assert (point - xy).norm() < 0.75
    assert 0.8 < float(confidence) <= 1.0


@pytest.mark.parametrize("name", list(coord_losses))
def test_a_coordinate_loss_is_zero_at_the_truth_with_a_finite_gradient(name: str) -> None:
    truth = torch.rand(9, 2)
    point = truth.clone().requires_grad_()
    value = coord_losses[name](point, truth)
    assert value.shape == (9,)
    value.sum().backward()
    assert float(value.detach().max()) < 1e-5
    assert point.grad is not None
    assert torch.isfinite(point.grad).all()


@pytest.mark.parametrize("name", list(similarities))
def test_a_similarity_survives_a_batch_with_hardly_a_point(name: str) -> None:
    objective = Objective(
        LossConfig(similarity=name, dcca_dim=4), HeatmapConfig(), num_points=3, feature_channels=8, stride=4, size=32
    )
    features = torch.randn(4, 8, 8, 8, requires_grad=True)
    output = ModelOutput(logits=torch.zeros(4, 3, 8, 8, requires_grad=True), points=None, features=features)
    mask = torch.zeros(2, 2, 3, dtype=torch.bool)
    mask[0, :, 1] = True
    xy = torch.full((2, 2, 3, 2), torch.nan)
    xy[0, :, 1] = 16.0
    total, terms = objective(output, xy, mask)
    total.backward()
    assert torch.isfinite(total)
    assert "similarity" in terms
    assert features.grad is None or torch.isfinite(features.grad).all()


def test_what_can_be_listed_can_be_read_by_a_machine() -> None:
    for rows, registry in ((describe_datasets(), datasets), (describe_detectors(), detectors)):
        assert json.loads(json.dumps(rows)) == rows
        assert {row["name"].partition(":")[0] for row in rows} <= {n.partition(":")[0] for n in registry} | {
            "auto",
            "FILE.json",
        }
