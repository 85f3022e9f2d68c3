from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fiducia.cli import main
from fiducia.errors import FiduciaError, UsageError
from fiducia.losses.registry import losses
from fiducia.metrics.compare import bootstrap_mean, paired_bootstrap
from fiducia.models.registry import models
from fiducia.reproduce import run as module
from fiducia.reproduce.ledger import read_run, table_ledger
from fiducia.reproduce.ledger_files import write_ledger
from fiducia.reproduce.rows import SCALES, TABLES, Row, Table, load_table, row_recipe
from fiducia.reproduce.run import Order, plan, reproduce
from fiducia.schemes.sets import get_scheme
from fiducia.training.setup import build_network, completed, loss_tables, resolve
from fiducia.training.state import differences

SETS = ("train.threads=1", "train.device=cpu", "train.epochs=1", "data.limit=16", "train.batch_size=8")
LADDER = ["vanilla", "hourglass", "fifa", "two_views", "dcca"]


def order(out: Path, **changes: Any) -> Order:
    return replace(Order(table="table3", source="synthetic:40", out=out, sets=SETS), **changes)


def table_rows(out: Path, table: str = "table3") -> dict[str, dict[str, str]]:
    with (out / "ledger.csv").open(newline="") as file:
        return {row["row"]: row for row in csv.DictReader(file) if row["table"] == table}


def edit(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    entry = json.loads(path.read_text())
    change(entry)
    path.write_text(json.dumps(entry))


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training is an error from here on."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("something was trained")

    monkeypatch.setattr(module, "train", refuse)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("reproduced")
    assert reproduce(order(out)) == []
    return out


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished, tmp_path / "copy")
    return tmp_path / "copy"


def test_the_ledger_has_every_row_with_what_was_published_and_what_came_out(finished: Path) -> None:
    rows = table_rows(finished)
    assert list(rows) == [row.name for row in load_table("table3").rows]
    assert [rows[name]["published"] for name in LADDER] == ["3.11", "3.07", "3.0", "", "2.96"]
    assert [rows[name]["against"] for name in LADDER] == ["", "vanilla", "hourglass", "fifa", "two_views"]
    assert rows["two_views"]["kind"] == "control"
    # The control was not published, so the paper's step is from the row before it.
    assert (rows["dcca"]["published_against"], rows["dcca"]["published_difference"]) == ("fifa", "-0.04")
    page = (finished / "ledger.md").read_text()
    for name, row in rows.items():
        assert row["state"] == "done"
        assert f"`{name}`" in page
        assert row["ours_of"] == "synthetic test"
        assert "synthetic, split test: 10 faces" in row["protocol"]
        assert row["command"].startswith("fiducia reproduce table3 --data synthetic:40 --scale smoke")
        assert f"--rows {name}" in row["command"]
        assert row["commit"]


def test_ours_and_its_interval_are_those_of_the_faces(finished: Path) -> None:
    rows = table_rows(finished)
    a, b = (read_run(finished / f"table3/{name}/seed0/result.json").errors for name in ("fifa", "two_views"))
    assert len(a) == 10
    assert float(rows["fifa"]["ours_equal_epochs"]) == pytest.approx(a.mean(), abs=1e-5)
    by_hand = paired_bootstrap(a, b)
    shown = [float(rows["two_views"][f"{key}_equal_epochs"]) for key in ("difference", "low", "high")]
    assert shown == pytest.approx([by_hand.difference, by_hand.low, by_hand.high], abs=1e-5)
    assert shown[0] == pytest.approx(b.mean() - a.mean(), abs=1e-5)


