"""The training loop: two views, one network with shared weights (Sect. 3.3), everything in sight.

A run is a pure function of its recipe: the order of the faces and every augmentation draw come from (seed, epoch, face),
so workers, processes and a kill in between change nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ..augment.views import EvalViews, TrainViews
from ..recipes.sections import Recipe
from ..data.dataset import EpochSampler, FaceDataset, collate
from ..files import write_atomic
from ..data.source import carve, exclude, keep, load_records
from ..losses.objective import Objective
from ..models import build_model
from ..weights.files import init_from
from ..recipes.files import dump_recipe
from ..schemes.sets import Scheme, get_scheme
from ..structures import Batch, Record
from ..errors import FiduciaError, UsageError
from .checkpoint import load_checkpoint, save_checkpoint
from .distill import blend_labels
from .fabric import launch
from .logs import RunLog, versions
from .optim import EMA, build_optimizer, learning_rate_factor, set_learning_rate
from .validate import save_run_weights, validate

__all__ = ["Learner", "RunResult", "split_records", "train"]


@dataclass(frozen=True)
class RunResult:
    """What a finished run gives back: its directory and its metrics, one row an epoch."""

    directory: Path
    history: list[dict[str, float]]


class Learner(nn.Module):
    """The network and the objective as one module, so that DDP sees every parameter that learns."""

    def __init__(self, model: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.model = model
        self.objective = objective

    def forward(self, images: Tensor, xy: Tensor, mask: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Images ``(B, V, 3, H, W)``, points ``(B, V, K, 2)`` crop pixels, mask ``(B, V, K)`` → loss and named terms."""
        output = self.model(images.flatten(0, 1))
        # The objective sums over thousands of cells and inverts covariances: never in half precision.
        with torch.autocast(images.device.type, enabled=False):
            return self.objective(output, xy, mask)


def split_records(recipe: Recipe) -> tuple[list[Record], list[Record], Scheme]:
    """Return a recipe's training faces, its validation faces (carved by photograph), and their scheme.

    Raises:
        FiduciaError: no face is left, or the faces are of several schemes.
    """
    data = recipe.data
    found = load_records(data.source, data.split, data.scheme)
    records = exclude(found, data.exclude)
    if found and not records:
        raise FiduciaError(f"{data.source}: data.exclude leaves none of {len(found):,} faces; take a pattern out of it")
    if not records:
        raise FiduciaError(f"{data.source}: no face in split {data.split!r}; run: fiducia data check {data.source}")
    names = sorted({record.scheme for record in records})
    if len(names) > 1:
        raise FiduciaError(
            f"{data.source}: faces of several landmark sets ({', '.join(names)}); train on one at a time"
        )
    training, validation = carve(records, data.val_fraction, data.val_seed)
    if data.only:
        training, validation = keep(training, data.only), keep(validation, data.only)
        if not training:
            raise FiduciaError(f"{data.source}: data.only matches none of {len(records):,} faces; mend a pattern")
    if data.limit is not None:
        training, validation = training[: data.limit], validation[: data.limit]
    return training, validation, get_scheme(names[0])


