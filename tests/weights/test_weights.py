from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from fiducia.weights.files import (
    WeightCard,
    average_weights,
    init_from,
    load_card,
    load_weights,
    pack_weights,
    save_weights,
)
from safetensors.torch import save_file

from fiducia.errors import FiduciaError, UsageError
from fiducia.models.build import build_model, models
from fiducia.models.parts.vit import resize_position
from fiducia.recipes.sections import ModelConfig
from fiducia.weights.backbone import convert_backbone, load_backbone, to_timm_names

OPTIONS: dict[str, str | int | float | bool | list[int]] = {
    "width": 32,
    "heads": 2,
    "channels": 16,
    "depth": 3,
    "stem_base": 8,
}


def network(points: int = 5, **more: str | int) -> torch.nn.Module:
    return build_model(ModelConfig(name="fifa_tiny", options={**OPTIONS, **more}), points, 64)


def card(points: int = 5) -> WeightCard:
    return WeightCard(
        name="t",
        model="fifa_tiny",
        options={**models["fifa_tiny"].options, **OPTIONS},
        scheme="five",
        num_points=points,
        size=64,
    )


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "t.safetensors"
    save_weights(path, network().state_dict(), card())
    return path


def test_a_saved_network_comes_back_the_same(tmp_path: Path) -> None:
    model = network().eval()
    path = tmp_path / "m.safetensors"
    save_weights(path, model.state_dict(), card())
    again, read = load_weights(path)
    images = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    assert torch.equal(model(images).logits, again(images).logits)
    assert read.scheme == "five"
    assert len(read.sha256) == 64
    assert not list(tmp_path.glob(".*"))


def test_half_precision_halves_the_file(tmp_path: Path) -> None:
    model = network()
    save_weights(tmp_path / "full.safetensors", model.state_dict(), card())
    save_weights(tmp_path / "half.safetensors", model.state_dict(), card(), half=True)
    full, half = ((tmp_path / f"{n}.safetensors").stat().st_size for n in ("full", "half"))
    assert half < 0.6 * full
    again, _ = load_weights(tmp_path / "half.safetensors")
    assert all(p.dtype == torch.float32 for p in again.parameters())


def test_packing_keeps_the_network_and_takes_numbers_and_the_digest_knows_only_tensors(
    tmp_path: Path, saved: Path
) -> None:
    rows = [{"data": "d", "split": "s", "faces": 3, "metric": "nme_ic", "value": 1.0}]
    first = pack_weights(saved, tmp_path / "a.safetensors", name="mine", numbers=[])
    second = pack_weights(tmp_path / "a.safetensors", tmp_path / "b.safetensors", name="mine", numbers=rows, notes="n")
    assert (second.name, second.numbers, second.notes) == ("mine", rows, "n")
    assert first.sha256 == second.sha256 != load_card(saved).sha256
    images = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    whole, half = (load_weights(p)[0](images).logits for p in (saved, tmp_path / "b.safetensors"))
    assert torch.allclose(whole, half, atol=0.05)


def test_a_run_directory_stands_for_its_averaged_weights(tmp_path: Path) -> None:
    save_weights(tmp_path / "weights" / "ema.safetensors", network().state_dict(), card())
    assert load_card(tmp_path).name == "t"
    with pytest.raises(UsageError, match="has it finished"):
        load_card(tmp_path / "weights")


def test_damaged_pickled_and_foreign_files_are_refused(tmp_path: Path, saved: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "touched",))  # type: ignore[return-value]

    whole = saved.read_bytes()
    cases = {
        "empty.safetensors": b"",
        "torn.safetensors": whole[: len(whole) // 2],
        "words.safetensors": b"not weights at all, but quite long enough to have a header",
        "evil.safetensors": pickle.dumps(Evil()),
    }
    for name, content in cases.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(FiduciaError, match=name) as caught:
            load_weights(path)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "touched").exists()
    bare = tmp_path / "bare.safetensors"
    save_file({"x": torch.zeros(1)}, bare)
    with pytest.raises(FiduciaError, match="without a fiducia card"):
        load_weights(bare)


def test_tensors_that_do_not_fit_or_are_not_finite_are_told(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, network(points=6).state_dict(), card(points=5))
    with pytest.raises(FiduciaError, match="does not fit"):
        load_weights(path)
    state = network().state_dict()
    state["head.bias"] = torch.full_like(state["head.bias"], float("nan"))
    save_weights(path, state, card())
    with pytest.raises(FiduciaError, match=r"head\.bias is not finite"):
        load_weights(path)


def test_unknown_names_are_told() -> None:
    with pytest.raises(UsageError, match="neither a weight file nor"):
        load_weights("no_such_weights")


def test_init_from_another_landmark_count_keeps_all_but_the_head(saved: Path) -> None:
    torch.manual_seed(1)
    other = network(points=9)
    before = other.head.weight.clone()  # type: ignore[union-attr]
    assert init_from(other, saved) == ["head.bias", "head.weight"]
    assert torch.equal(other.head.weight, before)  # type: ignore[union-attr]
    source, _ = load_weights(saved)
    assert torch.equal(other.state_dict()["join.0.0.weight"], source.state_dict()["join.0.0.weight"])


def test_init_from_another_network_is_refused(saved: Path) -> None:
    with pytest.raises(UsageError, match="take the same width"):
        init_from(network(channels=24), saved)