def test_rows_of_one_view_get_a_second_run_of_equal_image_views(finished: Path) -> None:
    rows = table_rows(finished)
    runs = {path.parent.relative_to(finished / "table3").as_posix() for path in finished.glob("table3/*/*/result.json")}
    assert {f"{name}/seed0-views" for name in LADDER[:3]} == {name for name in runs if name.endswith("-views")}
    views = {name: read_run(finished / f"table3/{name}/result.json").entry["training"]["image_views"] for name in runs}
    assert {views[f"{name}/seed0"] for name in LADDER[:3]} == {16}
    assert {views[f"{name}/seed0-views"] for name in LADDER[:3]} == {32}
    assert {views[f"{name}/seed0"] for name in LADDER[3:]} == {32}
    assert rows["dcca"]["ours_equal_views"] == rows["dcca"]["ours_equal_epochs"] != ""
    longer = read_run(finished / "table3/fifa/seed0-views/result.json").errors
    control = read_run(finished / "table3/two_views/seed0/result.json").errors
    shown = float(rows["two_views"]["difference_equal_views"])
    assert shown == pytest.approx(control.mean() - longer.mean(), abs=1e-5)
    assert rows["add"]["ours_equal_views"] == ""


def test_a_second_call_trains_nothing_and_measures_nothing(
    copy: Path, untrained: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "evaluate_faces", None)
    before = {path: path.stat().st_mtime_ns for path in copy.glob("table3/**/*") if path.is_file()}
    ledger = (copy / "ledger.md").read_text()
    assert reproduce(order(copy)) == []
    assert {path: path.stat().st_mtime_ns for path in copy.glob("table3/**/*") if path.is_file()} == before
    assert (copy / "ledger.md").read_text() == ledger


def test_a_lost_result_is_measured_again_without_training(copy: Path, untrained: None) -> None:
    path = copy / "table3/fifa/seed0/result.json"
    figures = read_run(path).result
    path.unlink()
    assert reproduce(order(copy)) == []
    assert read_run(path).result == figures


@pytest.mark.parametrize(
    ("table", "budgets", "folders"),
    [
        # A row of two views has both budgets in one run.
        ("table7", ("views",), {"hrnet/seed0-views", "hrnet_dcca/seed0", "pfld/seed0-views", "pfld_dcca/seed0"}),
        ("table7", ("epochs",), {"hrnet/seed0", "hrnet_dcca/seed0", "pfld/seed0", "pfld_dcca/seed0"}),
        # Rows against one of as many views are compared at equal epochs alone.
        ("table3", ("views",), {"fifa/seed0-views", "dcca/seed0"}),
        ("table3", ("epochs", "views"), {"fifa/seed0", "fifa/seed0-views", "dcca/seed0", "add/seed0"}),
        # All rows have two views, so equal epochs are equal image views.
        ("table4", ("views",), {"n3/seed0"}),
    ],
)
def test_a_budget_plans_every_row_that_is_compared_at_it(
    tmp_path: Path, table: str, budgets: tuple[str, ...], folders: set[str]
) -> None:
    rows = tuple(dict.fromkeys(folder.partition("/")[0] for folder in folders))
    extra = ("add",) if table == "table3" else ()
    wanted = order(tmp_path, table=table, budgets=budgets, rows=(*rows, *extra), scale="smoke")
    planned = plan(wanted, load_table(table), "test")
    assert {run.folder.relative_to(tmp_path / table).as_posix() for run in planned} == folders


