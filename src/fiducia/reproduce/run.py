"""A table of the paper, row by row: train what is missing, go on with what was cut off, measure once, keep the ledger.

A run is a folder, ``OUT/TABLE/ROW/seedN`` (``seedN-views`` for the longer run of a row of one view), and everything that
is known about it lies there: so folders of several machines are merged by copying them together.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..data.source import find_dataset, load_records
from ..errors import FiduciaError, Interrupted, UsageError
from ..evaluation.evaluate import Settings, evaluate_faces
from ..evaluation.subsets import default_split, require_parts
from ..files import write_atomic
from ..recipes.files import load_recipe
from ..recipes.sections import Recipe
from ..training.faces import split_records
from ..training.run import train
from ..training.setup import completed
from ..training.state import differences
from ..training.stop import Stop
from .ledger import RESULT, read_run
from .ledger_files import write_ledger
from .rows import BUDGETS, SCALES, Row, Table, load_table, row_recipe

__all__ = ["Order", "Run", "plan", "reproduce"]

# A finished run stays finished where these differ: they change how a run is computed, not what it is.
_IMMATERIAL = frozenset(
    {
        "name",
        "data.cache",
        *(f"train.{key}" for key in ("device", "devices", "num_nodes", "workers", "threads")),
        *(f"train.{key}" for key in ("checkpoint_every", "val_every", "log_gradient_shares")),
    }
)


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is wanted of a table.

    Attributes:
        table: ``table1`` … ``table7``.
        source: ``NAME:ROOT``, the data of training and testing.
        out: the folder of all runs and of the ledger.
        scale: ``smoke``, ``small`` or ``paper``.
        seeds: of the runs of every row.
        rows: names of rows; None = all.
        budgets: ``epochs``, ``views`` or both.
        split: measured on; None = the test split.
        sets: ``key=value`` for every row, over all that the table says.
    """

    table: str
    source: str
    out: Path
    scale: str = "smoke"
    seeds: tuple[int, ...] = (0,)
    rows: tuple[str, ...] | None = None
    budgets: tuple[str, ...] = BUDGETS
    split: str | None = None
    sets: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training and its measurement; ``state`` is ``new``, ``cut off``, ``trained`` or ``finished``."""

    row: Row
    seed: int
    budget: str
    recipe: Recipe
    folder: Path
    state: str


def reproduce(order: Order, say: Callable[[str], None] = lambda line: None, stop: Stop | None = None) -> list[str]:
    """Do what is missing of a table and write ``OUT/ledger.md`` and ``OUT/ledger.csv``, anew after every run.

    Rows are taken in turn and seeds one after the other, so that a first column stands early. Nothing depends on the
    order: killed at any moment, a second call does the rest. A folder is for one process (or torchrun) at a time.

    Args:
        order: what is wanted.
        say: takes a line for each run.
        stop: looked at by the training of each run, which saves its state first.

    Returns:
        a line for each run that failed, such as one whose loss exploded; the others are done.

    Raises:
        Interrupted: a signal stopped a training; its state is saved.
        UsageError: unknown names, or a folder that holds other runs than the ones ordered.
        FiduciaError: data that cannot be used; it is looked at before anything is trained.
    """
    table = load_table(order.table)
    split = order.split or default_split(find_dataset(order.source)[0])
    runs = plan(order, table, split)
    todo = [run for run in runs if run.state != "finished"]
    say(f"{table.name}: {len(runs) - len(todo)} of {len(runs)} runs are finished")
    if todo:
        _look_at_data(todo[0].recipe, split)
    failed: list[str] = []
    for number, run in enumerate(todo, 1):
        verb = {"new": "train", "cut off": "go on with", "trained": "measure"}[run.state]
        where = run.folder.relative_to(order.out).as_posix()
        say(f"[{number}/{len(todo)}] {verb} {where}: {run.row.label}, {run.recipe.train.epochs} epochs")
        try:
            if not _reuse(order, run, split):
                if run.state != "trained":
                    train(run.recipe, run.folder, resume=run.state == "cut off", stop=stop)
                _measure(order, run, split)
        except (UsageError, Interrupted):
            raise
        except FiduciaError as error:
            failed.append(f"{where}: {error}")
            say(failed[-1])
        if _lead():
            write_ledger(order.out, table.name)
    if _lead():
        write_ledger(order.out, table.name)
    return failed


def plan(order: Order, table: Table, split: str) -> list[Run]:
    """Return every run that the order asks for, with what its folder says of it; rows without a model have none.

    Raises:
        UsageError: as :func:`reproduce`.
    """
    if order.scale not in SCALES:
        raise UsageError(f"--scale {order.scale}: expected {', '.join(SCALES)}")
    rows = table.at(order.scale)
    if order.rows is not None:
        wanted = [table.row(name) for name in order.rows]
        for row in wanted:
            if row not in rows:
                raise UsageError(f"{table.name}: the row {row.name} is none of scale {order.scale}; {row.label}")
        rows = [row for row in rows if row in wanted]
    runs = []
    whole: dict[str, Recipe] = {}  # a row's losses and size are the same for all its seeds
    for seed in order.seeds:
        for row in rows:
            kept = (table.run_of(row, budget) for budget in order.budgets)
            for budget in dict.fromkeys(budget for budget in kept if budget is not None):
                recipe = row_recipe(
                    table, row, scale=order.scale, source=order.source, seed=seed, budget=budget, sets=order.sets
                )
                if recipe is not None:
                    if row.name not in whole:
                        whole[row.name] = completed(recipe)
                    recipe = recipe.model_copy(update={"data": whole[row.name].data, "loss": whole[row.name].loss})
                    name = f"seed{seed}" if budget == "epochs" else f"seed{seed}-views"
                    folder = order.out / table.name / row.name / name
                    state = _state(folder, recipe, split)
                    runs.append(Run(row=row, seed=seed, budget=budget, recipe=recipe, folder=folder, state=state))
    return runs


def _state(folder: Path, recipe: Recipe, split: str) -> str:
    """Return what a folder says of its run.

    Raises:
        UsageError: it holds the run of another recipe, or a measurement on another split.
    """
    finished = (folder / RESULT).is_file()
    # metrics.json is the last thing that training writes.
    trained = (folder / "metrics.json").is_file() and (folder / "weights" / "ema.safetensors").is_file()
    cut_off = (folder / "checkpoints" / "last.ckpt").is_file()
    if not (finished or trained or cut_off):
        return "new"
    other = _other(load_recipe(folder / "recipe.toml"), recipe)
    if other:
        raise UsageError(f"{folder}: holds a run with {other}; give another --out, or the settings of that run")
    if finished:
        measured = read_run(folder / RESULT).result["protocol"]["split"]
        if measured != split:
            raise UsageError(f"{folder}: was measured on {measured}, not on {split}; give another --out")
        return "finished"
    return "trained" if trained else "cut off"


def _other(there: Recipe, wanted: Recipe) -> str:
    """Return the first setting in which two recipes differ, in words; empty where they are the same run."""
    for key, (x, y) in differences(there, wanted).items():
        if key == "data.source" and not str(x).startswith("synthetic:"):
            # The same files lie elsewhere on another machine; drawn faces are known by their root.
            x, y = str(x).partition(":")[0], str(y).partition(":")[0]
        if key not in _IMMATERIAL and x != y:
            return f"{key} = {x!r} instead of {y!r}"
    return ""


def _immaterial(value: str) -> bool:
    """Whether ``key=value`` changes how a run is computed and not what it is; the key may come without its section."""
    key = value.partition("=")[0].strip()
    return any(key in (known, known.rpartition(".")[2]) for known in _IMMATERIAL)


def _material(order: Order) -> list[str]:
    """Return the order's own settings that change what its runs are, as the ledger tells them."""
    return [value for value in order.sets if not _immaterial(value)]


