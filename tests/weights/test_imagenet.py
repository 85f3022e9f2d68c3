from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fiducia.errors import FiduciaError, UsageError
from fiducia.models import build_model
from fiducia.models.parts.resnet import ResNetTrunk
from fiducia.weights.backbone import load_backbone
from fiducia.weights.converters import converters


def classifier() -> dict[str, torch.Tensor]:
    state = dict(ResNetTrunk(18).state_dict())
    return {**state, "fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}


def test_a_resnet18_becomes_the_encoder_of_dtld() -> None:
    state = classifier()
    converted = converters["resnet18"]({f"module.{name}": tensor for name, tensor in state.items()})
    encoder = build_model("dtld", 5, 64, options={"width": 16, "heads": 2}).encoder()  # type: ignore[operator]
    encoder.load_state_dict(converted.state)
    assert torch.equal(encoder.layer4[1].conv2.weight, state["layer4.1.conv2.weight"])
    assert converted.num_points == 0


def test_a_file_of_torchvisions_loads_as_the_backbone_of_every_network_on_a_resnet18(tmp_path: Path) -> None:
    state = classifier()
    state["layer1.0.bn1.running_mean"] = torch.full((64,), 0.25)
    old = {name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")}
    file = tmp_path / "resnet18.pth"
    torch.save(old, file)
    for name in ("dtld", "dvit"):
        options = {"width": 16, "heads": 2, **({"channels": 16, "blocks": 1} if name == "dvit" else {})}
        model = build_model(name, 5, 64, options=options)
        assert load_backbone(model, file) == len(old) - 2
        encoder = model.encoder()
        assert encoder is not None
        assert float(encoder.get_buffer("layer1.0.bn1.running_mean")[0]) == 0.25
    with pytest.raises(UsageError, match=r"model\.backbone_weights: this network has no"):
        load_backbone(build_model("propnet", 5, 64, options={"stacks": 2, "channels": 16, "propagation": 8}), file)
    del old["layer4.1.bn2.weight"]
    torch.save(old, file)
    with pytest.raises(FiduciaError, match=r"lacks layer4\.1\.bn2\.weight; expected the encoder's own"):
        load_backbone(model, file)


def test_another_network_is_refused_by_name_of_a_tensor() -> None:
    state = classifier()
    state["layer3.0.conv1.weight"] = torch.zeros(256, 128, 1, 1)
    with pytest.raises(FiduciaError, match=r"layer3\.0\.conv1\.weight is \(256, 128, 1, 1\)"):
        converters["resnet18"](state)
    del state["layer3.0.conv1.weight"]
    with pytest.raises(FiduciaError, match=r"lacks layer3\.0\.conv1\.weight"):
        converters["resnet18"](state)


def test_a_deeper_resnet_is_not_taken_for_a_shallow_one(tmp_path: Path) -> None:
    deeper = dict(ResNetTrunk(34).state_dict())
    with pytest.raises(FiduciaError, match=r"no ResNet-18: it has layer1\.2\.conv1\.weight"):
        converters["resnet18"](deeper)
    torch.save(deeper, tmp_path / "resnet34.pth")
    model = build_model("pipnet_r18", 5, 64)
    with pytest.raises(FiduciaError, match=r"has layer1\.2\.conv1\.weight, which the network's encoder does not have"):
        load_backbone(model, tmp_path / "resnet34.pth")


def test_a_file_older_than_the_norms_counters_converts() -> None:
    old = {name: tensor for name, tensor in classifier().items() if not name.endswith("num_batches_tracked")}
    assert set(converters["resnet18"](old).state) == {name for name in old if not name.startswith("fc.")}