def test_a_lost_row_alone_is_trained_again(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(copy / "table3/add")
    trained: list[Path] = []
    real = module.train
    monkeypatch.setattr(module, "train", lambda r, out, **k: (trained.append(out), real(r, out, **k)))
    before = table_rows(copy)["add"]
    assert reproduce(order(copy)) == []
    assert trained == [copy / "table3/add/seed0"]
    after = table_rows(copy)["add"]
    assert {**after, "training_seconds": ""} == {**before, "training_seconds": ""}
    assert not (copy / "table3/add/seed0/checkpoints").exists()


def test_killed_half_way_it_does_only_the_rest_and_ends_as_if_it_never_was(tmp_path: Path) -> None:
    out, whole = tmp_path / "killed", tmp_path / "whole"
    sets = (*SETS, "train.epochs=12", "train.checkpoint_every=0.001")
    words = [sys.executable, "-m", "fiducia", "reproduce", "table3", "--data", "synthetic:40", "--out", str(out)]
    words += ["--rows", "vanilla,two_views", "--budget", "epochs", *(w for s in sets for w in ("--set", s))]
    process = subprocess.Popen(
        words, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 300
    metrics = out / "table3/two_views/seed0/metrics.csv"
    while time.monotonic() < deadline and process.poll() is None:
        if metrics.exists() and len(metrics.read_text().splitlines()) > 3:
            break
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it ended before it could be killed"
    first = out / "table3/vanilla/seed0/result.json"
    stamp = first.stat().st_mtime_ns
    assert not (out / "table3/two_views/seed0/result.json").exists()
    said: list[str] = []
    again = order(out, sets=sets, rows=("vanilla", "two_views"), budgets=("epochs",))
    assert reproduce(again, said.append) == []
    assert said[0] == "table3: 1 of 2 runs are finished"
    assert said[1].startswith("[1/1] go on with table3/two_views/seed0")
    assert first.stat().st_mtime_ns == stamp
    reproduce(replace(again, out=whole, rows=("two_views",)))
    a, b = (read_run(base / "table3/two_views/seed0/result.json").errors for base in (out, whole))
    np.testing.assert_array_equal(a, b)


def test_seeds_of_several_machines_are_merged_by_copying(copy: Path) -> None:
    for name, shift in (("fifa", 1.0), ("two_views", 3.0)):
        other = copy / f"table3/{name}/seed1"
        shutil.copytree(copy / f"table3/{name}/seed0", other)
        edit(other / "result.json", lambda e: e.update(seed=1, source="synthetic:40", commit="another"))
        edit(other / "result.json", lambda e, s=shift: e["result"].update(nme_ic=e["result"]["nme_ic"] + s))
        with (other / "faces.csv").open(newline="") as file:
            faces = list(csv.DictReader(file))
        with (other / "faces.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(faces[0]))
            writer.writeheader()
            writer.writerows([{**f, "nme_ic": float(f["nme_ic"]) + shift} for f in faces])
    before = table_rows(copy)
    write_ledger(copy)
    after = table_rows(copy)
    mean, sd = (float(after["fifa"][f"{key}_equal_epochs"]) for key in ("ours", "sd"))
    assert mean == pytest.approx(float(before["fifa"]["ours_equal_epochs"]) + 0.5, abs=1e-5)
    assert sd == pytest.approx(1 / np.sqrt(2), abs=1e-5)
    assert after["fifa"]["seeds_equal_epochs"] == "0 1"
    assert "another" in after["fifa"]["commit"]
    # Both seeds of both: (0 + 3) / 2 - (0 + 1) / 2 on top of the first seed's difference.
    differences = [float(rows["two_views"]["difference_equal_epochs"]) for rows in (before, after)]
    assert differences[1] - differences[0] == pytest.approx(1.0, abs=1e-5)
    # dcca has the first seed alone, so that is compared with the first seed of the control.
    assert after["dcca"]["difference_equal_epochs"] == before["dcca"]["difference_equal_epochs"]
    assert "±" in (copy / "ledger.md").read_text().split("## Table 3")[1]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda e: e["result"]["protocol"].update(crop_source="dataset"), "crop_source: '[a-z]+' and '[a-z]+'"),
        (lambda e: e["training"].update(faces=99), "faces trained on"),
        (lambda e: e.update(scale="small"), "scale: "),
        (lambda e: e.update(seed=0, row="fifa"), "seed 0 is in .* already"),
        (lambda e: e.update(row="fiffa"), "no row 'fiffa'"),
    ],
)
def test_runs_that_may_not_stand_in_one_table_are_refused(copy: Path, change: Any, says: str) -> None:
    edit(copy / "table3/two_views/seed0/result.json", change)
    with pytest.raises(FiduciaError, match=says):
        write_ledger(copy)


