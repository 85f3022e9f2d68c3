"""Runs of several stages, over several sources."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch
from dying import dying
from safetensors.torch import load_file

from fiducia.augment.views import EvalViews
from fiducia.data.dataset import FaceDataset
from fiducia.errors import FiduciaError, UsageError
from fiducia.recipes.files import dump_recipe, load_recipe, parse_recipe
from fiducia.recipes.sections import DataConfig, Recipe
from fiducia.recipes.stages import stage_recipes
from fiducia.training.checkpoint import load_checkpoint
from fiducia.training.faces import RunFaces, split_records
from fiducia.training.legs import place_of
from fiducia.training.run import train
from fiducia.weights.store import load_card

RECIPE = """
[data]
source = ["synthetic:24@{folder}/a", "synthetic:16@{folder}/b"]
limit = 16
size = 64
val_fraction = 0.2

[augment]
views = 1
mirror = 0.5

[augment.fifa]
enabled = false

[model]
name = "fifa_tiny"

[model.options]
backbone = { width = 32, heads = 2, depth = 3, stem_base = 8 }
hourglass = { channels = 16, depth = 1 }
head = { refine = 16 }

[loss.similarity]
weight = 0

[optim]
lr = 1e-3
schedule = "cosine"
warmup = 0.2

[train]
batch_size = 8
threads = 1
device = "cpu"
checkpoint_every = 0.001

[[stage]]
[stage.train]
epochs = 2

