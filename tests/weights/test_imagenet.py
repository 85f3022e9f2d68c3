from __future__ import annotations

import pytest
import torch

from fiducia.errors import FiduciaError
from fiducia.models import build_model
from fiducia.models.parts.resnet import ResNetTrunk
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


def test_another_network_is_refused_by_name_of_a_tensor() -> None:
    state = classifier()
    state["layer3.0.conv1.weight"] = torch.zeros(256, 128, 1, 1)
    with pytest.raises(FiduciaError, match=r"layer3\.0\.conv1\.weight is \(256, 128, 1, 1\)"):
        converters["resnet18"](state)
    del state["layer3.0.conv1.weight"]
    with pytest.raises(FiduciaError, match=r"lacks layer3\.0\.conv1\.weight"):
        converters["resnet18"](state)
