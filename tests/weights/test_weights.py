from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from fiducia.errors import FiduciaError, UsageError
from fiducia.models import LandmarkModel
from fiducia.models.parts.vit import resize_position
from fiducia.schemes.sets import former_names, get_scheme
from fiducia.weights.backbone import convert_backbone, load_backbone, to_timm_names
from fiducia.weights.card import WeightCard, card_scheme
from fiducia.weights.store import load_card, load_weights, read_weights, save_weights
from fiducia.weights.transfer import average_weights, init_from, pack_weights
from networks import crops, lively, small, small_card, small_options, write_small


def same_maps(a: LandmarkModel, b: LandmarkModel) -> bool:
    images = crops(1)
    return torch.equal(a.eval()(images).heatmaps[-1], b.eval()(images).heatmaps[-1])


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return write_small(tmp_path / "t.safetensors", small(seed=1))


def test_a_saved_network_comes_back_the_same(tmp_path: Path) -> None:
    model = lively(small())
    again, read = load_weights(write_small(tmp_path / "m.safetensors", model))
    assert same_maps(model, again)
    assert read.scheme == "five"
    assert len(read.sha256) == 64
    assert not list(tmp_path.glob(".*"))


def test_half_precision_halves_the_file(tmp_path: Path) -> None:
    model = small()
    save_weights(tmp_path / "full.safetensors", model.state_dict(), small_card())
    save_weights(tmp_path / "half.safetensors", model.state_dict(), small_card(), half=True)
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
    whole, half = (load_weights(p)[0](crops(1)).heatmaps[-1] for p in (saved, tmp_path / "b.safetensors"))
    assert torch.allclose(whole, half, atol=0.05)


def test_a_run_directory_stands_for_its_averaged_weights(tmp_path: Path) -> None:
    save_weights(tmp_path / "weights" / "ema.safetensors", small().state_dict(), small_card())
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
    with pytest.raises(FiduciaError, match="without a model card"):
        load_weights(bare)


def test_tensors_that_do_not_fit_or_are_not_finite_are_told(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, small(points=6).state_dict(), small_card(points=5))
    with pytest.raises(FiduciaError, match="does not fit"):
        load_weights(path)
    state = small().state_dict()
    state["head.bias"] = torch.full_like(state["head.bias"], float("nan"))
    save_weights(path, state, small_card())
    with pytest.raises(FiduciaError, match=r"head\.bias is not finite"):
        load_weights(path)


def test_unknown_names_are_told() -> None:
    with pytest.raises(UsageError, match="neither a weight file nor"):
        load_weights("no_such_weights")


def test_init_from_another_landmark_count_keeps_all_but_the_head(saved: Path) -> None:
    other = small(points=9, seed=2)
    before = other.state_dict()["head.weight"].clone()
    new = init_from(other, saved, kind="fifa_tiny", twin=lambda scheme: small(points=scheme.num_points, seed=None))
    assert new == ["head.bias", "head.weight"]
    assert torch.equal(other.state_dict()["head.weight"], before)
    source, _ = load_weights(saved)
    assert torch.equal(other.state_dict()["join.0.0.weight"], source.state_dict()["join.0.0.weight"])


def test_init_from_another_network_is_refused(saved: Path) -> None:
    with pytest.raises(UsageError, match="take the same width"):
        init_from(small(hourglass={"channels": 24}), saved)


