from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
from network_checks import check_batch, check_export, check_gradients, check_groups, check_points
from torch import Tensor, nn

from fiducia.errors import UsageError
from fiducia.models import build_model
from fiducia.models.base import LandmarkModel
from fiducia.models.registry import find_preset, is_family, is_registered, models
from networks import crops


class Pyramid(nn.Module):
    """What timm's ``create_model(..., features_only=True)`` returns, in its interface."""

    def __init__(self, reductions: list[int], size: int | None = None, last: bool = False) -> None:
        super().__init__()
        self.size, self.last = size, last
        self.reductions = reductions
        self.widths = [4 * (i + 1) for i in range(len(reductions))]
        steps = [r // before for before, r in zip([1, *reductions], reductions, strict=False)]
        inputs = [3, *self.widths]
        self.stages = nn.ModuleList(nn.Conv2d(i, o, s, s) for i, o, s in zip(inputs, self.widths, steps, strict=False))
        self.feature_info = SimpleNamespace(channels=lambda: self.widths, reduction=lambda: self.reductions)

    def forward(self, x: Tensor) -> list[Tensor]:
        assert self.size in (None, x.shape[-1]), f"Input height ({x.shape[-1]}) doesn't match model ({self.size})"
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return [m.permute(0, 2, 3, 1) for m in maps] if self.last else maps


def create_model(name: str, features_only: bool, pretrained: bool, **options: int) -> Pyramid:
    assert features_only
    assert not pretrained
    if name == "pyramid":
        if options:
            raise TypeError("unexpected keyword argument 'img_size'")
        return Pyramid([2, 4, 8, 16])
    if name == "plain_vit":
        return Pyramid([16, 16], size=options.get("img_size", 224))
    if name == "swin":
        return Pyramid([4, 8], last=True)
    raise RuntimeError(f"Unknown model ({name})")


@pytest.fixture
def timm(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("timm")
    module.create_model = create_model  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "timm", module)
    torch.manual_seed(0)


def tiny(name: str = "timm:pyramid", size: int = 64, points: int = 5, **options: object) -> LandmarkModel:
    return build_model(name, points, size, options={"channels": 8, **options})


@pytest.mark.usefixtures("timm")
@pytest.mark.parametrize("size", [64, 96])
def test_any_extractor_gets_heatmaps_at_a_quarter_of_the_crop(size: int) -> None:
    model = tiny(size=size)
    output = model.eval()(crops(1, size))
    assert output.heatmaps[0].shape == (1, 5, size // 4, size // 4)
    assert output.heatmaps[0].mean().item() == pytest.approx(-5.0, abs=0.5)
    check_points(model)


@pytest.mark.usefixtures("timm")
def test_it_keeps_what_every_network_keeps() -> None:
    check_batch(tiny())
    check_export(tiny())
    check_groups(tiny())
    check_gradients(tiny())


@pytest.mark.usefixtures("timm")
def test_the_hourglass_head_and_a_transformer_that_must_be_told_its_size() -> None:
    model = tiny("timm:plain_vit", head="hourglass", tell_size=True, scaling="clip")
    check_points(model)
    check_gradients(model)
    filters = [p for name, p in model.named_parameters() if ".ffp." in name]
    kept = {id(p) for p in model.parameter_groups()["rest_no_decay"]}
    assert filters
    assert all(id(p) in kept for p in filters)


@pytest.mark.usefixtures("timm")
def test_maps_that_come_channels_last_are_turned() -> None:
    model = tiny("timm:swin")
    assert model.eval()(crops(1, 64)).heatmaps[0].shape == (1, 5, 16, 16)
    check_gradients(model)


@pytest.mark.usefixtures("timm")
def test_the_name_behind_the_colon_is_the_first_option() -> None:
    entry = find_preset("timm:pyramid")
    assert (entry.name, dict(entry.fixed)) == ("timm:pyramid", {"encoder_name": "pyramid"})
    # A card names all options; a name and an option that contradict each other are an error.
    again = build_model("timm:pyramid", 5, 64, options={"encoder_name": "pyramid", "channels": 8}, preset=False)
    assert again.state_dict().keys() == tiny().state_dict().keys()
    with pytest.raises(UsageError, match="says 'pyramid' already"):
        tiny(encoder_name="plain_vit")


@pytest.mark.usefixtures("timm")
@pytest.mark.parametrize(
    ("name", "tell", "line"),
    [
        ("timm:nothing", False, "Unknown model"),
        ("timm:pyramid", True, "img_size"),
        ("timm:plain_vit", False, r"does not take crops of 64 pixels .*try model\.options\.tell_size = true"),
    ],
)
def test_what_timm_refuses_is_one_line(name: str, tell: bool, line: str) -> None:
    with pytest.raises(UsageError, match=line) as caught:
        tiny(name, tell_size=tell)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("error", [ModuleNotFoundError("No module named 'timm'"), RuntimeError("nms does not exist")])
def test_without_timm_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def refuse(name: str) -> ModuleType:
        raise error

    monkeypatch.setattr("fiducia.models.timm_encoder.importlib.import_module", refuse)
    with pytest.raises(UsageError, match=r"pip install 'fiducia\[timm\]'") as caught:
        tiny("timm:resnet18")
    assert str(error) in str(caught.value)


def test_a_family_alone_is_no_network() -> None:
    with pytest.raises(UsageError, match="needs a name behind the colon"):
        find_preset("timm:")
    with pytest.raises(UsageError, match="no model is called 'tinm:resnet18'"):
        find_preset("tinm:resnet18")
    assert [name for name in models if is_family(name)] == ["timm:"]
    found = {name: is_registered(name) for name in ("timm:", "timm:resnet18", "tinm:resnet18", "farl", "farl:x")}
    assert found == {"timm:": False, "timm:resnet18": True, "tinm:resnet18": False, "farl": True, "farl:x": False}