[[stage]]
[stage.data]
size = 96
[stage.optim]
lr = 5e-4
[stage.augment]
rotation = 0.4
[stage.train]
epochs = 2
batch_size = 4
"""


@pytest.fixture(scope="module")
def recipe_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recipe")
    path = folder / "legs.toml"
    path.write_text(RECIPE.replace("{folder}", str(folder)))
    return path


@pytest.fixture(scope="module")
def finished(recipe_file: Path) -> Path:
    out = recipe_file.parent / "whole"
    train(load_recipe(recipe_file), out)
    return out


def rows(run: Path) -> list[dict[str, str]]:
    columns, *lines = [line.split(",") for line in (run / "metrics.csv").read_text().splitlines()]
    return [dict(zip(columns, line, strict=True)) for line in lines]


def test_each_stage_is_the_recipe_with_its_tables_laid_over_it(recipe_file: Path) -> None:
    recipe = load_recipe(recipe_file)
    first, second = stage_recipes(recipe)
    assert (first.data.size, second.data.size, first.optim.lr, second.optim.lr) == (64, 96, 1e-3, 5e-4)
    assert (first.train.batch_size, second.train.batch_size) == (8, 4)
    assert second.loss["similarity"].weight == 0
    assert second.data.source == recipe.data.source
    where = place_of([first, second], 1)
    assert (where.before, where.last, where.total) == (2, 4, 4)
    assert parse_recipe(tomllib.loads(dump_recipe(recipe))) == recipe
    assert "[[stage]]" in dump_recipe(recipe)
    assert stage_recipes(Recipe()) == (Recipe(),)


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ({"data": {"val_seed": 3}}, r"stage 1: data\.val_seed is the same in all stages; put it into \[data\]"),
        ({"data": {"sise": 64}}, r"stage 1: unknown key 'data\.sise'; did you mean 'size'"),
        ({"train": {"epochs": 0}}, r"stage 1: train\.epochs"),
        ({"model": {"name": "pfld"}}, "model"),
    ],
)
def test_a_stage_that_cannot_be_is_refused_in_one_line(stage: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        parse_recipe({"stage": [stage]})
    assert "\n" not in str(caught.value)


def test_a_value_that_every_stage_replaces_is_refused_instead_of_having_no_effect(recipe_file: Path) -> None:
    for override in ("epochs=5", "train.epochs=5"):
        with pytest.raises(UsageError, match=rf"--set {override}: has no effect, because every \[\[stage\]\] of legs"):
            load_recipe(recipe_file, [override])
    assert stage_recipes(load_recipe(recipe_file, ["optim.lr=3e-3"]))[0].optim.lr == 3e-3
    assert stage_recipes(load_recipe(recipe_file, ["train.batch_size=2"]))[0].train.batch_size == 2


def test_the_recipe_of_the_accurate_weights_begins_as_that_of_the_default_ones() -> None:
    tiny, small = (stage_recipes(load_recipe(name)) for name in ("fifa_tiny", "fifa_small"))
    assert [leg.data.size for leg in small] == [128, 192, 256]
    for one, other in zip(tiny, small[:2], strict=True):
        assert one.model_copy(update={"name": "", "stage": ()}) == other.model_copy(update={"name": "", "stage": ()})


def test_a_recipe_that_was_renamed_says_its_new_name() -> None:
    with pytest.raises(UsageError, match="fifa_lite: this recipe is now fifa_tiny"):
        load_recipe("fifa_lite")


def test_a_run_of_two_stages_leaves_weights_of_the_last_size_and_says_where_it_was(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert [float(row["epoch"]) for row in rows(finished)] == [1, 2, 3, 4]
    card = load_card(finished / "weights" / "ema.safetensors")
    assert card.size == 96
    assert card.training["stages"] == [{"size": 64, "epochs": 2}, {"size": 96, "epochs": 2}]
    assert card.training["data"] == "synthetic + synthetic"
    assert load_card(finished / "weights" / "stage1.safetensors").size == 64
    assert load_card(finished / "weights" / "best.safetensors").size == 96
    # Each stage's rate falls to nearly zero and the next one's rises again.
    rates = [float(row["lr"]) for row in rows(finished)]
    assert rates[1] < 0.2 * rates[0]
    assert rates[2] > 3 * rates[3]


def test_killed_in_each_stage_and_resumed_it_ends_with_the_same_weights(
    finished: Path, recipe_file: Path, tmp_path: Path
) -> None:
    out, environment = tmp_path / "killed", {**os.environ, "OMP_NUM_THREADS": "1"}
    words = ["train", str(recipe_file), "--out", str(out)]
    for leg, epoch in ((0, 2), (1, 3)):
        ended = subprocess.run(dying(leg, epoch, words), env=environment, capture_output=True, text=True, timeout=300)
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        saved = load_checkpoint(out / "checkpoints" / "last.ckpt")
        assert (saved["leg"], saved["epoch"]) == (leg, epoch)
        words = [*words, "--resume"] if leg == 0 else words
    done = subprocess.run(
        [sys.executable, "-m", "fiducia", *words], check=True, env=environment, capture_output=True, text=True
    )
    assert "stage 2/2  epoch 4/4" in done.stderr
    for which in ("last", "ema", "best"):
        ours, theirs = (load_file(run / "weights" / f"{which}.safetensors") for run in (out, finished))
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours), which
    mine, whole = ([{k: v for k, v in row.items() if k != "seconds"} for row in rows(run)] for run in (out, finished))
    assert mine == whole


def test_a_finished_run_takes_another_stage_and_ends_as_the_run_that_had_it_from_the_start(
    finished: Path, recipe_file: Path, tmp_path: Path
) -> None:
    first = tmp_path / "legs.toml"
    first.write_text(recipe_file.read_text().rpartition("[[stage]]")[0])
    train(load_recipe(first), tmp_path / "run")
    other = tmp_path / "other.toml"
    other.write_text(recipe_file.read_text().replace("[stage.train]\nepochs = 2\n", "[stage.train]\nepochs = 3\n", 1))
    with pytest.raises(UsageError, match="the recipe is not the run's: stage from"):
        train(load_recipe(other), tmp_path / "run", resume=True)
    train(load_recipe(recipe_file), tmp_path / "run", resume=True)
    for which in ("stage1", "last", "ema"):
        ours, theirs = (load_file(run / "weights" / f"{which}.safetensors") for run in (tmp_path / "run", finished))
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs), which


def test_reading_faces_draws_nothing_from_torchs_generator(tmp_path: Path) -> None:
    """A network may draw in training (stochastic depth), and a resumed epoch begins with a new loader."""
    records = split_records(DataConfig(source=f"synthetic:8@{tmp_path}", size=32)).training
    dataset = FaceDataset(records, EvalViews(DataConfig(size=32)), seed=0)
    before = torch.get_rng_state()
    assert len(list(dataset.batches(batch_size=2, epoch=1, start=1))) == 2
    assert torch.equal(torch.get_rng_state(), before)


def test_stages_of_sizes_that_a_network_cannot_change_are_refused_before_training(tmp_path: Path) -> None:
    table = {
        "data": {"source": f"synthetic:8@{tmp_path}", "val_fraction": 0.25},
        "model": {"name": "pfld"},
        "augment": {"views": 1},
        "stage": [{"data": {"size": 112}}, {"data": {"size": 224}}],
    }
    with pytest.raises(UsageError, match=r"stage 2: data\.size = 224 needs another .* give all stages one size"):
        train(parse_recipe(table), tmp_path / "run")


def test_each_stage_trains_on_the_faces_that_it_chooses(
    recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``data.only`` and ``data.repeat`` of a stage; the second has the run's own faces."""
    table = tomllib.loads(recipe_file.read_text())
    whole = split_records(parse_recipe(table).data)
    wanted = whole.training[0].id
    stages = [{"data": {"only": [wanted]}}, {}, {"data": {"repeat": {"synthetic": 2}}}]
    seen: list[list[str]] = []

    def record(*given: object) -> None:
        faces = given[4]
        assert isinstance(faces, RunFaces)
        seen.append([face.id for face in faces.training])

    monkeypatch.setattr("fiducia.training.run._run_leg", record)
    train(parse_recipe({**table, "stage": stages}), tmp_path / "run")
    own = [face.id for face in whole.training]
    assert seen == [[face for face in own if face == wanted], own, [face for face in own for _ in range(2)]]
    with pytest.raises(FiduciaError, match=r"^stage 2: .*data\.only matches no"):
        train(parse_recipe({**table, "stage": [{}, {"data": {"only": ["nobody"]}}]}), tmp_path / "other")