def test_an_average_lies_between_and_keeps_the_card(saved: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    write_small(other, small(seed=5))
    done = average_weights([saved, other, other], tmp_path / "mean.safetensors")
    assert (done.which, done.num_points, done.numbers) == ("average", 5, [])
    first, second, mean = (load_weights(p)[0].state_dict() for p in (saved, other, tmp_path / "mean.safetensors"))
    for key, value in mean.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, (first[key] + 2 * second[key]) / 3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scale": 0.9}, "scale is 0.9, that of .* 0.8; only weights of one network"),
        ({"points": 9, "scheme": "nine"}, "num_points is 9, that of .* 5; "),
        ({"size": 128}, "size is 128, that of .* 64; "),
        ({"flip": True, "mirror_bias": 0.01}, "mirror_bias is 0.01"),
        ({"decode": "dark"}, "decode is 'dark'"),
    ],
)
def test_an_average_of_different_networks_is_refused(
    saved: Path, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    network = small(points=change.get("points", 5), size=change.get("size"))
    other = write_small(tmp_path / "other.safetensors", network, **change)
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
    model = small("fifa_base")
    assert load_backbone(model, path) == 5 + 3 * 12
    vit = model.encoder()
    assert vit is not None
    loaded = vit.state_dict()
    name = "visual.transformer.resblocks.1.attn.in_proj_weight"
    assert torch.equal(loaded["blocks.1.attn.qkv.weight"], state[name])
    assert loaded["pos_embed"].shape == (1, 17, 32)
    assert torch.equal(loaded["pos_embed"][0, 0], state["visual.positional_embedding"][0])
    converted = tmp_path / "farl.safetensors"
    assert convert_backbone(path, converted) == 5 + 3 * 12
    again = small("fifa_base", seed=7)
    load_backbone(again, converted)
    encoder = again.encoder()
    assert encoder is not None
    assert all(torch.equal(tensor, loaded[key]) for key, tensor in encoder.state_dict().items())


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
        load_backbone(small("fifa_base"), path)
    with pytest.raises(UsageError, match="has no encoder that pre-trained weights fit"):
        load_backbone(small(), path)


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


FLAT: dict[str, object] = {
    **{"width": 32, "depth": 3, "heads": 2, "mlp_ratio": 3.0, "stem": "conv", "stem_base": 8},
    **{"channels": 16, "hourglass_depth": 1, "wiring": "cascade", "fuse": "add", "skip_block": False},
    **{"down_kernel": 1, "ffp_max": 16, "refine": 16},
}
"""The options of :func:`networks.small`'s fifa_tiny as the first version wrote them."""


def test_a_card_of_the_first_format_still_gives_its_network(tmp_path: Path) -> None:
    model = lively(small())
    former = small_card(format=1, options=FLAT, decode="expectation")
    save_weights(tmp_path / "old.safetensors", model.state_dict(), former)
    again, card = load_weights(tmp_path / "old.safetensors")
    assert same_maps(model, again)
    assert (card.format, card.options) == (2, small_options())


def test_a_committee_of_the_first_format_is_an_ensemble(tmp_path: Path) -> None:
    pair = [lively(small(seed=seed), seed=seed) for seed in (0, 1)]
    members = [{"model": "fifa_tiny", "size": 64, **FLAT}] * 2
    state = {f"members.{i}.{key}": t for i, model in enumerate(pair) for key, t in model.state_dict().items()}
    former = small_card(format=1, decode="expectation").model_copy(
        update={"model": "committee", "options": {"members": members}}
    )
    save_weights(tmp_path / "old.safetensors", state, former)
    ensemble, card = load_weights(tmp_path / "old.safetensors")
    assert card.model == "ensemble"
    with torch.no_grad():
        found = ensemble.decode(ensemble(crops())).points
        alone = [model.eval().decode(model(crops())).points for model in pair]
    torch.testing.assert_close(found, torch.stack(alone).mean(0))


def test_the_shipped_weights_load() -> None:
    for name in ("fifa_tiny", "fifa_small"):
        model, card = load_weights(name)
        assert (model.num_points, model.size, card.scheme) == (68, card.size, "ibug68")
        assert not model.training


OWN = {"name": "muzzle", "names": ["left", "right", "tip", "chin"], "mirror": [[0, 1]], "edges": [[0, 2, 1]]}


def test_an_own_landmark_set_travels_in_the_card(tmp_path: Path) -> None:
    path = write_small(tmp_path / "own.safetensors", small(points=4), scheme="muzzle", scheme_table=OWN)
    scheme = card_scheme(load_card(path))
    assert (scheme.name, scheme.names[2], list(scheme.mirror)) == ("muzzle", "tip", [1, 0, 2, 3])


def test_a_card_with_the_point_names_of_version_0_1_gets_the_present_ones() -> None:
    table = {**get_scheme("wflw98").to_table(), "names": list(former_names("wflw98") or ())}
    assert card_scheme(small_card(points=98, scheme="wflw98", scheme_table=table)) == get_scheme("wflw98")
    odd = {**table, "names": [*table["names"][1:], table["names"][0]]}
    with pytest.raises(ValueError, match="its table of wflw98 is not the landmark set of that name"):
        small_card(points=98, scheme="wflw98", scheme_table=odd)
    for wrong, words in (([[0, 999]], "contradicts itself"), ([], "is not the landmark set of that name")):
        with pytest.raises(ValueError, match=words):
            small_card(points=98, scheme="wflw98", scheme_table={**table, "mirror": wrong})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scheme_table": OWN, "scheme": "snout"}, "names the landmark set 'snout', but its table is that of 'muzzle'"),
        ({"scheme_table": OWN, "scheme": "muzzle", "points": 5}, "it gives 5 points, but its landmark set has 4"),
        ({"scheme_table": {**OWN, "mirror": [[0, 9]]}, "scheme": "muzzle", "points": 4}, "contradicts itself"),
        ({"options": {"backbone": {"width": 10**9}}}, "nothing that a network is made of is so large"),
        ({"size": 4}, "size: "),
        ({"numbers": [{"metric": 3}]}, "numbers\\[0\\].metric is '3'; expected a word"),
        ({"numbers": [{}, {"value": -1.0}]}, "numbers\\[1\\].value is '-1.0'; expected a number"),
        (
            {"scheme_table": {**get_scheme("five").to_table(), "mirror": []}},
            "its table of five is not the landmark set",
        ),
        ({"scheme_table": {**get_scheme("five").to_table(), "inter_pupil": [[3], [4]]}}, "its table of five is not"),
    ],
)
def test_a_card_that_contradicts_itself_is_refused_in_one_line(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    good = small_card().model_dump()
    if "points" in change:
        change = {**change, "num_points": change["points"]}
    bad = WeightCard.model_construct(**{**good, **{k: v for k, v in change.items() if k != "points"}})
    save_weights(tmp_path / "bad.safetensors", small().state_dict(), bad)
    with pytest.raises(FiduciaError, match=words) as caught:
        read_weights(tmp_path / "bad.safetensors")
    assert "bad.safetensors: its model card cannot be used" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"decode": "guess"}, "cannot be built as its card says: decoder 'guess'"),
        ({"params": 7}, "its card says 7 num"),
    ],
)
def test_a_card_that_contradicts_its_network_is_refused(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    card = {**small_card().model_dump(), **change}
    path = tmp_path / "bad.safetensors"
    tensors = {name: tensor.contiguous() for name, tensor in small().state_dict().items()}
    save_file(tensors, path, metadata={"fiducia": json.dumps(card)})
    with pytest.raises(FiduciaError, match=words) as caught:
        read_weights(path)
    assert "\n" not in str(caught.value)


def test_a_card_without_a_landmark_set_or_of_a_missing_plugin_is_told(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    lacking = {k: v for k, v in small_card().model_dump().items() if k != "scheme"}
    save_file({"x": torch.zeros(1)}, path, metadata={"fiducia": json.dumps(lacking)})
    with pytest.raises(FiduciaError, match="scheme: Field required"):
        load_card(path)
    foreign = small_card().model_copy(update={"model": "theirs", "plugins": ["theirs.py"]})
    save_weights(path, small().state_dict(), foreign)
    assert load_card(path).plugins == ["theirs.py"]  # a card can be read without its network
    with pytest.raises(UsageError, match=r"'theirs' is not registered here; .*theirs\.py: give --plugin"):
        load_weights(path)


def test_weights_whose_whole_numbers_differ_have_no_average(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PIPNet's heads tell where the neighbours are that this buffer names; counters of steps may differ."""
    card = WeightCard(name="a", model="pipnet_r18", scheme="five", num_points=5, size=64)
    near = torch.tensor([[1, 2], [0, 2]])
    states = {"a": near, "b": near.clone(), "c": near.flip(1)}

    def read(source: str) -> tuple[dict[str, torch.Tensor], WeightCard]:
        counter = torch.tensor(len(source) + ord(source))
        return {"neighbours": states[source], "x": torch.ones(2), "bn.num_batches_tracked": counter}, card

    monkeypatch.setattr("fiducia.weights.transfer.read_weights", read)
    monkeypatch.setattr("fiducia.weights.transfer.read_card", lambda out: card)
    average_weights(["a", "b"], tmp_path / "mean.safetensors")
    with pytest.raises(UsageError, match=r"^c: its neighbours differs from that of a"):
        average_weights(["a", "c"], tmp_path / "none.safetensors")
    assert not (tmp_path / "none.safetensors").exists()
