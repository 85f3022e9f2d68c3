"""FAN, SH-FAN, SLPT, PFLD and PIPNet at two sizes and with landmark sets large, small and own.

Graphs, groups and whatever else every network keeps are the business of tests/contracts.
"""

from __future__ import annotations

import pytest
import torch

from drawn import batch_of, default_loss, scheme_of
from fiducia.errors import UsageError
from fiducia.models.base import LandmarkModel
from fiducia.models.build import build_model
from networks import crops

# The heatmap networks with little depth and width: their size is the goldens' business.
SMALL = {"trunk": {"stacks": 2, "depth": 2, "channels": 32}}
NETWORKS = {
    "fan": (SMALL, (32, 48)),
    "shfan": (SMALL, (32, 48)),
    "slpt": ({"patches": {"layers": 2}}, (64, 96)),
    "pfld": ({}, (64, 112)),
    "pipnet_r18": ({}, (64, 96)),
}


def network(name: str, scheme: str = "cofw29", size: int | None = None) -> LandmarkModel:
    options, sizes = NETWORKS[name]
    torch.manual_seed(3)
    own = scheme_of(scheme)
    return build_model(name, own.num_points, size or sizes[0], options=options, scheme=own)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("scheme", "which"), [("bare4", 0), ("wflw98", 0), ("ibug68", 1)])
def test_points_are_crop_pixels_of_every_face_and_a_batch_is_its_faces(name: str, scheme: str, which: int) -> None:
    size = NETWORKS[name][1][which]
    model = network(name, scheme, size).eval()
    images = crops(2, size)
    with torch.no_grad():
        both = model.decode(model(images))
        single = [model.decode(model(image[None].float())) for image in images]
    assert both.points.shape == (2, model.num_points, 2)
    assert both.confidence.shape == both.points.shape[:2]
    assert torch.isfinite(both.points).all()
    assert ((both.confidence >= 0) & (both.confidence <= 1)).all()
    torch.testing.assert_close(both.points, torch.cat([p.points for p in single]), atol=1e-2, rtol=1e-3)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("scheme", ["bare4", "ibug68"])
def test_its_own_loss_trains_every_parameter(name: str, scheme: str) -> None:
    own = scheme_of(scheme)
    model = network(name, scheme).train()
    loss = default_loss(model, own, batch_of(own, model.size))
    assert torch.isfinite(loss)
    loss.backward()
    missing = [n for n, p in model.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert not missing
    moved = [n for n, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0]
    still = set(dict(model.named_parameters())) - set(moved)
    if name == "pfld" and scheme == "bare4":  # nobody knows how the head of such a face is turned
        still = {n for n in still if not n.startswith("auxiliary.")}
    # SLPT's first layer starts from zeros: what only weighs them has no gradient yet.
    assert {n for n in still if not n.startswith("relations.layers.0.")} == set()


@pytest.mark.parametrize("name", ["slpt", "pipnet_r18"])
def test_a_trunk_that_takes_imagenet_weights_is_a_group_of_its_own(name: str) -> None:
    model = network(name)
    encoder = model.encoder()
    assert encoder is not None
    trunk = {id(p) for p in encoder.parameters()}
    groups = model.parameter_groups()
    assert {id(p) for g in ("backbone", "backbone_no_decay") for p in groups[g]} == trunk


@pytest.mark.parametrize("name", NETWORKS)
def test_a_size_that_does_not_divide_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(UsageError, match=rf"model {name} at 100 pixels: .*found 100"):
        network(name, size=100)


@pytest.mark.parametrize("name", ["slpt", "pfld"])
def test_a_coordinate_network_has_no_decoder_to_choose(name: str) -> None:
    model = network(name).eval()
    assert model.decoders == ()
    with torch.no_grad():
        output = model(crops(1, model.size))
    with pytest.raises(UsageError, match="there is nothing to choose"):
        model.decode(output, "argmax")