def test_rows_of_different_crops_stand_in_one_table_each_by_its_own(copy: Path) -> None:
    edit(copy / "table3/two_views/seed0/result.json", lambda e: e["result"]["protocol"].update(crop_scale=0.7, size=96))
    write_ledger(copy)
    assert table_rows(copy)["two_views"]["state"] == "done"


def test_a_damaged_result_names_the_file_and_the_cure(copy: Path) -> None:
    path = copy / "table3/two_views/seed0/result.json"
    path.write_text("{")
    with pytest.raises(FiduciaError, match=r"two_views/seed0/result\.json: not a finished run .* delete it"):
        reproduce(order(copy))


def test_a_folder_of_other_runs_is_refused_and_what_only_computes_is_not(copy: Path, untrained: None) -> None:
    with pytest.raises(UsageError, match=r"optim\.lr = 0\.002 instead of 0\.5"):
        reproduce(order(copy, sets=(*SETS, "optim.lr=0.5")))
    with pytest.raises(UsageError, match=r"data\.source = 'synthetic:40' instead of 'synthetic:60'"):
        reproduce(order(copy, source="synthetic:60"))
    with pytest.raises(UsageError, match="was measured on test, not on train"):
        reproduce(order(copy, split="train"))
    assert reproduce(order(copy, sets=(*SETS, "train.threads=2", "workers=1"))) == []


def test_the_same_run_of_another_table_is_taken_over(copy: Path, untrained: None) -> None:
    assert reproduce(order(copy, table="table6", rows=("two_views", "dcca"))) == []
    rows = table_rows(copy, "table6")
    assert rows["dcca"]["ours_equal_epochs"] == table_rows(copy)["dcca"]["ours_equal_epochs"]
    assert rows["dcca"]["difference_equal_epochs"]
    assert rows["l2"]["state"] == "not run"
    assert "same run as table3/dcca/seed0" in (copy / "ledger.md").read_text()


def test_a_run_that_fails_is_told_and_the_others_are_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = module.train

    def explode(recipe: Any, out: Path, **options: Any) -> Any:
        if "vanilla" in recipe.name:
            raise FiduciaError("the loss is nan at step 3")
        return real(recipe, out, **options)

    monkeypatch.setattr(module, "train", explode)
    failed = reproduce(order(tmp_path, rows=("vanilla", "hourglass"), budgets=("epochs",)))
    assert failed == ["table3/vanilla/seed0: the loss is nan at step 3"]
    assert {name: row["state"] for name, row in table_rows(tmp_path).items() if row["state"] == "done"} == {
        "hourglass": "done"
    }


def test_rows_without_a_network_show_what_was_published(tmp_path: Path, untrained: None) -> None:
    assert reproduce(order(tmp_path, table="table1", rows=("picassonet",))) == []
    rows = table_rows(tmp_path, "table1")
    assert rows["picassonet"]["state"] == "no model"
    assert float(rows["picassonet"]["published"]) > 0
    assert "no model" in (tmp_path / "ledger.md").read_text()


def test_table_1_lines_up_the_columns_of_the_data_that_was_measured(copy: Path) -> None:
    run = copy / "table1/fifa/seed0"
    shutil.copytree(copy / "table3/dcca/seed0", run)

    def relabel(entry: dict[str, Any]) -> None:
        entry.update(table="table1", row="fifa")
        entry["result"]["protocol"].update(data="300w", split="full")
        entry["result"].update(nme_ic=3.5, subsets={"common": {"nme_ic": 3.0}, "challenge": {"nme_ic": 5.0}})

    edit(run / "result.json", relabel)
    lines = [line for line in table_ledger(copy, "table1").lines if line.row.name == "fifa"]
    found = {line.column.key: (line.figure.value, line.cells["epochs"].mean) for line in lines}  # type: ignore[union-attr]
    assert found == {
        "300w/full/nme_ic": (2.89, 3.5),
        "300w/common/nme_ic": (2.51, 3.0),
        "300w/challenge/nme_ic": (4.47, 5.0),
    }
    edit(run / "result.json", lambda e: e["result"]["protocol"].update(data="pts"))
    last = [line for line in table_ledger(copy, "table1").lines if line.row.name == "fifa"][-1]
    assert last.column is None
    assert last.cells["epochs"].mean == 3.5


