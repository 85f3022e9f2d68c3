"""Labels that a network does not believe come first."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from fiducia.commands.data import app
from fiducia.data.source import Faces, load_records
from fiducia.errors import FiduciaError, UsageError
from fiducia.images import read_image
from fiducia.inspect import suspects as module
from fiducia.inspect.suspects import fold_of, rank_suspects
from fiducia.predict.predictor import Predictor
from fiducia.recipes.files import load_recipe
from fiducia.schemes.sets import get_scheme
from fiducia.structures import Record
from networks import small as small_network
from networks import write_small

NAMES = get_scheme("ibug68").names


@pytest.fixture(scope="module")
def faces() -> list[Record]:
    return load_records("synthetic:40", "train")


def guess(faces: list[Record], noise: float = 0.03) -> np.ndarray:
    """What a fair network says: the truth, off by a share of the face, on hard faces by twice that."""
    rng = np.random.default_rng(0)
    truth = np.stack([face.xy for face in faces])
    size = np.sqrt(np.ptp(truth, axis=1).prod(axis=1))[:, None, None]
    hard = np.where(np.arange(len(faces)) % 10 == 9, 2.0, 1.0)[:, None, None]
    return truth + rng.normal(size=truth.shape) * noise / 2 * size * hard


def spoil(face: Record, how: str) -> Record:
    xy = face.xy.copy()
    if how == "swap":
        xy[[36, 54]] = xy[[54, 36]]
    elif how == "neighbours":
        xy[[36, 39]] = xy[[39, 36]]
    else:
        xy = xy[list(get_scheme(face.scheme).mirror)]
    return replace(face, xy=xy)


@pytest.mark.parametrize("how", ["swap", "neighbours", "mirror"])
def test_spoilt_labels_come_first_before_hard_faces(how: str, faces: list[Record]) -> None:
    bad = [spoil(face, how) if i == 12 else face for i, face in enumerate(faces)]
    ranked = rank_suspects(bad, guess(faces), np.arange(len(faces)) % 2)
    assert ranked[0].record is bad[12]
    assert ranked[0].score > 1.2 * ranked[1].score
    if how != "mirror":
        assert set(ranked[0].points) == ({NAMES[36], NAMES[54]} if how == "swap" else {NAMES[36], NAMES[39]})


def test_a_score_is_in_units_of_the_folds_own_error(faces: list[Record]) -> None:
    truth = np.stack([face.xy for face in faces])
    size = np.sqrt(np.ptp(truth, axis=1).prod(axis=1))
    fold = np.arange(len(faces)) % 2
    # Fold 1's network is three times as bad as fold 0's, everywhere: nobody is suspect for that.
    off = np.where(fold == 1, 0.06, 0.02) * size
    ranked = rank_suspects(faces, truth + np.stack([off, 0 * off], axis=-1)[:, None], fold)
    assert [s.score for s in ranked] == pytest.approx([1.0] * len(faces))
    assert {round(s.error, 6) for s in ranked} == {2.0, 6.0}


def test_points_without_a_label_are_not_doubted(faces: list[Record]) -> None:
    xy = faces[0].xy.copy()
    xy[1:] = np.nan
    xy[2] = faces[0].xy[2]
    ranked = rank_suspects([replace(faces[0], xy=xy), *faces[1:]], guess(faces), np.zeros(len(faces), dtype=np.intp))
    mine = next(s for s in ranked if s.record.id == faces[0].id)
    assert set(mine.points) == {NAMES[0], NAMES[2]}
    assert all(np.isfinite(mine.errors))


def test_folds_are_even_keep_photographs_together_and_forget_the_order(faces: list[Record]) -> None:
    shared = [replace(face, tags={"photo": f"p{i // 2}", "id": f"f{i}"}) for i, face in enumerate(faces)]
    fold = fold_of(shared, 4)
    assert np.bincount(fold).tolist() == [10] * 4
    assert (fold[::2] == fold[1::2]).all()
    assert (fold_of(shared[::-1], 4)[::-1] == fold).all()
    for wrong in (1, 21):
        with pytest.raises(UsageError, match="2 to 20"):
            fold_of(shared, wrong)


def table(out: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((out / "suspects.csv").read_text().splitlines()))


def small(out: Path, *more: str) -> list[str]:
    sets = ["train.epochs=1", "data.size=32", "train.batch_size=4", "model.options.hourglass.channels=16"]
    sets += ["model.options.backbone={depth=3, width=32, heads=2}"]
    words = [word for value in sets for word in ("--set", value)]
    return ["suspects", "synthetic:12", "--folds", "2", "--top", "3", "--out", str(out), *words, *more]


def test_the_command_trains_folds_once_and_ranks_every_face(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    trained: list[tuple[int, bool]] = []
    real = module.train

    def train(recipe, run, *, resume, stop):  # type: ignore[no-untyped-def]
        trained.append((int(run.name[-1]), resume))
        if len(trained) == 2:
            raise KeyboardInterrupt
        return real(recipe, run, resume=resume, stop=stop)

    monkeypatch.setattr(module, "train", train)
    runner = CliRunner()
    runner.invoke(app, small(out))
    assert trained == [(1, False), (2, False)]
    assert not (out / "suspects.csv").exists(), "nothing is told before all folds are done"
    result = runner.invoke(app, small(out))
    assert result.exit_code == 0, result.output
    assert trained == [(1, False), (2, False), (2, False)], "fold 1 was done"
    rows = table(out)
    ids = {record.id for record in load_records("synthetic:12", "train")}
    assert [int(row["rank"]) for row in rows] == list(range(1, 13))
    assert {row["id"] for row in rows} == ids
    assert {row["fold"] for row in rows} == {"1", "2"}
    scores = [float(row["score"]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert read_image(out / "suspects.png").shape[1] > 900
    assert f"  1  {rows[0]['id']}  {scores[0]:.1f} times the usual" in result.stdout
    # Each fold's recipe leaves out its own faces and no others.
    for fold in ("1", "2"):
        text = (out / f"fold{fold}" / "recipe.toml").read_text()
        assert all((f'"{row["id"]}"' in text) == (row["fold"] == fold) for row in rows)
    other = runner.invoke(app, small(out, "--set", "train.epochs=2"))
    assert isinstance(other.exception, UsageError)
    assert "another recipe" in str(other.exception)
    assert table(out) == rows, "what was found stays"


def test_given_weights_train_nothing_and_find_what_was_spoilt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = load_records("synthetic:30", "train")
    bad = [spoil(face, "mirror") if i == 4 else face for i, face in enumerate(records)]
    monkeypatch.setattr("fiducia.training.faces.load_records", lambda *_: Faces(bad))
    arguments = ["suspects", "synthetic:30", "--weights", "fifa_tiny", "--out", str(tmp_path), "--top", "2"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert table(tmp_path)[0]["id"] == bad[4].id
    assert sorted(path.name for path in tmp_path.iterdir()) == ["suspects.csv", "suspects.png"]


def test_weights_are_asked_in_the_crops_that_they_know_and_of_the_faces_that_can_be_cropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_small(tmp_path / "boxed.safetensors", small_network(points=68), box_source="dataset")
    records = [replace(r, box=np.array([10.0, 20.0, 90.0, 100.0])) for r in load_records("synthetic:8", "train")]
    records[3] = replace(records[3], xy=np.full_like(records[3].xy, np.nan))
    monkeypatch.setattr("fiducia.training.faces.load_records", lambda *_: Faces(records))
    asked: list[str] = []
    real = module.find_points

    def find(predictor: Predictor, faces: list[Record], box_source: str) -> np.ndarray:
        asked.append(box_source)
        return real(predictor, faces, box_source)

    monkeypatch.setattr(module, "find_points", find)
    told: list[str] = []
    recipe = load_recipe("suspects", ["data.source='synthetic:8'", "data.box_source=dataset"])
    weights = str(tmp_path / "boxed.safetensors")
    found = module.find_suspects(recipe, tmp_path, weights=weights, device="cpu", tell=told.append)
    assert asked == ["dataset"]
    assert len(found) == 7
    assert told[0].startswith("1 face is skipped: no labelled point")
    only = records[0].id
    chosen = module.find_suspects(
        load_recipe("suspects", ["data.source='synthetic:8'", f"data.only=['{only}']"]),
        tmp_path,
        weights=weights,
        device="cpu",
    )
    assert [one.record.id for one in chosen] == [only]


def test_bad_use_is_told(tmp_path: Path) -> None:
    runner = CliRunner()
    none = runner.invoke(app, small(tmp_path / "a", "--set", "data.exclude=['*']"))
    assert isinstance(none.exception, FiduciaError)
    assert "data.exclude leaves none of 12 faces" in str(none.exception)
    foreign = ["suspects", "synthetic:4", "--scheme", "aflw19", "--weights", "fifa_tiny", "--out", str(tmp_path)]
    result = runner.invoke(app, foreign)
    assert isinstance(result.exception, UsageError)
    assert "leave --weights out" in str(result.exception)
