from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from dying import dying
from safetensors.torch import load_file

from fiducia.augment.views import EvalViews
from fiducia.data.dataset import FaceDataset, collate
from fiducia.errors import FiduciaError, Interrupted, UsageError
from fiducia.locks import held
from fiducia.models.base import LandmarkModel
from fiducia.recipes.files import load_recipe
from fiducia.training.checkpoint import load_checkpoint, save_checkpoint
from fiducia.training.faces import mean_face, split_records
from fiducia.training.run import train
from fiducia.training.state import differences, digest
from fiducia.training.stop import Stop
from fiducia.weights.store import load_card

SMALL = [
    'data.source="synthetic:40"',
    "data.size=64",
    "data.limit=24",
    "model.options.backbone={width=32, heads=2, depth=3, stem_base=8}",
    "model.options.hourglass={channels=16}",
    "model.options.norm=group",
    "train.batch_size=8",
    "train.threads=1",
    "train.device=cpu",
]


def command(out: Path, *sets: str, resume: bool = False) -> list[str]:
    settings = [part for s in (*SMALL, *sets) for part in ("--set", s)]
    return [
        sys.executable,
        "-m",
        "fiducia",
        "train",
        "smoke",
        *settings,
        "--out",
        str(out),
        *(["--resume"] if resume else []),
    ]


def weights(run: Path, which: str = "last") -> dict[str, torch.Tensor]:
    return load_file(run / "weights" / f"{which}.safetensors")


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "whole"
    train(load_recipe("smoke", [*SMALL, "train.epochs=4"]), out)
    return out


def test_a_run_leaves_what_explains_it(finished: Path) -> None:
    for name in ("recipe.toml", "versions.json", "metrics.csv", "metrics.json", "faces.png", "weights/ema.safetensors"):
        assert (finished / name).stat().st_size > 0, name
    rows = (finished / "metrics.csv").read_text().splitlines()
    assert len(rows) == 5
    for column in (
        "train_heatmap",
        "train_coord",
        "train_similarity",
        "train_dcca_shuffled",
        "train_grad_norm",
        "val_nme_ema",
    ):
        assert column in rows[0], column
    assert load_recipe(finished / "recipe.toml").train.epochs == 4
    assert not list(finished.rglob(".*"))


def test_killed_in_the_middle_of_an_epoch_and_resumed_it_ends_with_the_same_weights(
    finished: Path, tmp_path: Path
) -> None:
    out = tmp_path / "killed"
    sets = ("train.epochs=4", "train.checkpoint_every=0.001")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    words = command(out, *sets)[3:]
    ended = subprocess.run(dying(0, 2, words), env=environment, capture_output=True, text=True, timeout=300)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    state = load_checkpoint(out / "checkpoints" / "last.ckpt")
    assert state["epoch"] == 2
    subprocess.run(command(out, *sets, resume=True), check=True, env=environment, capture_output=True)
    for which in ("last", "ema"):
        assert same(weights(finished, which), weights(out, which))
    ours, theirs = ((d / "metrics.csv").read_text().splitlines() for d in (out, finished))
    assert [r.rsplit(",", 1)[0] for r in ours] == [r.rsplit(",", 1)[0] for r in theirs]


@pytest.mark.slow
def test_two_gloo_processes_take_the_steps_of_one(tmp_path: Path) -> None:
    """Norm = group, so nothing but the losses sees the batch: gradients are those of the joint batch.

    AdamW turns the rounding of a gradient that is zero but for rounding (a bias in front of a norm) into a whole step, so
    a few weights in ten thousand may differ; the losses, which do not see those, may not.
    """
    for devices in (1, 2):
        subprocess.run(
            command(tmp_path / str(devices), "train.epochs=2", f"train.devices={devices}", "optim.lr=1e-4"),
            check=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            timeout=300,
        )
    one, two = weights(tmp_path / "1"), weights(tmp_path / "2")
    assert one.keys() == two.keys()
    far = sum(int(((one[k] - two[k]).abs() > 1e-4).sum()) for k in one)
    assert far <= 1e-3 * sum(v.numel() for v in one.values())
    rows = [(tmp_path / d / "metrics.csv").read_text().splitlines()[-1].split(",") for d in ("1", "2")]
    columns = (tmp_path / "1" / "metrics.csv").read_text().splitlines()[0].split(",")
    for name in ("train_total", "train_heatmap", "train_coord", "train_similarity", "val_nme"):
        i = columns.index(name)
        assert float(rows[0][i]) == pytest.approx(float(rows[1][i]), rel=1e-4, abs=1e-4), name


