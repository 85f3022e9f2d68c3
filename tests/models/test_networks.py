from __future__ import annotations

import pytest
import torch

from fiducia.errors import UsageError
from fiducia.models import build_model, count_gmac, count_parameters, describe_models
from fiducia.models.build import models
from fiducia.recipes.sections import ModelConfig

TINY: dict[str, str | int | float | bool | list[int]] = {
    "width": 32,
    "heads": 2,
    "channels": 16,
    "depth": 3,
    "stem_base": 8,
    "refine": 0,
}


def tiny(**options: str | int | bool) -> torch.nn.Module:
    torch.manual_seed(0)
    return build_model(ModelConfig(name="fifa_tiny", options={**TINY, **options}), 5, 64)


def test_the_papers_network_is_within_a_tenth_of_its_budget() -> None:
    rows = {row["name"]: row for row in describe_models(68)}
    assert rows["fifa_base"]["input"] == 512
    assert rows["fifa_base"]["params"] == pytest.approx(109e6, rel=0.1)
    assert rows["fifa_base"]["gmac"] == pytest.approx(140, rel=0.1)
    assert {"fifa_base", "fifa_small", "fifa_tiny", "vit_base"} <= set(rows)
    assert all(isinstance(row["params"], int) for row in rows.values())


def test_counts_agree_with_a_hand_count_of_one_convolution() -> None:
    layer = torch.nn.Conv2d(3, 8, 3, padding=1)
    assert count_parameters(layer) == 3 * 8 * 9 + 8
    assert count_gmac(layer, 10) == pytest.approx(3 * 8 * 9 * 100 / 1e9)


@pytest.mark.parametrize("wiring", ["instream", "lateral", "cascade"])
@pytest.mark.parametrize("stem", ["conv", "patch"])
def test_every_wiring_and_stem_gives_quarter_resolution_maps(wiring: str, stem: str) -> None:
    output = tiny(wiring=wiring, stem=stem)(torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8))
    assert output.logits.shape == (2, 5, 16, 16)
    assert output.features.shape == (2, 16, 16, 16)
    assert output.logits.mean().item() == pytest.approx(-5.0, abs=0.5)


@pytest.mark.parametrize("refine", [8, 16])
def test_a_refinement_halves_the_cell(refine: int) -> None:
    model = tiny(refine=refine)
    output = model(torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8))
    assert model.stride == 2
    assert model.feature_channels == refine
    assert output.logits.shape == (2, 5, 32, 32)
    assert output.features.shape == (2, refine, 32, 32)


def test_weights_keep_their_own_network_when_a_preset_moves_on() -> None:
    options = {**models["fifa_tiny"].options, **TINY}
    del options["refine"]
    config = ModelConfig(name="fifa_tiny", options=options)
    assert build_model(config, 5, 64, preset_options=False).stride == 4
    assert build_model(config, 5, 64).stride == 2


def test_bytes_and_floats_mean_the_same_picture() -> None:
    model = tiny().eval()
    images = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    assert torch.equal(model(images).logits, model(images.float()).logits)


def test_the_gate_starts_closed_so_instream_is_lateral_at_first() -> None:
    torch.manual_seed(0)
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    instream = tiny(wiring="instream").eval()
    lateral = tiny(wiring="lateral").eval()
    lateral.load_state_dict({k: v for k, v in instream.state_dict().items() if not k.startswith("sink.")})
    assert torch.equal(instream(images).logits, lateral(images).logits)
    with torch.no_grad():
        for name, parameter in instream.named_parameters():
            if name.endswith("gate"):
                parameter.fill_(1.0)
    assert not torch.equal(instream(images).logits, lateral(images).logits)


def test_every_parameter_is_in_one_group_and_gets_a_gradient() -> None:
    model = tiny(aux=True)
    groups = model.parameter_groups()  # type: ignore[operator]
    listed = [id(p) for group in groups.values() for p in group]
    assert sorted(listed) == sorted(id(p) for p in model.parameters())
    assert all(p.squeeze().ndim >= 2 for p in groups["rest"] + groups["backbone"])
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("gate"):
                parameter.fill_(0.1)
    output = model(torch.rand(2, 3, 64, 64) * 255)
    (output.logits.square().mean() + sum(a.square().mean() for a in output.aux["logits"])).backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []


def test_a_batch_of_n_is_n_singles() -> None:
    model = tiny().eval()
    images = torch.randint(0, 256, (5, 3, 64, 64), dtype=torch.uint8)
    with torch.inference_mode():
        together = model(images).logits
        singles = torch.cat([model(image[None]).logits for image in images])
    assert torch.allclose(together, singles, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "options", "size", "says"),
    [
        ("fifa_tinny", {}, 128, "did you mean 'fifa_tiny'"),
        ("fifa_tiny", {"chanels": 3}, 128, "did you mean 'channels'"),
        ("fifa_tiny", {}, 100, "size 100"),
        ("fifa_tiny", {"wiring": "sideways"}, 128, "wiring"),
        ("fifa_tiny", {"stem": "patch"}, 128, "refine needs"),
        ("fifa_tiny", {"channels": 30}, 128, "multiples of 4"),
        ("fifa_tiny", {"heads": 5}, 128, "heads"),
    ],
)
def test_wrong_models_are_told_in_one_line(name: str, options: dict, size: int, says: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(UsageError, match=says) as caught:
        build_model(ModelConfig(name=name, options=options), 68, size)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_the_papers_network_does_a_full_siamese_step_at_512() -> None:
    from fiducia.losses import Objective
    from fiducia.recipes.sections import HeatmapConfig, LossConfig

    model = build_model(ModelConfig(name="fifa_base"), 68, 512)
    objective = Objective(
        LossConfig(), HeatmapConfig(), num_points=68, feature_channels=model.feature_channels, stride=4, size=512
    )  # type: ignore[arg-type]
    images = torch.randint(0, 256, (2, 2, 3, 512, 512), dtype=torch.uint8)
    xy = (torch.rand(2, 1, 68, 2) * 400 + 50).expand(2, 2, 68, 2)
    loss, terms = objective(model(images.flatten(0, 1)), xy, torch.ones(2, 2, 68, dtype=torch.bool))
    loss.backward()
    assert torch.isfinite(loss)
    assert {"heatmap", "coord", "similarity", "dcca_shuffled"} <= set(terms)
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.vit.parameters())  # type: ignore[union-attr]


def test_the_vanilla_network_takes_the_small_networks_stem() -> None:
    options: dict[str, str | int | float | bool | list[int]] = {"width": 32, "depth": 3, "heads": 2, "channels": 16}
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    for stem in ("patch", "conv"):
        model = build_model(ModelConfig(name="vit_base", options={**options, "stem": stem, "stem_base": 8}), 5, 64)
        assert model(images).logits.shape == (2, 5, 16, 16)
    assert hasattr(model.vit.patch_embed, "channels")  # type: ignore[union-attr]