def _look_at_data(recipe: Recipe, split: str) -> None:
    """Read the annotation of both sides, so that nothing is trained for hours that cannot be measured."""
    data = recipe.data
    split_records(recipe.data)
    for source in data.sources:
        spec, root = find_dataset(source)
        records = load_records(source, split, data.scheme)
        require_parts(spec.name, root, split, records)
    if not records:
        raise FiduciaError(f"{data.shown}: no face in split {split!r}; run: fiducia data check {data.source}")


def _reuse(order: Order, run: Run, split: str) -> bool:
    """Take over a finished run of the same recipe from another row or table (Table 4's 5 x 5 is Table 3's last row).

    One that was measured on another split is another figure, and is left alone.
    """
    if run.state != "new" or not _lead() or "WORLD_SIZE" in os.environ:
        return False
    for path in sorted(order.out.glob(f"table*/*/{run.folder.name}/{RESULT}")):
        twin = path.parent
        if _other(load_recipe(twin / "recipe.toml"), run.recipe):
            continue
        entry = read_run(path).entry
        if entry["result"]["protocol"]["split"] == split:
            for name in ("recipe.toml", "versions.json", "metrics.json", "faces.csv"):
                write_atomic(run.folder / name, (twin / name).read_bytes())
            entry |= {"table": order.table, "row": run.row.name, "budget": run.budget}
            entry |= {"scale": order.scale, "sets": _material(order)}
            entry["taken_from"] = twin.relative_to(order.out).as_posix()
            write_atomic(run.folder / RESULT, (json.dumps(entry, indent=2) + "\n").encode())
            return True
    return False


def _measure(order: Order, run: Run, split: str) -> None:
    """Measure the averaged weights of the last epoch and finish the run; its checkpoint is of no more use then."""
    recipe = run.recipe
    settings = Settings(weights=str(run.folder), device=recipe.train.device)
    done = evaluate_faces(settings, order.source, split, scheme=recipe.data.scheme)
    if not (done.lead and _lead()):
        return
    versions = json.loads((run.folder / "versions.json").read_text())
    history = json.loads((run.folder / "metrics.json").read_text())["history"]
    batch = min(recipe.train.batch_size, versions["faces"])
    seen = recipe.train.epochs * (versions["faces"] // batch) * batch
    entry = {
        "format": 1,
        "table": order.table,
        "row": run.row.name,
        "seed": run.seed,
        "budget": run.budget,
        "scale": order.scale,
        "source": order.source,
        "sets": _material(order),
        "weights": "averaged (EMA), last epoch",
        "training": {
            "faces": versions["faces"],
            "epochs": recipe.train.epochs,
            "image_views": seen * recipe.augment.views,
            "seconds": round(sum(row["seconds"] for row in history), 1),
        },
        "commit": versions["commit"],
        "fiducia": versions["fiducia"],
        "result": done.result,
    }
    write_atomic(run.folder / "faces.csv", done.faces_csv())
    write_atomic(run.folder / RESULT, (json.dumps(entry, indent=2) + "\n").encode())
    shutil.rmtree(run.folder / "checkpoints", ignore_errors=True)


def _lead() -> bool:
    """Whether this is the first process of a run of several, or the only one."""
    return os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")) == "0"
