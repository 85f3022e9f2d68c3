"""FiFANet and the vanilla ViT: sizes, wirings, and what they refuse. What every network keeps is in tests/contracts."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from fiducia.errors import UsageError
from fiducia.models import build_model, models
from fiducia.models.count import count_gmac, count_parameters, describe_models
from fiducia.models.parts.spectral import FFParser
from fiducia.models.registry import is_family
from networks import crops, lively, small, small_options

COARSE: dict[str, Any] = {"head": {"refine": 0}}


def test_the_papers_network_is_within_a_tenth_of_its_budget() -> None:
    rows = {row["name"]: row for row in describe_models(68)}
    assert rows["fifa_base"]["input"] == 512
    assert rows["fifa_base"]["params"] == pytest.approx(109e6, rel=0.1)
    assert rows["fifa_base"]["gmac"] == pytest.approx(140, rel=0.1)
    assert {"fifa_base", "fifa_small", "fifa_tiny", "vit_base"} <= set(rows)
    assert all(isinstance(row["params"], int) for name, row in rows.items() if not is_family(name))


def test_counts_agree_with_a_hand_count_of_one_convolution() -> None:
    layer = torch.nn.Conv2d(3, 8, 3, padding=1)
    assert count_parameters(layer) == 3 * 8 * 9 + 8
    assert count_gmac(layer, 10) == pytest.approx(3 * 8 * 9 * 100 / 1e9)


@pytest.mark.parametrize("wiring", ["instream", "lateral", "cascade"])
@pytest.mark.parametrize("stem", ["conv", "patch"])
def test_every_wiring_and_stem_gives_quarter_resolution_maps(wiring: str, stem: str) -> None:
    model = small(hourglass={"wiring": wiring}, backbone={"stem": stem}, **COARSE)
    output = model(crops())
    assert output.heatmaps[-1].shape == (2, 5, 16, 16)
    assert output.features.shape == (2, 16, 16, 16)
    assert not output.linear
    assert output.heatmaps[-1].mean().item() == pytest.approx(-5.0, abs=0.5)


@pytest.mark.parametrize("refine", [8, 16])
def test_a_refinement_halves_the_cell(refine: int) -> None:
    output = small(head={"refine": refine})(crops())
    assert output.heatmaps[-1].shape == (2, 5, 32, 32)
    assert output.features.shape == (2, refine, 32, 32)


def test_heads_on_every_hourglass_are_earlier_stages() -> None:
    stages = small(head={"aux": True, "refine": 16})(crops()).heatmaps
    assert [tuple(stage.shape) for stage in stages] == [(2, 5, 16, 16)] * 3 + [(2, 5, 32, 32)]


def test_weights_keep_their_own_network_when_a_preset_moves_on() -> None:
    options = small_options()
    del options["head"]
    kept, renewed = (build_model("fifa_tiny", 5, 64, options=options, preset=preset) for preset in (False, True))
    assert "refine" in models["fifa_tiny"].options["head"]
    assert [m(crops()).heatmaps[-1].shape[-1] for m in (kept, renewed)] == [16, 32]


def test_bytes_and_floats_mean_the_same_picture() -> None:
    model, images = small().eval(), crops(1)
    assert torch.equal(model(images).heatmaps[-1], model(images.float()).heatmaps[-1])


def test_the_gate_starts_closed_so_instream_is_lateral_at_first() -> None:
    images = crops()
    instream = small(hourglass={"wiring": "instream"}).eval()
    lateral = small(hourglass={"wiring": "lateral"}).eval()
    lateral.load_state_dict({k: v for k, v in instream.state_dict().items() if not k.startswith("sink.")})
    assert torch.equal(instream(images).heatmaps[-1], lateral(images).heatmaps[-1])
    with torch.no_grad():
        for name, parameter in instream.named_parameters():
            if name.endswith("gate"):
                parameter.fill_(1.0)
    assert not torch.equal(instream(images).heatmaps[-1], lateral(images).heatmaps[-1])


def test_intermediate_heads_learn_by_their_own_loss_and_filters_take_no_decay() -> None:
    model = lively(small(head={"aux": True}, hourglass={"wiring": "instream"}))
    groups = model.parameter_groups()
    # The backbone's groups say their block, by which layer-wise decay counts.
    assert {name.partition("@")[0] for name in groups} == {"backbone", "backbone_no_decay", "rest", "rest_no_decay"}
    decaying = [p for name, group in groups.items() if "no_decay" not in name for p in group]
    assert all(p.squeeze().ndim >= 2 for p in decaying)
    free = {id(p) for p in groups["rest_no_decay"]}
    assert all(id(m.weight) in free for m in model.modules() if isinstance(m, FFParser))
    sum(stage.square().mean() for stage in model(crops()).heatmaps).backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize(
    ("name", "options", "size", "says"),
    [
        ("fifa_tinny", {}, 128, "did you mean 'fifa_tiny'"),
        ("fifa_tiny", {"hourglas": {}}, 128, "did you mean 'hourglass'"),
        ("fifa_tiny", {"hourglass": {"chanels": 3}}, 128, "did you mean 'channels'"),
        ("fifa_tiny", {"hourglass": 3}, 128, "expects a table of options; found 3"),
        ("fifa_tiny", {}, 100, "size 100"),
        ("fifa_tiny", {"hourglass": {"wiring": "sideways"}}, 128, r"model\.options\.hourglass\.wiring"),
        ("fifa_tiny", {"backbone": {"width": "wide"}}, 128, r"model\.options\.backbone\.width: .*found 'wide'"),
        ("fifa_tiny", {"backbone": {"stem": "patch"}}, 128, "refine needs"),
        ("fifa_tiny", {"hourglass": {"channels": 30}}, 128, "multiples of 4"),
        ("fifa_tiny", {"backbone": {"heads": 5}}, 128, "heads"),
        ("fifa_tiny", {"norm": "layer"}, 128, "norm = 'layer' is not a choice"),
        ("fifa_tiny", {"channels": 32}, 128, r"model\.options\.channels is now model\.options\.hourglass\.channels"),
        ("vit_base", {"chanels": 3}, 128, "did you mean 'channels'"),
    ],
)
def test_wrong_models_are_told_in_one_line(name: str, options: dict[str, Any], size: int, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        build_model(name, 68, size, options=options)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_the_papers_network_does_a_full_siamese_step() -> None:
    """All of its 109 million parameters, on small crops; what it gives at 512 pixels is told on a device that computes nothing."""
    from fiducia.recipes.sections import Recipe
    from fiducia.schemes.sets import get_scheme
    from fiducia.structures import Batch
    from fiducia.training.setup import build_network, build_objective, resolve

    recipe, scheme = (
        resolve(Recipe.model_validate({"model": {"name": "fifa_base"}, "data": {"size": 128}})),
        get_scheme("ibug68"),
    )
    model = build_network(recipe, scheme)
    objective = build_objective(recipe, scheme, model)
    images = torch.randint(0, 256, (2, 2, 3, 128, 128), dtype=torch.uint8)
    batch = Batch(
        images=images,
        xy=(torch.rand(2, 1, 68, 2) * 100 + 12).expand(2, 2, 68, 2),
        visible=torch.full((2, 2, 68), 2, dtype=torch.int8),
        mask=torch.ones(2, 2, 68, dtype=torch.bool),
        to_image=torch.zeros(2, 2, 2, 3, dtype=torch.float64),
        mirrored=torch.zeros(2, 2, dtype=torch.bool),
        index=torch.arange(2),
    )
    loss, terms = objective(model(images.flatten(0, 1)), batch)
    loss.backward()
    assert torch.isfinite(loss)
    assert {"heatmap", "coord", "similarity", "dcca_shuffled"} <= set(terms)
    vit = model.encoder()
    assert vit is not None
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in vit.parameters())
    with torch.device("meta"):
        large = build_model("fifa_base", 68).eval()(torch.zeros(1, 3, 512, 512, dtype=torch.uint8))
    assert large.heatmaps[-1].shape == (1, 68, 128, 128)


@pytest.mark.parametrize("stem", ["patch", "conv"])
def test_the_vanilla_network_takes_the_small_networks_stem(stem: str) -> None:
    model = small("vit_base", stem=stem, stem_base=8)
    assert model(crops()).heatmaps[-1].shape == (2, 5, 16, 16)
    # Only a patch embedding has published weights to load.
    assert (model.encoder() is not None) == (stem == "patch")