CASES = [(load_table(table), row) for table in TABLES for row in load_table(table).rows]


@pytest.mark.parametrize(("table", "row"), CASES, ids=[f"{t.name}-{r.name}" for t, r in CASES])
def test_every_row_is_a_recipe_at_every_scale_whose_network_can_be_built(table: Table, row: Row) -> None:
    for scale in row.scales:
        recipe = row_recipe(table, row, scale=scale, source="cofw:/data/a 'b'", seed=7)
        if recipe is None:
            assert not row.has_model
            continue
        assert (recipe.train.seed, recipe.data.source) == (7, "cofw:/data/a 'b'")
        assert recipe.augment.views == row.views
        left_out = "augment.fifa.enabled=false" in row.set
        assert recipe.augment.fifa.enabled is (row.training != "plain" and not left_out)
        with torch.device("meta"):
            model = build_network(resolve(recipe), get_scheme("cofw29"))
        assert model.num_points == 29
        # Only rows of Siamese training compare the views.
        weighed = {name: table for name, table in loss_tables(recipe, model.default_loss()).items() if table.weight}
        compares = {name for name, table in weighed.items() if losses[table.kind].views == 2}
        assert compares == ({"similarity"} if row.training == "dcca" else set())


def test_the_tables_hold_the_rows_that_the_paper_and_the_design_ask_for() -> None:
    def settings(table: str, name: str, scale: str = "paper") -> Any:
        found = load_table(table)
        return row_recipe(found, found.row(name), scale=scale, source="cofw:/x", seed=0)

    full = settings("table3", "dcca")
    assert (full.model.name, full.data.size, full.train.epochs, full.train.batch_size) == ("fifa_base", 512, 250, 20)
    similarity = completed(full).loss["similarity"]
    assert (similarity.kind, similarity.weight, full.data.val_fraction) == ("dcca", 1.0, 0.0)
    assert settings("table3", "vanilla").model.name == "vit_base"
    assert settings("table3", "max_pool").model.options == {"hourglass": {"antialias": False}}
    assert settings("table3", "no_ff_parser").model.options == {"hourglass": {"ffp": False}}
    assert settings("table3", "add").model.options == {"hourglass": {"fuse": "add"}}
    assert [settings("table4", f"n{n}").augment.fifa.n for n in range(3, 8)] == [3, 4, 5, 6, 7]
    distances = ["l2", "l1", "smooth_l1", "wing"]
    chosen = [settings("table6", name).loss["similarity"] for name in distances]
    assert [(table.kind, table.options()["distance"]) for table in chosen] == [("similarity", d) for d in distances]
    assert settings("table6", "dcca").loss["similarity"].kind == "dcca"
    assert settings("table6", "corr_scalar").loss["similarity"].kind == "scalar_correlation"
    matrix, masking = settings("table5", "gray_fifa").augment, settings("table5", "mask_gray_fifa").augment
    assert (matrix.warp, matrix.random_mask) == (True, 0.0)
    assert (masking.warp, masking.random_mask) == (False, 0.5)
    for one in (matrix, masking):
        assert (one.interpolation, one.gray, one.gamma, one.blur, one.noise) == ("nearest", 0.1, False, False, 0.0)
    for table in ("table3", "table6", "table7"):
        assert any(row.kind == "control" and row.training == "two_views" for row in load_table(table).rows)


