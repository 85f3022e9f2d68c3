"""One training run: a recipe in, a run directory out."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from .._version import __version__
from ..augment.views import EvalViews, TrainViews
from ..data.dataset import FaceDataset
from ..data.streamed import StreamedFaces
from ..device import own_group
from ..errors import UsageError
from ..files import require_writable, write_atomic
from ..locks import held
from ..plugins import loaded_plugins
from ..recipes.files import dump_recipe
from ..recipes.sections import Recipe
from ..recipes.stages import stage_recipes
from ..structures import Batch
from .checkpoint import clean_leftovers
from .collections import collections_of, measure_of
from .fabric import launch, process_globals, require_same
from .faces import RunFaces, faces_of_stages, split_records, training_supply
from .legs import check_sizes, place_of, start_leg
from .logs import RunLog, versions
from .loop import Hooks, Learner, run_epochs
from .setup import completed
from .state import RunState, digest, open_run
from .stop import Stop
from .validate import save_run_weights, validate

__all__ = ["RunResult", "train"]


@dataclass(frozen=True)
class RunResult:
    """A finished run: its directory and its metrics, one row per epoch."""

    directory: Path
    history: list[dict[str, float]]


def train(
    recipe: Recipe, out: str | Path, *, resume: bool = False, init: str | None = None, stop: Stop | None = None
) -> RunResult:
    """Train a network. The run directory gets weights, checkpoints and run metadata.

    Args:
        recipe: the settings of the run.
        out: the run directory: ``recipe.toml``, ``versions.json``, ``metrics.csv``, ``tensorboard/``,
            ``checkpoints/last.ckpt``, ``weights/{last,ema,best}.safetensors``, ``plugins/``, ``faces.png``; of several
            stages ``weights/stageN.safetensors`` too.
        resume: resume from ``checkpoints/last.ckpt``. The result equals that of a run that was never stopped. The recipe may
            have more epochs (the schedule then counts from the start of the run) or more stages after the last.
        init: weights to start from: a name, file or run directory. With another number of landmarks the head is new.
        stop: checked after every step; a signal saves the state and raises Interrupted.

    Raises:
        UsageError: ``out`` cannot be written or holds a run already, the resumed run has another recipe, or a value of the
            recipe cannot be used.
        FiduciaError: another process writes into ``out``; unreadable faces; or a loss that is not finite, with the step where
            it happened.
        Interrupted: a signal stopped the run.

    Example:
        >>> import tempfile, fiducia
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     tiny = [f"data.source=synthetic:4@{folder}", "data.size=64", "data.val_fraction=0.25", "train.epochs=1"]
        ...     done = fiducia.train(fiducia.load_recipe("smoke", tiny), f"{folder}/run")
        >>> len(done.history), "val_nme" in done.history[0]
        (1, True)
    """
    out = Path(out)
    recipe = completed(recipe)
    require_writable(out / "recipe.toml")
    saved = open_run(out, recipe, resume)
    stop = stop if stop is not None else Stop()
    with process_globals(recipe.train), own_group():
        fabric = launch(recipe.train)
        # Two runs in one directory would write into each other's checkpoints.
        with held(out, "fiducia train") if fabric.global_rank == 0 else contextlib.nullcontext():
            return _train(fabric, recipe, out, saved, init, stop)


def _train(
    fabric: Fabric, recipe: Recipe, out: Path, saved: dict[str, Any] | None, init: str | None, stop: Stop
) -> RunResult:
    faces = split_records(recipe.data)
    legs = stage_recipes(recipe)
    chosen = faces_of_stages(faces, recipe.data, [leg.data for leg in legs])
    require_same(
        fabric,
        {
            "versions": f"fiducia {__version__}, torch {torch.__version__}",
            "recipe": digest(recipe.model_dump(mode="json")),
            "faces": "; ".join(
                dict.fromkeys(
                    f"{len(one.training)} for training, {len(one.validation)} for validation" for one in chosen
                )
            ),
        },
    )
    check_sizes(legs, faces.scheme)
    first = saved.get("leg", 0) if saved is not None else 0
    state: RunState | None = None
    log: RunLog | None = None
    stop.armed = True
    try:
        for number in range(first, len(legs)):
            faces = chosen[number]
            state = start_leg(legs, number, faces, before=state, init=init, saved=saved)
            saved = None
            if log is None:
                log = RunLog(out, state.history, quiet=fabric.global_rank > 0)
                if fabric.global_rank == 0:
                    clean_leftovers(out / "checkpoints")
                    recipe = _keep(recipe, out)
                _say(log, recipe.train.seed, faces, state, init, fabric.device)
            elif faces is not chosen[number - 1]:
                log.console.print(f"stage {number + 1}: {_counts(faces)}")
            log.stage = f"stage {number + 1}/{len(legs)}" if len(legs) > 1 else ""
            _run_leg(fabric, recipe, legs, number, faces, state, log, out, stop)
    finally:
        stop.armed = False
        if log is not None:
            log.close()
    assert state is not None
    assert log is not None
    log.json("metrics.json", {"history": log.history, "best": state.best})
    return RunResult(out, log.history)


def _run_leg(
    fabric: Fabric,
    recipe: Recipe,
    legs: Sequence[Recipe],
    number: int,
    faces: RunFaces,
    state: RunState,
    log: RunLog,
    out: Path,
    stop: Stop,
) -> None:
    """Train stage ``number`` from the state's place to its end, and write its weights.

    Args:
        fabric: devices and processes.
        recipe: the whole run's, for checkpoints.
        legs: the recipes of all stages.
        number: the stage, from 0.
        faces: of the stage.
        state: of :func:`~fiducia.training.legs.start_leg`.
        log: of the run.
        out: the run's directory.
        stop: looked at after every step.
    """
    own, scheme = legs[number], faces.scheme
    cfg, rank0 = own.train, fabric.global_rank == 0
    place = place_of(legs, number)
    views = TrainViews(own.data, own.augment, scheme, place.total)
    supply = training_supply(faces.training, views, own.data, cfg)
    # What streams is larger than memory: its validation faces are read again each time, too.
    keep = own.data.cache and not isinstance(faces.training, StreamedFaces)
    held_out = FaceDataset(faces.validation, EvalViews(own.data), seed=cfg.seed, cache=keep)
    model, objective = state.model, state.objective
    if cfg.channels_last:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    learner, state.optimizer = fabric.setup(Learner(model, objective), state.optimizer)
    state.attach(fabric.strategy.precision)
    state.ema.tensors = {name: tensor.to(fabric.device) for name, tensor in state.ema.tensors.items()}
    checkpoint, text = out / "checkpoints" / "last.ckpt", dump_recipe(recipe)

    def check(epoch: int) -> dict[str, float]:
        if not faces.validation or (epoch % cfg.val_every and epoch != place.last):
            return {}
        return validate(fabric, model, state.ema, held_out, own, scheme, out / "faces.png" if rank0 else None)

    told = legs[: number + 1] if recipe.stage else ()
    metric = measure_of(collections_of(faces.validation, scheme), len(own.data.sources) > 1)

    def write(which: str, name: str = "") -> None:
        if rank0:
            path = out / "weights" / f"{name or which}.safetensors"
            save_run_weights(
                path, model, state.ema, own, scheme, state.history, which, told, metric=metric, start=state.start
            )

    def shares(batch: Batch, epoch: float) -> dict[str, float]:
        return objective.gradient_shares(model, batch, epoch, place.total)

    hooks = Hooks(
        save=lambda: state.save(checkpoint, text) if rank0 else None,
        validate=check,
        best=lambda: write("best"),
        shares=shares if cfg.log_gradient_shares else None,
    )
    run_epochs(fabric, learner, state, supply, log, hooks, leg=place, stop=stop)
    if place.last < place.total:
        write("ema", f"stage{number + 1}")
    else:
        for which in ("last", "ema"):
            write(which)


def _say(log: RunLog, seed: int, faces: RunFaces, state: RunState, init: str | None, device: torch.device) -> None:
    """Write what the run depends on, and tell the user what it starts from."""
    counts = {"faces": len(faces.training), "validation": len(faces.validation)}
    log.json("versions.json", {**versions(), "seed": seed, "init": init or "", **counts})
    for line in faces.remarks:
        log.console.print(line, soft_wrap=True, markup=False)
    if state.fresh:
        new = ", ".join(dict.fromkeys(k.partition(".")[0] for k in state.fresh))
        log.console.print(f"started from {init}; new: {new}")
    log.console.print(f"{_counts(faces)}; {device}")


def _counts(faces: RunFaces) -> str:
    return f"{len(faces.training)} training faces, {len(faces.validation)} validation faces"


def _keep(recipe: Recipe, out: Path) -> Recipe:
    """Write the recipe into the run's directory, and the plugins that it needs beside it."""
    files = loaded_plugins()
    names = [f"plugins/{file.name}" for file in files]
    if len(set(names)) < len(names):
        raise UsageError(f"two plugins have one file name ({', '.join(map(str, files))}); rename one")
    for file, name in zip(files, names, strict=True):
        if (out / name).absolute() != file:
            (out / "plugins").mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, out / name)
    recipe = recipe.model_copy(update={"plugins": tuple(names)})
    write_atomic(out / "recipe.toml", dump_recipe(recipe).encode())
    return recipe
