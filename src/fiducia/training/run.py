"""One training run: a recipe in, a run directory out."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import torch

from ..augment.views import EvalViews, TrainViews
from ..data.dataset import FaceDataset
from ..errors import UsageError
from ..files import require_writable, write_atomic
from ..plugins import loaded_plugins
from ..recipes.files import dump_recipe
from ..recipes.sections import Recipe
from ..structures import Batch
from ..weights.backbone import load_backbone
from ..weights.transfer import init_from
from .checkpoint import clean_leftovers
from .ema import EMA
from .fabric import launch, process_globals
from .faces import mean_face, split_records
from .logs import RunLog, versions
from .loop import Hooks, Learner, run_epochs
from .optim import build_optimizer
from .setup import build_network, build_objective, completed
from .state import RunState, open_run
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
            ``checkpoints/last.ckpt``, ``weights/{last,ema,best}.safetensors``, ``plugins/``, ``faces.png``.
        resume: resume from ``checkpoints/last.ckpt``. The result equals that of a run that was never stopped. The recipe may
            have more epochs; the schedule then counts from the start of the run.
        init: weights to start from: a name, file or run directory. With another number of landmarks the head is new.
        stop: checked after every step; a signal saves the state and raises Interrupted.

    Raises:
        UsageError: ``out`` cannot be written or holds a run already, the resumed run has another recipe, or a value of the
            recipe cannot be used.
        FiduciaError: unreadable faces; or a loss that is not finite, with the step where it happened.
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
    with process_globals(recipe.train):
        return _train(recipe, out, saved, init, stop)


def _train(recipe: Recipe, out: Path, saved: dict[str, object] | None, init: str | None, stop: Stop) -> RunResult:
    cfg = recipe.train
    fabric = launch(cfg)
    rank0 = fabric.global_rank == 0
    faces = split_records(recipe.data)
    training, validation, scheme = faces.training, faces.validation, faces.scheme
    torch.manual_seed(cfg.seed)
    model = build_network(recipe, scheme)
    face = mean_face(training, recipe.data)
    if face is not None:
        model.prepare(face)
    if recipe.model.backbone_weights is not None:
        load_backbone(model, recipe.model.backbone_weights)
    fresh: list[str] = []
    if init is not None:
        fresh = init_from(model, init, kind=recipe.model.name, twin=lambda other: build_network(recipe, other))
    objective = build_objective(recipe, scheme, model)
    optimizer = build_optimizer(model, objective.parameters(), recipe.optim)
    state = RunState(model=model, objective=objective, optimizer=optimizer, ema=EMA(model, recipe.optim.ema))
    dataset = FaceDataset(
        training,
        TrainViews(recipe.data, recipe.augment, scheme, cfg.epochs),
        seed=cfg.seed,
        cache=recipe.data.cache,
    )
    if cfg.workers > 0 and recipe.data.cache:
        dataset.fill()  # workers inherit it; what they would read themselves is forgotten after every epoch
    held_out = FaceDataset(validation, EvalViews(recipe.data), seed=cfg.seed, cache=recipe.data.cache)
    if saved is not None:
        state.load(saved)
    if cfg.channels_last:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    learner, state.optimizer = fabric.setup(Learner(model, objective), optimizer)
    state.ema.tensors = {name: tensor.to(fabric.device) for name, tensor in state.ema.tensors.items()}

    checkpoint = out / "checkpoints" / "last.ckpt"
    log = RunLog(out, state.history, quiet=not rank0)
    if rank0:
        clean_leftovers(checkpoint.parent)
        recipe = _keep(recipe, out)
        log.json(
            "versions.json",
            {**versions(), "seed": cfg.seed, "init": init or "", "faces": len(training), "validation": len(validation)},
        )
    text = dump_recipe(recipe)
    for line in faces.remarks:
        log.console.print(line, soft_wrap=True, markup=False)
    if fresh:
        log.console.print(f"started from {init}; new: {', '.join(dict.fromkeys(k.partition('.')[0] for k in fresh))}")
    log.console.print(f"{len(training)} training faces, {len(validation)} validation faces; {fabric.device}")

    def check(epoch: int) -> dict[str, float]:
        if not validation or (epoch % cfg.val_every and epoch != cfg.epochs):
            return {}
        return validate(fabric, model, state.ema, held_out, recipe, scheme, out / "faces.png" if rank0 else None)

    def write(which: str) -> None:
        if rank0:
            path = out / "weights" / f"{which}.safetensors"
            save_run_weights(path, model, state.ema, recipe, scheme, state.history, which)

    def shares(batch: Batch) -> dict[str, float]:
        return objective.gradient_shares(model, batch)

    hooks = Hooks(
        save=lambda: state.save(checkpoint, text) if rank0 else None,
        validate=check,
        best=lambda: write("best"),
        shares=shares if cfg.log_gradient_shares else None,
    )
    stop.armed = True
    try:
        run_epochs(fabric, learner, state, dataset, log, hooks, train=cfg, optim=recipe.optim, stop=stop)
    finally:
        stop.armed = False
        log.close()
    for which in ("last", "ema"):
        write(which)
    log.json("metrics.json", {"history": log.history, "best": state.best})
    return RunResult(out, log.history)


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