def _require_writable(out: Path) -> None:
    """Refuse a place where no directory can be made, before the faces are read; nothing is made yet."""
    nearest = next(path for path in (out.absolute(), *out.absolute().parents) if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        what = "cannot be written" if nearest.is_dir() else "is a file"
        raise UsageError(f"{out}: no run can be kept there ({nearest} {what}); give another --out")


def train(recipe: Recipe, out: Path, *, resume: bool = False, init: str | None = None) -> RunResult:
    """Train a network and leave everything that explains it in ``out``.

    Args:
        recipe: the whole run.
        out: the run's directory: ``recipe.toml``, ``versions.json``, ``metrics.csv``, ``tensorboard/``,
            ``checkpoints/last.ckpt``, ``weights/{last,ema,best}.safetensors``, ``faces.png``.
        resume: go on from ``checkpoints/last.ckpt``; the result is the one of a run that was never stopped.
        init: weights to start from, by name or file; of another landmark count, all but the head is taken.

    Raises:
        UsageError: ``out`` cannot be written or holds a run already, or the resumed recipe is another one.
        FiduciaError: unreadable faces; or a loss that is no longer finite, with the step where it happened.
    """
    cfg = recipe.train
    fabric = launch(cfg)
    rank0 = fabric.global_rank == 0
    checkpoint = out / "checkpoints" / "last.ckpt"
    if checkpoint.exists() and not resume:
        raise UsageError(f"{out}: holds a run already; go on with --resume, or give another --out")
    _require_writable(out)
    state = load_checkpoint(checkpoint) if resume else None
    if state is not None and state["recipe"] != dump_recipe(recipe):
        raise UsageError(f"{out}: was trained by another recipe; resume with {out / 'recipe.toml'}, unchanged")

    training, validation, scheme = split_records(recipe)
    training = blend_labels(training, recipe.data, cfg.device)
    torch.manual_seed(cfg.seed)
    model = build_model(recipe.model, scheme.num_points, recipe.data.size)
    fresh = init_from(model, init) if init is not None else None
    objective = Objective(
        recipe.loss,
        recipe.heatmap,
        num_points=scheme.num_points,
        feature_channels=int(model.feature_channels),  # type: ignore[arg-type]
        stride=int(model.stride),  # type: ignore[arg-type]
        size=recipe.data.size,
    )
    optimizer = build_optimizer(model, objective.parameters(), recipe.optim)
    ema = EMA(model, recipe.optim.ema)

    dataset = FaceDataset(
        training,
        TrainViews(recipe.data, recipe.augment, scheme, cfg.epochs),
        seed=cfg.seed,
        cache=recipe.data.cache,
    )
    if cfg.workers > 0 and recipe.data.cache:
        dataset.fill()  # workers inherit it; what they would read themselves is forgotten after every epoch
    held_out = FaceDataset(validation, EvalViews(recipe.data), seed=cfg.seed, cache=recipe.data.cache)

    step, epoch0, skip, history, best = 0, 1, 0, [], float("inf")
    sums: dict[str, float] = {}
    if state is not None:
        model.load_state_dict(state["model"])
        objective.load_state_dict(state["objective"])
        optimizer.load_state_dict(state["optimizer"])
        ema.load(state["ema"], state["ema_steps"])
        step, epoch0, skip = state["step"], state["epoch"], state["skip"]
        history, best, sums = state["history"], state["best"], state["sums"]
        torch.set_rng_state(state["rng"])

    if cfg.channels_last:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    learner, optimizer = fabric.setup(Learner(model, objective), optimizer)
    ema.tensors = {name: tensor.to(fabric.device) for name, tensor in ema.tensors.items()}

    log = RunLog(out, history, quiet=not rank0)
    if rank0 and state is None:
        write_atomic(out / "recipe.toml", dump_recipe(recipe).encode())
        log.json(
            "versions.json",
            {**versions(), "seed": cfg.seed, "init": init or "", "faces": len(training), "validation": len(validation)},
        )
    if fresh:
        log.console.print(f"started from {init}; new: {', '.join(dict.fromkeys(k.partition('.')[0] for k in fresh))}")
    log.console.print(f"{len(training)} faces to train on, {len(validation)} held out; {fabric.device}")

    def save(epoch: int, done: int) -> None:
        if rank0:
            state = {
                "format": 1,
                "recipe": dump_recipe(recipe),
                "model": model.state_dict(),
                "objective": objective.state_dict(),
                "optimizer": optimizer.state_dict(),
                "ema": ema.state_dict(),
                "ema_steps": ema.steps,
                "step": step,
                "epoch": epoch,
                "skip": done,
                "history": log.history,
                "best": best,
                "sums": sums,
                "rng": torch.get_rng_state(),
            }
            save_checkpoint(checkpoint, state)

    saved = time.monotonic()
    for epoch in range(epoch0, cfg.epochs + 1):
        started = time.monotonic()
        loader = _loader(dataset, recipe, epoch, fabric.global_rank, fabric.world_size, skip)
        steps_per_epoch = skip + len(loader)
        total = cfg.epochs * steps_per_epoch
        learner.train()
        for done, batch in enumerate(_on_device(loader, fabric.device), start=skip + 1):
            set_learning_rate(optimizer, learning_rate_factor(step, total, recipe.optim))
            loss, terms = learner(batch.images, batch.xy, batch.mask)
            optimizer.zero_grad(set_to_none=True)
            fabric.backward(loss)
            if recipe.optim.clip > 0:
                norm = fabric.clip_gradients(learner, optimizer, max_norm=recipe.optim.clip, error_if_nonfinite=False)
                terms["grad_norm"] = norm
            optimizer.step()
            step += 1
            ema.update(model)
            _add(sums, _mean(fabric, terms), step)
            if time.monotonic() - saved > cfg.checkpoint_every and done < steps_per_epoch:
                save(epoch, done)
                saved = time.monotonic()
        row = {"epoch": float(epoch)}
        row |= {f"train_{name}": value / steps_per_epoch for name, value in sums.items()}
        row["lr"] = optimizer.param_groups[-1]["lr"]
        if cfg.log_gradient_shares:
            row |= {f"train_share_{k}": v for k, v in learner.module.objective.gradient_shares(model, batch).items()}
        if validation and (epoch % cfg.val_every == 0 or epoch == cfg.epochs):
            row |= validate(fabric, model, ema, held_out, recipe, scheme, out / "faces.png" if rank0 else None)
        row["seconds"] = time.monotonic() - started
        log.epoch(row, cfg.epochs)
        skip, sums = 0, {}
        score = row.get("val_nme_ema", row.get("val_nme", float("inf")))
        if rank0 and score < best:
            save_run_weights(out / "weights" / "best.safetensors", model, ema, recipe, scheme, log.history, "best")
        best = min(best, score)
        save(epoch + 1, 0)
        saved = time.monotonic()
    if rank0:
        for which in ("last", "ema"):
            save_run_weights(out / "weights" / f"{which}.safetensors", model, ema, recipe, scheme, log.history, which)
        log.json("metrics.json", {"history": log.history, "best": best})
    log.close()
    return RunResult(out, log.history)


def _loader(
    dataset: FaceDataset, recipe: Recipe, epoch: int, rank: int, world: int, start: int
) -> DataLoader[list[Any]]:
    """Return one epoch's batches of this process, from step ``start`` on."""
    cfg = recipe.train
    dataset.set_epoch(epoch)
    sampler = EpochSampler(
        len(dataset), batch_size=cfg.batch_size, seed=cfg.seed, epoch=epoch, rank=rank, world=world, start=start
    )
    return DataLoader(dataset, batch_sampler=sampler, collate_fn=collate, num_workers=cfg.workers)


def _on_device(loader: DataLoader[list[Any]], device: torch.device) -> Iterator[Batch]:
    """Copy each batch once: both views travel together."""
    for batch in loader:
        yield batch.to(device, non_blocking=True)


def _mean(fabric: Fabric, terms: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the mean of every term over the processes; the objective's shares make it the global value."""
    return {k: torch.as_tensor(fabric.all_reduce(v)) for k, v in terms.items()} if fabric.world_size > 1 else terms


def _add(sums: dict[str, float], terms: dict[str, Tensor], step: int) -> None:
    """Add one step's terms to the epoch's sums; a term that is not finite ends the run before it is saved."""
    for name, tensor in terms.items():
        value = float(tensor)
        if name == "total" and value - value != 0.0:
            raise FiduciaError(
                f"the loss is {value} at step {step}; lower optim.lr or loss.similarity_weight and start the run again"
            )
        sums[name] = sums.get(name, 0.0) + value