def test_only_one_step_lies_between_two_rows_of_the_ladder() -> None:
    table = load_table("table3")
    for scale in SCALES:
        recipes = [row_recipe(table, table.row(name), scale=scale, source="synthetic:", seed=0) for name in LADDER]
        steps = []
        for a, b in pairwise(recipes):
            assert a is not None
            assert b is not None
            steps.append({key.split(".")[0] for key in differences(a, b)})
        assert steps == [{"model"}, {"augment"}, {"augment"}, {"loss"}]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["table8", "--data", "synthetic:"], "table8: no such table"),
        (["table3"], "--data is missing"),
        (["table3", "--data", "synthetic:", "--rows", "dca"], "did you mean 'dcca'"),
        (["table4", "--data", "synthetic:", "--scale", "paper", "--rows", "n3_crop"], "none of scale paper"),
        (["table3", "--data", "synthetic:", "--scale", "big"], "expected smoke, small, paper"),
        (["table3", "--data", "synthetic:", "--budget", "time"], "expected epochs, views or both"),
        (["table3", "--data", "synthetic:", "--set", "optim.lrr=1"], "did you mean 'lr'"),
    ],
)
def test_wrong_use_is_told_before_anything_is_trained(
    words: list[str], says: str, tmp_path: Path, untrained: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["reproduce", *words, "--out", str(tmp_path)])
    assert caught.value.code == 2
    assert says in capsys.readouterr().err


def test_the_ledger_alone_needs_no_data(copy: Path, untrained: None, capsys: pytest.CaptureFixture[str]) -> None:
    (copy / "ledger.md").unlink()
    with pytest.raises(SystemExit) as caught:
        main(["reproduce", "table3", "--ledger-only", "--out", str(copy)])
    assert caught.value.code == 0
    assert capsys.readouterr().out.strip() == str(copy / "ledger.md")
    assert "`dcca`" in (copy / "ledger.md").read_text()


def test_a_table_of_fiducias_own_has_intervals_and_validation_and_no_empty_columns(
    finished: Path, tmp_path: Path
) -> None:
    for row, twin in (("vit", "vanilla"), ("fifa_tiny", "hourglass")):
        run = tmp_path / "comparison" / row / "seed0"
        shutil.copytree(finished / f"table3/{twin}/seed0", run)
        edit(run / "result.json", lambda entry, name=row: entry.update(table="comparison", row=name))
        metrics = json.loads((run / "metrics.json").read_text())
        metrics["history"] += [{"val_nme": 9.0, "val_nme_ema": 5.25}, {"train_total": 1.0}]
        (run / "metrics.json").write_text(json.dumps(metrics))
    (ledger,) = write_ledger(tmp_path, "comparison")
    lines = {line.row.name: line.cells.get("epochs") for line in ledger.lines}
    cell, errors = lines["vit"], read_run(tmp_path / "comparison/vit/seed0/result.json").errors
    assert cell is not None
    assert cell.interval == bootstrap_mean(errors)
    assert cell.interval[0] < cell.mean < cell.interval[1]
    assert cell.validation == 5.25
    table = [x for x in (tmp_path / "ledger.md").read_text().splitlines() if x.startswith("|")]
    heads = [cell.strip() for cell in table[0].strip("|").split("|")]
    assert heads == ["row", "", "NME on synthetic test", "95 % interval", "NME on validation faces", "seeds"]
    assert f"{cell.mean:.3f} | {cell.interval[0]:.3f} to {cell.interval[1]:.3f} | 5.250 | 1 |" in table[2]
    assert next(x for x in table if "`slpt`" in x).split("|")[3].strip() == "not run"
    row = table_rows(tmp_path, "comparison")["vit"]
    assert [float(row[key]) for key in ("low", "high", "validation")] == pytest.approx([*cell.interval, 5.25], abs=1e-5)
    assert table_rows(tmp_path, "comparison")["slpt"]["low"] == ""


def test_at_smoke_a_registered_network_is_a_toy_and_at_other_scales_itself() -> None:
    table = load_table("table7")
    for row in table.rows:
        toy, small = (row_recipe(table, row, scale=scale, source="synthetic:", seed=0) for scale in ("smoke", "small"))
        assert toy is not None
        assert small is not None
        assert toy.model.name == small.model.name == row.net
        assert toy.model.options == models[row.net].test_options
        assert small.model.options == {}
