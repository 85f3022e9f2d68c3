"""Everything that changes in a run, in one place: what a checkpoint holds, and what a resumed run starts from."""

from __future__ import annotations

import hashlib
import json
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch.optim import Optimizer

from ..errors import UsageError
from ..losses.objective import Objective
from ..models.base import LandmarkModel
from ..recipes.files import parse_recipe
from ..recipes.sections import Recipe
from .checkpoint import load_checkpoint, save_checkpoint
from .ema import EMA

__all__ = ["RunState", "differences", "digest", "open_run"]

FORMAT = 2
# Keys that change no result; a run may go on with other ones.
_FREE = {
    "train.device",
    "train.workers",
    "train.threads",
    "train.val_every",
    "train.checkpoint_every",
    "train.log_gradient_shares",
    "data.cache",
    "name",
    "plugins",
}


@dataclass(kw_only=True)
class RunState:
    """A run's learning parts and its place.

    Attributes:
        step: optimiser steps done.
        epoch: the present one, from 1.
        done: steps of it that are done.
        history: one row an epoch.
        best: lowest validation NME so far.
        sums: of this epoch's logged values.
        leg: the present stage of the run, from 0.
        leg_step: optimiser steps that were done when it began.
        fresh: names of tensors that weights to start from did not have.
        start: what the card says of the weights that the run started from.
        precision: fabric's, whose gradient scaler has a state in half precision (:meth:`attach`).
        scaler: that state, as a checkpoint left it.
    """

    model: LandmarkModel
    objective: Objective
    optimizer: Optimizer
    ema: EMA
    step: int = 0
    epoch: int = 1
    done: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    best: float = float("inf")
    sums: dict[str, float] = field(default_factory=dict)
    leg: int = 0
    leg_step: int = 0
    fresh: list[str] = field(default_factory=list)
    start: dict[str, str] = field(default_factory=dict)
    precision: Any = None
    scaler: dict[str, Any] = field(default_factory=dict)

    def attach(self, precision: Any) -> None:
        """Take fabric's precision, and put its gradient scaler where a checkpoint left it."""
        self.precision = precision
        if self.scaler:
            precision.load_state_dict(self.scaler)
            self.scaler = {}

    def save(self, path: Path, recipe: str) -> None:
        """Write a checkpoint from which the run goes on bit by bit."""
        save_checkpoint(
            path,
            {
                "format": FORMAT,
                "recipe": recipe,
                "model": self.model.state_dict(),
                "objective": self.objective.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "ema": self.ema.state_dict(),
                "ema_steps": self.ema.steps,
                "step": self.step,
                "epoch": self.epoch,
                "skip": self.done,
                "history": self.history,
                "best": self.best,
                "sums": self.sums,
                "leg": self.leg,
                "leg_step": self.leg_step,
                "rng": torch.get_rng_state(),
                **self._device_rng(),
                **(
                    {"scaler": scaler} if self.precision is not None and (scaler := self.precision.state_dict()) else {}
                ),
                **({"start": self.start} if self.start else {}),
            },
        )

    def load(self, saved: dict[str, Any]) -> None:
        """Take up a checkpoint."""
        self.model.load_state_dict(saved["model"])
        self.objective.load_state_dict(saved["objective"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.ema.load(saved["ema"], saved["ema_steps"])
        self.step, self.epoch, self.done = saved["step"], saved["epoch"], saved["skip"]
        self.history, self.best, self.sums = saved["history"], saved["best"], saved["sums"]
        # Checkpoints from before runs had stages are of their only one.
        self.leg, self.leg_step = saved.get("leg", 0), saved.get("leg_step", 0)
        self.start = saved.get("start", {})
        self.scaler = saved.get("scaler", {})
        torch.set_rng_state(saved["rng"])
        for kind, rng in saved.get("device_rng", {}).items():
            device = torch.get_device_module(kind)
            if device.is_available():
                device.set_rng_state(rng)

    def _device_rng(self) -> dict[str, Any]:
        """Return the state of the device's own generator, which dropout and stochastic depth draw from there; of a CPU, none."""
        kind = next(self.model.parameters()).device.type
        return {} if kind == "cpu" else {"device_rng": {kind: torch.get_device_module(kind).get_rng_state()}}


def open_run(out: Path, recipe: Recipe, resume: bool) -> dict[str, Any] | None:
    """Return the checkpoint to resume from, or None for a new run.

    Raises:
        UsageError: the directory holds a run and ``resume`` is off, or the recipe differs in more than the number of epochs
            and stages after its last one.
        FiduciaError: no checkpoint, or one that cannot be read.
    """
    checkpoint = out / "checkpoints" / "last.ckpt"
    if not resume:
        if checkpoint.exists():
            raise UsageError(f"{out}: holds a run already; go on with --resume, or give another --out")
        return None
    saved = load_checkpoint(checkpoint)
    if saved["format"] != FORMAT:
        raise UsageError(f"{checkpoint}: was written by another version of fiducia; start the run again")
    before = _parse(saved["recipe"])
    changed = differences(before, recipe)
    if recipe.train.epochs >= before.train.epochs:
        changed.pop("train.epochs", None)
    if before.stage and recipe.stage[: len(before.stage)] == before.stage:
        changed.pop("stage", None)
    if changed:
        told = "; ".join(f"{key} from {old!r} to {new!r}" for key, (old, new) in changed.items())
        raise UsageError(f"{out}: the recipe is not the run's: {told}; resume with {out / 'recipe.toml'}")
    return saved


def _parse(text: str) -> Recipe:
    """Return a recipe from the text in a checkpoint."""
    return parse_recipe(tomllib.loads(text), origin="checkpoint")


def differences(before: Recipe, after: Recipe) -> dict[str, tuple[Any, Any]]:
    """Return the keys in which two recipes differ, with both values; keys that change no result are left out."""
    old, new = _flat(before.model_dump(mode="json")), _flat(after.model_dump(mode="json"))
    keys = [key for key in {**old, **new} if key not in _FREE and old.get(key) != new.get(key)]
    return {key: (old.get(key), new.get(key)) for key in keys}


def digest(table: dict[str, Any]) -> str:
    """Return a short hash of what changes a run's result, of a recipe as a table.

    Where the files lie may differ from machine to machine, and is left out.
    """
    free = {*_FREE, "data.source", "train.devices", "train.num_nodes"}
    keys = {key: value for key, value in _flat(table).items() if key not in free}
    return hashlib.sha256(json.dumps(keys, sort_keys=True).encode()).hexdigest()[:12]


def _flat(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