def test_an_average_lies_between_and_keeps_the_card(saved: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    torch.manual_seed(5)
    save_weights(other, network().state_dict(), card())
    done = average_weights([saved, other, other], tmp_path / "mean.safetensors")
    assert (done.which, done.num_points, done.numbers) == ("average", 5, [])
    first, second, mean = (load_weights(p)[0].state_dict() for p in (saved, other, tmp_path / "mean.safetensors"))
    for key, value in mean.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, (first[key] + 2 * second[key]) / 3)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"scale": 0.9}, "scale is 0.9"), ({"num_points": 9}, "num_points is 9"), ({"size": 128}, "size is 128")],
)
def test_an_average_of_different_networks_is_refused(
    saved: Path, tmp_path: Path, change: dict[str, float], words: str
) -> None:
    other = tmp_path / "other.safetensors"
    save_weights(other, network().state_dict(), card().model_copy(update=change))
    with pytest.raises(UsageError, match=words):
        average_weights([saved, other], tmp_path / "mean.safetensors")
    with pytest.raises(UsageError, match="two weights or more"):
        average_weights([saved], tmp_path / "mean.safetensors")
    assert not (tmp_path / "mean.safetensors").exists()


def clip_state(width: int = 32, depth: int = 3, grid: int = 2) -> dict[str, torch.Tensor]:
    g = torch.Generator().manual_seed(3)
    state = {
        "visual.conv1.weight": torch.randn(width, 3, 16, 16, generator=g),
        "visual.class_embedding": torch.randn(width, generator=g),
        "visual.positional_embedding": torch.randn(grid * grid + 1, width, generator=g),
        "visual.ln_pre.weight": torch.randn(width, generator=g),
        "visual.ln_pre.bias": torch.randn(width, generator=g),
        "visual.proj": torch.randn(width, 7, generator=g),
        "token_embedding.weight": torch.randn(11, 7, generator=g),
    }
    for i in range(depth):
        p = f"visual.transformer.resblocks.{i}."
        for name, shape in (
            ("ln_1.weight", (width,)),
            ("ln_1.bias", (width,)),
            ("ln_2.weight", (width,)),
            ("ln_2.bias", (width,)),
            ("attn.in_proj_weight", (3 * width, width)),
            ("attn.in_proj_bias", (3 * width,)),
            ("attn.out_proj.weight", (width, width)),
            ("attn.out_proj.bias", (width,)),
            ("mlp.c_fc.weight", (4 * width, width)),
            ("mlp.c_fc.bias", (4 * width,)),
            ("mlp.c_proj.weight", (width, 4 * width)),
            ("mlp.c_proj.bias", (width,)),
        ):
            state[p + name] = torch.randn(shape, generator=g) * 0.1
    return state


def test_clip_and_farl_keys_load_into_the_vit(tmp_path: Path) -> None:
    state = clip_state()
    path = tmp_path / "farl.pth"
    torch.save({"state_dict": state}, path)
    model = build_model(
        ModelConfig(
            name="fifa_base", options={"width": 32, "heads": 2, "depth": 3, "channels": 16, "hourglass_depth": 2}
        ),
        5,
        64,
    )
    load_backbone(model, path)
    vit = model.vit
    assert torch.equal(vit.blocks[1].attn.qkv.weight, state["visual.transformer.resblocks.1.attn.in_proj_weight"])  # type: ignore[union-attr,index]
    assert vit.pos_embed.shape == (1, 17, 32)  # type: ignore[union-attr]
    assert torch.equal(vit.pos_embed[0, 0], state["visual.positional_embedding"][0])  # type: ignore[union-attr,index]
    converted = tmp_path / "farl.safetensors"
    assert convert_backbone(path, converted) == 5 + 3 * 12
    again = build_model(
        ModelConfig(
            name="fifa_base",
            options={"width": 32, "heads": 2, "depth": 3, "channels": 16, "hourglass_depth": 2},
            backbone_weights=converted,
        ),
        5,
        64,
    )
    assert torch.equal(again.vit.pos_embed, vit.pos_embed)  # type: ignore[union-attr]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("plain", [False, True])
def test_a_pickle_that_would_run_code_is_refused_as_a_backbone(plain: bool, tmp_path: Path) -> None:
    path = tmp_path / "evil.pth"
    if plain:  # torch has a remark on the protocol of such files, which is no user's business
        path.write_bytes(pickle.dumps({"x": Path("a")}, protocol=4))
    else:
        torch.save({"x": Path("a")}, path)
    with pytest.raises(FiduciaError, match=r"evil\.pth: not a readable state dict \(a pickle of more than tensors\)"):
        convert_backbone(path, tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def test_a_backbone_of_another_width_or_for_another_network_is_told(tmp_path: Path) -> None:
    path = tmp_path / "clip.pth"
    torch.save(clip_state(width=48), path)
    with pytest.raises(FiduciaError, match="network's is"):
        build_model(
            ModelConfig(
                name="fifa_base", options={"width": 32, "heads": 2, "depth": 3, "channels": 16}, backbone_weights=path
            ),
            5,
            128,
        )
    with pytest.raises(UsageError, match="no ViT with a patch embedding"):
        load_backbone(network(), path)


def test_timm_names_pass_through() -> None:
    assert set(to_timm_names({"blocks.0.norm1.weight": torch.zeros(2), "head.weight": torch.zeros(2)})) == {
        "blocks.0.norm1.weight"
    }


def test_position_embeddings_resize_without_antialiasing_and_keep_the_class_token() -> None:
    position = torch.randn(1, 1 + 14 * 14, 8)
    small = resize_position(position, 7)
    grid = position[:, 1:].reshape(1, 14, 14, 8).permute(0, 3, 1, 2)
    expected = torch.nn.functional.interpolate(grid, (7, 7), mode="bicubic", align_corners=False, antialias=False)
    assert torch.equal(small[:, 0], position[:, 0])
    assert torch.allclose(small[:, 1:], expected.permute(0, 2, 3, 1).reshape(1, 49, 8))
    assert resize_position(position, 14) is position
