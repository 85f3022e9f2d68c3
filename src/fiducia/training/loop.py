"""The training loop: two views, one network with shared weights (Sect. 3.3), everything in sight.

A run is a pure function of its recipe: the order of the faces and every augmentation draw come from (seed, epoch, face),
so workers, processes and a kill in between change nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from ..data.dataset import Supply
from ..errors import FiduciaError, Interrupted, UsageError
from ..losses.objective import Objective
from ..models.base import LandmarkModel
from ..recipes.sections import OptimConfig, TrainConfig
from ..structures import Batch
from .fabric import any_process
from .logs import RunLog
from .optim import learning_rate_factor, set_learning_rate
from .state import RunState
from .stop import Stop

__all__ = ["Hooks", "Learner", "Leg", "run_epochs"]


class Learner(nn.Module):
    """The network and the losses as one module, so that DDP sees every parameter that learns."""

    def __init__(self, model: LandmarkModel, objective: Objective) -> None:
        super().__init__()
        self.model = model
        self.objective = objective

    def forward(self, batch: Batch, epoch: float, total: float) -> tuple[Tensor, dict[str, Tensor]]:
        """A batch of B faces with V views → loss and named values."""
        output = self.model(batch.images.flatten(0, 1))
        # Losses sum over thousands of cells and invert covariances: never in half precision.
        with torch.autocast(batch.images.device.type, enabled=False):
            return self.objective(output, batch, epoch, total)


@dataclass(frozen=True, kw_only=True)
class Leg:
    """Where a stage lies in its run; a run of one stage is all of it.

    Attributes:
        train, optim: the stage's sections.
        before: epochs of the stages before.
        total: epochs of the whole run.
    """

    train: TrainConfig
    optim: OptimConfig
    before: int = 0
    total: int = 0

    @property
    def last(self) -> int:
        """The stage's last epoch, counted through the run."""
        return self.before + self.train.epochs


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """What happens between steps and epochs, on the processes that do it.

    Attributes:
        save: write a checkpoint of the state.
        validate: epoch → figures for its row of metrics; empty where it is no epoch for validation.
        best: called when a validation is the best so far.
        shares: last batch and the epochs done before it → each loss's share of the gradient; None = not wanted.
    """

    save: Callable[[], None]
    validate: Callable[[int], dict[str, float]]
    best: Callable[[], None]
    shares: Callable[[Batch, float], dict[str, float]] | None = None


def run_epochs(
    fabric: Fabric,
    learner: Any,
    state: RunState,
    supply: Supply,
    log: RunLog,
    hooks: Hooks,
    *,
    leg: Leg,
    stop: Stop,
) -> None:
    """Train from the state's place to the last epoch of a stage.

    Args:
        fabric: devices and processes.
        learner: the :class:`Learner`, set up by ``fabric``; so is the state's optimiser.
        state: moved forward step by step.
        supply: training faces; their seed is that of the run.
        log: of the epochs.
        hooks: checkpoints and validation.
        leg: the stage, and its place in the run.
        stop: looked at after every step.

    Raises:
        Interrupted: a signal came; the state was saved.
        UsageError: one crop a step for a network that needs more.
        FiduciaError: the loss is not finite, or a checkpoint cannot be written.
    """
    saved = time.monotonic()
    train, optim = leg.train, leg.optim
    while state.epoch <= leg.last:
        started = time.monotonic()
        loader = supply.batches(
            batch_size=train.batch_size,
            epoch=state.epoch,
            rank=fabric.global_rank,
            world=fabric.world_size,
            start=state.done,
            workers=train.workers,
        )
        steps = state.done + len(loader)
        total = train.epochs * steps
        learner.train()
        last: tuple[Batch, float] | None = None
        with log.progress(state.epoch, leg.total, state.done, steps) as tick:
            for batch in _on_device(loader, fabric.device):
                here = state.step - state.leg_step
                set_learning_rate(state.optimizer, learning_rate_factor(here, total, optim, train.epochs))
                last = batch, leg.before + here / steps
                values = _step(fabric, learner, state, *last, optim, leg.total)
                _add(state.sums, values, state.step)
                tick()
                if any_process(fabric, bool(stop.signal)):
                    hooks.save()
                    raise Interrupted(
                        f"stopped at epoch {state.epoch}, step {state.done} of {steps}, and saved; go on with --resume",
                        stop.status,
                    )
                if time.monotonic() - saved > train.checkpoint_every and state.done < steps:
                    hooks.save()
                    saved = time.monotonic()
        row = {"epoch": float(state.epoch)}
        row |= {f"train_{name}": value / steps for name, value in state.sums.items()}
        row["lr"] = state.optimizer.param_groups[-1]["lr"]
        # A run that goes on behind an epoch's last step has no batch of it.
        if hooks.shares is not None and last is not None:
            row |= {f"train_share_{name}": value for name, value in hooks.shares(*last).items()}
        row |= hooks.validate(state.epoch)
        row["seconds"] = time.monotonic() - started
        log.epoch(row, leg.last, leg.total)
        score = row.get("val_nme_ema", row.get("val_nme", float("inf")))
        if score < state.best:
            state.best = score
            hooks.best()
        state.epoch, state.done, state.sums = state.epoch + 1, 0, {}
        hooks.save()
        saved = time.monotonic()


def _step(
    fabric: Fabric, learner: Any, state: RunState, batch: Batch, epoch: float, optim: OptimConfig, total: float
) -> dict[str, Tensor]:
    """Take one optimiser step and return the logged values, the mean over processes.

    Raises:
        UsageError: a batch norm of the network sees a single value a channel.
    """
    try:
        loss, values = learner(batch, epoch, total)
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):  # torch's batch norm
            raise
        raise UsageError(
            f"this network cannot be trained on {batch.images.shape[:2].numel()} crop a step: a batch norm of it sees one value a "
            'channel; raise train.batch_size, or set model.options.norm = "group" where it has that option'
        ) from error
    state.optimizer.zero_grad(set_to_none=True)
    fabric.backward(loss)
    if optim.clip > 0:
        values["grad_norm"] = fabric.clip_gradients(
            learner, state.optimizer, max_norm=optim.clip, error_if_nonfinite=False
        )
    state.optimizer.step()
    state.step += 1
    state.done += 1
    state.ema.update(state.model)
    if fabric.world_size > 1:
        values = {name: torch.as_tensor(fabric.all_reduce(value)) for name, value in values.items()}
    return values


def _on_device(loader: Iterable[Batch], device: torch.device) -> Iterator[Batch]:
    """Copy each batch once: both views travel together."""
    for batch in loader:
        yield batch.to(device, non_blocking=True)


def _add(sums: dict[str, float], values: dict[str, Tensor], step: int) -> None:
    """Add one step's values to the epoch's sums; a loss that is not finite ends the run before it is saved."""
    for name, tensor in values.items():
        value = float(tensor)
        if name == "total" and value - value != 0.0:
            raise FiduciaError(
                f"the loss is {value} at step {step}; lower optim.lr or a loss's weight and start the run again"
            )
        sums[name] = sums.get(name, 0.0) + value