@pytest.mark.slow
def test_two_processes_train_with_heads_that_no_loss_uses_and_an_odd_number_of_faces(tmp_path: Path) -> None:
    sets = ["train.epochs=2", "train.devices=2", "data.limit=23", "model.options.head={aux=true}", "augment.views=1"]
    sets += ["loss.similarity.weight=0", "loss.coord.kind=coord"]
    subprocess.run(
        command(tmp_path / "run", *sets),
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        timeout=300,
    )
    columns, *rows = [line.split(",") for line in (tmp_path / "run" / "metrics.csv").read_text().splitlines()]
    values = [[float(row[i]) for i, name in enumerate(columns) if name.startswith(("train_", "val_"))] for row in rows]
    assert len(values) == 2
    assert np.isfinite(values).all()


def test_workers_change_nothing(finished: Path, tmp_path: Path) -> None:
    train(load_recipe("smoke", [*SMALL, "train.epochs=4", "train.workers=2"]), tmp_path / "workers")
    assert same(weights(finished), weights(tmp_path / "workers"))


def test_training_learns(finished: Path) -> None:
    columns, *rows = [line.split(",") for line in (finished / "metrics.csv").read_text().splitlines()]
    coord = [float(row[columns.index("train_coord")]) for row in rows]
    assert coord[-1] < 0.96 * coord[0]  # twelve steps


def test_a_second_run_does_not_overwrite_the_first(finished: Path) -> None:
    with pytest.raises(UsageError, match="--resume"):
        train(load_recipe("smoke", [*SMALL, "train.epochs=4"]), finished)


def test_a_directory_that_another_process_trains_in_is_refused(finished: Path, tmp_path: Path) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    before = (run / "metrics.csv").read_bytes()
    with (
        held(run, "fiducia train"),
        pytest.raises(FiduciaError, match=r"fiducia train \(process \d+ on .*\) is writing into it"),
    ):
        train(load_recipe("smoke", [*SMALL, "train.epochs=5"]), run, resume=True)
    assert (run / "metrics.csv").read_bytes() == before
    train(load_recipe("smoke", [*SMALL, "train.epochs=5"]), run, resume=True)


def test_resuming_with_another_recipe_says_every_key_from_what_to_what(finished: Path) -> None:
    changed = [*SMALL, "train.epochs=3", "optim.lr=0.5", "loss.coord.distance=wing", "train.workers=1"]
    with pytest.raises(UsageError, match="the recipe is not the run's") as caught:
        train(load_recipe("smoke", changed), finished, resume=True)
    told = str(caught.value)
    assert "train.epochs from 4 to 3" in told
    assert "optim.lr from 0.002 to 0.5" in told
    assert "loss.coord.distance from " in told
    assert "to 'wing'" in told
    assert "train.workers" not in told
    assert "\n" not in told


def test_a_finished_run_takes_more_epochs(finished: Path, tmp_path: Path) -> None:
    longer = tmp_path / "longer"
    shutil.copytree(finished, longer)
    result = train(load_recipe("smoke", [*SMALL, "train.epochs=5"]), longer, resume=True)
    assert [row["epoch"] for row in result.history] == [1, 2, 3, 4, 5]
    before, after = ((d / "metrics.csv").read_text().splitlines() for d in (finished, longer))
    assert after[:5] == before
    assert load_recipe(longer / "recipe.toml").train.epochs == 5
    assert not same(weights(finished), weights(longer))


