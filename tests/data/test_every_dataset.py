"""``fiducia evaluate`` on every data set: what it measures, and what it says where the landmark sets do not meet."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from every_dataset import COUNT, MAKERS
from typer.testing import CliRunner

from fiducia.cli import app
from fiducia.data.source import datasets, load_records
from fiducia.errors import UsageError
from fiducia.models.build import build_model
from fiducia.recipes.files import load_recipe, toml_value
from fiducia.schemes.sets import get_scheme
from fiducia.training.run import train
from fiducia.weights.card import WeightCard
from fiducia.weights.store import save_weights

OPTIONS: dict[str, Any] = {
    "backbone": {"width": 32, "depth": 3, "heads": 2, "stem": "conv", "stem_base": 8},
    "hourglass": {"channels": 16},
}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    """Return source and split of each data set, made once."""
    made = {}
    for name, (make, _) in MAKERS.items():
        root = tmp_path_factory.mktemp(name)
        made[name] = make(root)
    return made


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of small networks that were never trained, one for each landmark set."""
    folder = tmp_path_factory.mktemp("networks")
    for scheme in sorted({scheme for _, scheme in MAKERS.values()}):
        torch.manual_seed(0)
        points = get_scheme(scheme).num_points
        model = build_model("fifa_base", points, 64, options=OPTIONS)
        card = WeightCard(
            name=scheme, model="fifa_base", options=OPTIONS, scheme=scheme, num_points=points, size=64, scale=0.8
        )
        save_weights(folder / f"{scheme}.safetensors", model.state_dict(), card)
    return folder


def evaluate(weights: Path, place: tuple[str, str], *more: str) -> str:
    source, split = place
    words = ["evaluate", "--weights", str(weights), "--data", source, "--split", split, "--device", "cpu", *more]
    result = CliRunner().invoke(app, words)
    if result.exception is not None:
        raise result.exception
    return result.stdout


def test_no_data_set_is_left_out_here() -> None:
    assert set(MAKERS) == set(datasets)


@pytest.mark.parametrize("name", MAKERS)
def test_each_is_measured_and_its_figures_are_stamped(
    name: str, places: dict[str, tuple[str, str]], networks: Path, tmp_path: Path
) -> None:
    scheme = MAKERS[name][1]
    out = evaluate(networks / f"{scheme}.safetensors", places[name], "--json", str(tmp_path / "result.json"))
    result = json.loads((tmp_path / "result.json").read_text())
    stamp = result["protocol"]
    assert (stamp["data"], stamp["split"], stamp["scheme"]) == (name, places[name][1], scheme)
    assert (result["faces"], result["detected"], stamp["faces"]) == (COUNT, COUNT, COUNT)
    assert stamp["points"] == get_scheme(scheme).num_points
    assert stamp["partial"] == (places[name][1] in datasets[name].counts)
    kinds = [kind for kind in ("ic", "ip", "box", "diag") if result[f"nme_{kind}"] is not None]
    assert set(kinds) >= {"box", "diag"}
    # A network without training answers near the middle of the crop: far from right, and not by orders of magnitude.
    assert all(math.isfinite(result[f"nme_{kind}"]) and 3 < result[f"nme_{kind}"] < 200 for kind in kinds)
    assert f"{name}, split {places[name][1]}: {COUNT} faces" in out
    assert f"{stamp['points']} points ({scheme})" in out


@pytest.mark.parametrize("name", ["cofw", "aflw"])
def test_68_points_cannot_be_measured_there_and_the_cure_is_named(
    name: str, places: dict[str, tuple[str, str]], networks: Path
) -> None:
    scheme = MAKERS[name][1]
    with pytest.raises(UsageError, match=rf"ibug68 \(68 points\).* {scheme} \(\d+\).*train RECIPE --init") as caught:
        evaluate(networks / "ibug68.safetensors", places[name])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["wflw", "hrnet", "lapa"])
def test_68_points_are_measured_on_98_and_106_by_conversion(
    name: str, places: dict[str, tuple[str, str]], networks: Path, tmp_path: Path
) -> None:
    converted = f"truth {MAKERS[name][1]} -> ibug68"
    out = evaluate(networks / "ibug68.safetensors", places[name])
    assert f"converted: {converted}" in out
    evaluate(networks / "ibug68.safetensors", places[name], "--json", str(tmp_path / "result.json"))
    stamp = json.loads((tmp_path / "result.json").read_text())["protocol"]
    assert (stamp["scheme"], stamp["points"], stamp["converted"]) == ("ibug68", 68, converted)


@pytest.mark.parametrize("name", ["cofw", "aflw", "lapa"])
def test_a_network_of_that_set_is_trained_from_68_points_and_measured(
    name: str, places: dict[str, tuple[str, str]], networks: Path, tmp_path: Path
) -> None:
    scheme = MAKERS[name][1]
    sets = ["data.source=synthetic:24", f"data.scheme={scheme}", "data.size=64", "data.limit=16"]
    sets += ["model.name=fifa_base", "train.epochs=1", "train.batch_size=8", "train.threads=1", "train.device=cpu"]
    recipe = load_recipe("smoke", [*sets, f"model.options={toml_value(OPTIONS)}"])
    train(recipe, tmp_path / "run", init=str(networks / "ibug68.safetensors"))
    evaluate(tmp_path / "run", places[name], "--json", str(tmp_path / "result.json"))
    result = json.loads((tmp_path / "result.json").read_text())
    assert (result["faces"], result["protocol"]["scheme"]) == (COUNT, scheme)
    assert math.isfinite(result["nme_box"])


@pytest.mark.parametrize("name", ["300w", "merl", "aflw2000", "lapa", "pts", "json"])
def test_hidden_files_of_another_system_are_no_labels(name: str, tmp_path: Path) -> None:
    """macOS leaves ``._NAME`` beside a file that it copies to a disk of another kind."""
    source, split = MAKERS[name][0](tmp_path)
    before = load_records(source, split)
    for path in [path for path in tmp_path.rglob("*") if path.is_file()]:
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X        \0\2")
    after = load_records(source, split)
    assert [(r.id, r.image) for r in after] == [(r.id, r.image) for r in before]
