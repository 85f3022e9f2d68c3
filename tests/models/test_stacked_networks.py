"""HRNet, HIH, AWing, ADNet and STAR at two sizes and with landmark sets large, small and own.

Graphs, groups and whatever else every network keeps are the business of tests/contracts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from drawn import batch_of, default_loss, scheme_of
from fiducia.errors import UsageError
from fiducia.heatmaps.encode import encode
from fiducia.losses.hih import decimal_targets, integer_targets
from fiducia.models.base import LandmarkModel
from fiducia.models.build import build_model
from fiducia.schemes.sets import Scheme, scheme_from_table
from fiducia.structures import ModelOutput
from fiducia.weights.backbone import load_backbone
from networks import crops

# Narrow and short networks: the published sizes are the goldens' business.
STACKS = {"stacks": 2, "channels": 32}
NETWORKS: dict[str, dict[str, Any]] = {
    "hrnet_w18": {"widths": (8, 8, 8, 8), "modules": (1, 1, 1), "blocks": 1},
    "hih": STACKS,
    "awing": STACKS,
    "adnet": STACKS,
    "star": STACKS,
}
MUZZLE = scheme_from_table({"name": "muzzle4", "points": 4, "mirror": [[0, 1]], "edges": [[0, 2, 1], [2, 3]]})


def own_scheme(name: str) -> Scheme:
    return MUZZLE if name == "muzzle4" else scheme_of(name)


def network(name: str, scheme: str = "muzzle4", size: int = 64, **options: Any) -> LandmarkModel:
    torch.manual_seed(3)
    own = own_scheme(scheme)
    return build_model(name, own.num_points, size, options={**NETWORKS[name], **options}, scheme=own)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(
    ("scheme", "size"), [("muzzle4", 64), ("wflw98", 64), ("ibug68", 128), ("cofw29", 64), ("bare4", 64)]
)
def test_outputs_and_points_of_every_face_and_a_batch_is_its_faces(name: str, scheme: str, size: int) -> None:
    model = network(name, scheme, size).eval()
    images = crops(2, size)
    with torch.no_grad():
        output = model(images)
        both = model.decode(output)
        single = [model.decode(model(image[None].float())) for image in images]
    assert all(maps.shape == (2, model.num_points, size // 4, size // 4) for maps in output.heatmaps)
    assert output.features is not None
    assert output.features.shape[-2:] == (size // 4, size // 4)
    assert both.points.shape == (2, model.num_points, 2)
    assert both.confidence.shape == both.points.shape[:2]
    assert torch.isfinite(both.points).all()
    assert ((both.confidence >= 0) & (both.confidence <= 1)).all()
    torch.testing.assert_close(both.points, torch.cat([p.points for p in single]), atol=1e-2, rtol=1e-3)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("scheme", ["muzzle4", "bare4", "ibug68"])
def test_its_own_loss_trains_every_parameter(name: str, scheme: str) -> None:
    own = own_scheme(scheme)
    model = network(name, scheme).train()
    loss = default_loss(model, own, batch_of(own, 64))
    assert torch.isfinite(loss)
    loss.backward()
    still = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not still
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_size_that_does_not_divide_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(UsageError, match=rf"model {name} at 100 pixels: .*found 100"):
        network(name, size=100)


@pytest.mark.parametrize("name", NETWORKS)
def test_half_precision_gives_nearly_the_same_points(name: str) -> None:
    model = network(name).eval()
    images = crops(1, 64)
    with torch.no_grad():
        whole = model(images)
        with torch.autocast("cpu", torch.bfloat16):
            half = model(images)
            found = model.decode(half)
    assert torch.isfinite(found.points).all()
    maps, rough = whole.heatmaps[-1], half.heatmaps[-1].float()
    assert (maps - rough).abs().mean() < 0.1 * maps.std() + 1e-3
    if whole.points:
        assert half.points[-1].dtype == torch.float32
        assert (whole.points[-1] - half.points[-1]).abs().max() < 1.0


@pytest.mark.parametrize("name", ["hrnet_w18", "awing"])
def test_drawn_heatmaps_are_read_within_a_quarter_of_a_cell(name: str) -> None:
    model = network(name)
    xy = 24 + 14 * torch.rand(2, 4, 2)
    output = ModelOutput(heatmaps=[encode((xy + 0.5) / 4 - 0.5, (16, 16))], linear=True)
    assert model.decoders[0] == "quarter"
    assert (model.decode(output).points - xy).abs().max() < 4 * 0.26
    assert (model.decode(output, "dark").points - xy).abs().max() < 4 * 0.26
    assert (model.decode(output).confidence > 0.8).all()


def test_published_hrnet_puts_a_point_without_evidence_beside_the_crop() -> None:
    maps = encode(torch.tensor([[[3.0, 5.0]] * 4]), (16, 16))
    maps[:, 1] = -1.0
    output = ModelOutput(heatmaps=[maps], linear=True)
    ours, published = (
        network("hrnet_w18", pixels={"rule": rule}).decode(output).points for rule in ("cells", "published")
    )
    assert published[0, 1].tolist() == [-2.5, -2.5]
    torch.testing.assert_close(ours[:, [0, 2, 3]], published[:, [0, 2, 3]])


@pytest.mark.parametrize("rule", ["cells", "published"])
def test_hih_reads_back_the_two_maps_that_its_loss_draws(rule: str) -> None:
    model = network("hih", pixels={"rule": rule})
    xy = 4 + 54 * torch.rand(2, 4, 2)
    # 64 pixels, 16 cells of 8 parts: half a pixel a part, so a quarter of a pixel is the best that can be read.
    places = xy / 4 if rule == "published" else (xy + 0.5) / 4
    decimals = 8 * (places - places.floor()) - (0.0 if rule == "published" else 0.5)
    inner = decimal_targets(decimals, 8)
    output = ModelOutput(heatmaps=[integer_targets(places + 0.0, 16)], linear=True, maps={"offsets": [inner]})
    far = (places < 5).any(-1) | (inner.amax((-2, -1)) < 1)  # the published corner's quirk, and parts beyond the map
    error = (model.decode(output).points - xy).abs().amax(-1)
    assert (~far).sum() >= 3
    assert error[~far].max() <= 0.25 + 1e-4
    assert model.default_loss()["hih"]["rule"] == rule


def test_hih_without_evidence_reads_the_first_cell() -> None:
    output = ModelOutput(heatmaps=[-torch.ones(1, 4, 16, 16)], linear=True, maps={"offsets": [-torch.ones(1, 4, 8, 8)]})
    found = network("hih", pixels={"rule": "published"}).decode(output)
    assert found.points.abs().max() == 0.0
    assert found.confidence.max() == 0.0


def test_the_boundary_is_part_of_the_loss_where_the_landmark_set_has_edges() -> None:
    assert set(network("awing", "muzzle4").default_loss()) == {"heatmap", "boundary"}
    assert set(network("awing", "bare4").default_loss()) == {"heatmap"}


def test_hrnets_trunk_takes_imagenet_weights_from_a_file(tmp_path: Path) -> None:
    source, model = network("hrnet_w18"), network("hrnet_w18")
    file = tmp_path / "imagenet.safetensors"
    tensors = {name: torch.randn_like(t.float()) for name, t in source.get_submodule("trunk").state_dict().items()}
    save_file({**tensors, "classifier.weight": torch.zeros(3, 3)}, file)
    load_backbone(model, file)
    assert torch.equal(model.get_parameter("trunk.conv1.weight"), tensors["conv1.weight"])
    groups = model.parameter_groups()
    assert len(groups["backbone"]) + len(groups["backbone_no_decay"]) == len(
        list(source.get_submodule("trunk").parameters())
    )