def test_a_signal_ends_the_run_after_its_step_and_the_rest_is_the_run_that_was_never_stopped(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the second epoch: the step is finished and saved, the exit status says which signal it was."""
    from fiducia.training import loop

    stop, seen = Stop(), []
    real = loop._step

    def step(*arguments: Any) -> Any:
        seen.append(1)
        if len(seen) == 5:
            os.kill(os.getpid(), signal.SIGINT)
        return real(*arguments)

    monkeypatch.setattr(loop, "_step", step)
    recipe = load_recipe("smoke", [*SMALL, "train.epochs=4"])
    former = signal.signal(signal.SIGINT, stop)
    try:
        with pytest.raises(Interrupted, match=r"stopped at epoch 2, step 2 of 3.*--resume") as caught:
            train(recipe, tmp_path / "run", stop=stop)
    finally:
        signal.signal(signal.SIGINT, former)
    assert caught.value.status == 130
    train(recipe, tmp_path / "run", resume=True)
    assert len(seen) == 12
    for which in ("last", "ema"):
        assert same(weights(finished, which), weights(tmp_path / "run", which))


def test_differences_name_keys_that_only_one_recipe_has() -> None:
    one, two = load_recipe("smoke"), load_recipe("smoke", ["loss.edge={kind='bce', sigma=3}", "train.device=cuda"])
    assert differences(one, one) == {}
    assert differences(one, two)["loss.edge.sigma"] == (None, 3)
    assert not any(key.startswith("train.") for key in differences(one, two))


def test_a_digest_is_of_what_changes_the_result() -> None:
    def of(*sets: str) -> str:
        return digest(load_recipe("smoke", sets).model_dump(mode="json"))

    assert of() == of("train.workers=3", "data.source=synthetic:9", "train.device=cuda")
    assert of() != of("train.seed=9")


def test_the_run_keeps_the_losses_that_its_network_was_published_with(finished: Path) -> None:
    recipe = load_recipe(finished / "recipe.toml")
    assert {name: table.kind for name, table in recipe.loss.items()} == {
        "heatmap": "bce",
        "coord": "coord",
        "similarity": "dcca",
    }
    assert recipe.loss["similarity"].weight == 0.01
    card = load_card(finished)
    assert card.training["losses"]["similarity"] == ["dcca", 0.01]
    assert card.options["hourglass"]["channels"] == 16
    assert card.options["hourglass"]["wiring"] == "cascade"  # the preset's own are kept too


def test_resuming_nothing_is_told(tmp_path: Path) -> None:
    with pytest.raises(FiduciaError, match="no checkpoint here"):
        train(load_recipe("smoke", SMALL), tmp_path / "none", resume=True)


def test_starting_from_weights_of_another_landmark_count(finished: Path, tmp_path: Path) -> None:
    recipe = load_recipe("smoke", [*SMALL, "train.epochs=1", "data.scheme=cofw29", "optim.lr=1e-9"])
    train(recipe, tmp_path / "cofw", init=str(finished))
    old, new = weights(finished, "ema"), weights(tmp_path / "cofw", "last")
    assert new["head.weight"].shape[0] == 29
    assert torch.allclose(old["join.0.0.weight"], new["join.0.0.weight"], atol=1e-5)


def test_a_leg_on_one_part_keeps_the_same_faces_held_out() -> None:
    source = 'data.source="synthetic:40"'
    faces = split_records(load_recipe("smoke", [source]).data)
    training, validation = faces.training, faces.validation
    chosen = [training[3].id, training[8].id, validation[1].id]
    kept = split_records(load_recipe("smoke", [source, f"data.only={chosen}"]).data)
    fewer, held = kept.training, kept.validation
    assert [r.id for r in fewer] == chosen[:2]
    assert [r.id for r in held] == chosen[2:]
    with pytest.raises(FiduciaError, match=r"data\.only matches none of 40 faces"):
        split_records(load_recipe("smoke", [source, "data.only=['lfpw/*']"]).data)


def test_carved_validation_shares_no_photograph_with_training() -> None:
    faces = split_records(load_recipe("smoke", ['data.source="synthetic:40"']).data)
    training, validation, scheme = faces.training, faces.validation, faces.scheme
    assert validation
    assert scheme.name == "ibug68"
    assert not {r.tags["photo"] for r in training} & {r.tags["photo"] for r in validation}


def test_a_damaged_checkpoint_is_told_and_a_torn_write_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    save_checkpoint(path, {"format": 1, "x": torch.ones(3)})
    assert torch.equal(load_checkpoint(path)["x"], torch.ones(3))
    with pytest.raises(TypeError):
        save_checkpoint(path, {"format": 1, "x": (i for i in range(3))})
    assert torch.equal(load_checkpoint(path)["x"], torch.ones(3))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(FiduciaError, match=r"last\.ckpt: not a readable checkpoint"):
        load_checkpoint(path)


def test_a_loss_that_explodes_ends_the_run_with_the_step(tmp_path: Path) -> None:
    recipe = load_recipe("smoke", [*SMALL, "train.epochs=2", "optim.lr=1000", "optim.clip=0", "optim.warmup=0"])
    with pytest.raises(FiduciaError, match="at step"):
        train(recipe, tmp_path / "boom")


def test_more_processes_than_the_batch_can_feed_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="multiple of 3"):
        train(load_recipe("smoke", [*SMALL, "train.devices=3"]), tmp_path / "three")


@pytest.mark.shared
@pytest.mark.slow
def test_the_papers_literal_recipe_trains_an_epoch_on_real_faces(shared_data: Path, tmp_path: Path) -> None:
    small = "model.options={backbone={width=48, heads=3, depth=3}, hourglass={channels=16}}"
    recipe = load_recipe(
        "paper_literal",
        [
            f'data.source="300w:{shared_data / "300w"}"',
            "data.size=128",
            "data.limit=32",
            "train.epochs=1",
            "train.batch_size=8",
            "train.threads=1",
            small,
        ],
    )
    result = train(recipe, tmp_path / "literal")
    row = result.history[-1]
    assert all(np.isfinite(v) for v in row.values())
    assert -1.0 <= row["train_similarity"] < 0.0


def test_views_reach_the_model_in_one_copy(finished: Path) -> None:
    from fiducia.augment.views import TrainViews

    recipe = load_recipe("smoke", SMALL)
    faces = split_records(recipe.data)
    training, scheme = faces.training, faces.scheme
    dataset = FaceDataset(training, TrainViews(recipe.data, recipe.augment, scheme, 3), seed=0)
    batch = collate([dataset[0], dataset[1]])
    assert batch.images.shape == (2, 2, 3, 64, 64)
    assert batch.images.dtype == torch.uint8
    assert batch.xy.shape == (2, 2, 68, 2)


@pytest.mark.parametrize("place", ["file", "file/run"])
def test_a_run_that_cannot_be_kept_is_refused_at_once(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="Not a directory"):
        train(load_recipe("smoke"), tmp_path / place)


def test_a_new_network_is_handed_the_mean_face_of_the_training_faces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Tensor] = []
    monkeypatch.setattr(LandmarkModel, "prepare", lambda self, face: bool(seen.append(face)))
    recipe = load_recipe("smoke", [*SMALL, "data.limit=8", "train.epochs=1", "train.val_every=9"])
    train(recipe, tmp_path / "run")
    plain = FaceDataset(split_records(recipe.data).training, EvalViews(recipe.data), seed=0)
    crops = collate([plain[i] for i in range(len(plain))]).xy[:, 0]
    assert len(seen) == 1
    torch.testing.assert_close(seen[0], crops.mean(0) / 64, rtol=1e-5, atol=1e-6)


def test_landmarks_that_some_faces_lack_count_where_they_are() -> None:
    recipe = load_recipe("smoke", SMALL)
    records = split_records(recipe.data).training[:3]
    whole = mean_face(records, recipe.data)
    assert whole is not None
    xy = records[0].xy.copy()
    inner = int(np.argmin(np.abs(xy - xy.mean(0)).sum(1)))  # the box stays what it was
    xy[inner] = np.nan
    part = mean_face([replace(records[0], xy=xy), *records[1:]], recipe.data)
    rest = mean_face(records[1:], recipe.data)
    assert part is not None
    assert rest is not None
    torch.testing.assert_close(part[inner], rest[inner])
    others = [i for i in range(len(xy)) if i != inner]
    torch.testing.assert_close(part[others], whole[others])
    assert mean_face([replace(records[0], xy=xy)], recipe.data) is None


class Counts(FaceDataset):
    """Says how many threads a worker has, in place of faces."""

    def __init__(self) -> None:
        self.seed = 0

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Any:
        import cv2

        return torch.get_num_threads(), cv2.getNumThreads(), torch.utils.data.get_worker_info() is not None


def test_workers_compute_with_one_thread_each(monkeypatch: pytest.MonkeyPatch) -> None:
    import cv2

    from fiducia.data import dataset

    monkeypatch.setattr(dataset, "collate", list)
    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(2)
    cv2.setNumThreads(2)
    try:
        batches: Any = Counts().batches(batch_size=2, epoch=1, workers=2)
        found = [row for batch in batches for row in batch]
        assert found == [(1, 1, True)] * 4
        assert (torch.get_num_threads(), cv2.getNumThreads()) == (2, 2), "the run's own threads stay"
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def test_workers_start_where_opencv_has_threads_already() -> None:
    """OpenCV's threads do not survive a fork; a worker that waited for them would hang."""
    code = """
import cv2, numpy as np
from torch.utils.data import DataLoader
from fiducia.data.dataset import one_thread
cv2.setNumThreads(4)
picture = np.zeros((3000, 3000, 3), np.uint8)
cv2.GaussianBlur(picture, (0, 0), 5)
print([int(x) for x in DataLoader(range(4), num_workers=2, worker_init_fn=one_thread)])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=90)
    assert done.stdout.strip() == "[0, 1, 2, 3]", done.stderr
