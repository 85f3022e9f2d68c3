"""What the loop does between steps, on made-up parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric.plugins import MixedPrecision, Precision
from torch import Tensor, nn

from fiducia.augment.views import EvalViews
from fiducia.data.dataset import FaceDataset
from fiducia.errors import UsageError
from fiducia.losses.base import LossContext
from fiducia.losses.objective import Objective
from fiducia.models import LandmarkModel
from fiducia.recipes.sections import LossConfig, OptimConfig, Recipe, TrainConfig
from fiducia.schemes.sets import get_scheme
from fiducia.structures import ModelOutput, Prediction
from fiducia.training.checkpoint import load_checkpoint
from fiducia.training.ema import EMA
from fiducia.training.faces import split_records
from fiducia.training.loop import Hooks, Leg, _step, run_epochs
from fiducia.training.state import RunState
from fiducia.training.stop import Stop
from fiducia.training.validate import validate

ALONE: Any = SimpleNamespace(global_rank=0, world_size=1, device=torch.device("cpu"))
CONTEXT = LossContext(scheme=get_scheme("ibug68"), size=32, gives=frozenset({"points"}))


class Log:
    """Keeps the rows."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []

    def epoch(self, row: dict[str, float], last: int, total: int) -> None:
        self.rows.append(row)

    @contextmanager
    def progress(self, *place: int) -> Iterator[Callable[[], None]]:
        yield lambda: None


def test_a_run_that_was_stopped_behind_the_last_step_of_an_epoch_goes_on() -> None:
    """There is no batch left of it, for the gradient's shares either."""
    state: Any = SimpleNamespace(
        epoch=1,
        done=3,
        step=3,
        leg_step=0,
        sums={"total": 6.0},
        best=9.0,
        optimizer=torch.optim.SGD([torch.zeros(1)], 0.5),
    )
    supply: Any = SimpleNamespace(batches=lambda **given: [])
    log: Any = Log()
    asked: list[object] = []

    def shares(*given: object) -> dict[str, float]:
        asked.append(given)
        return {}

    hooks = Hooks(save=lambda: None, validate=lambda epoch: {}, best=lambda: None, shares=shares)
    leg = Leg(train=TrainConfig(epochs=1), optim=OptimConfig(), total=1)
    run_epochs(ALONE, nn.Module(), state, supply, log, hooks, leg=leg, stop=Stop())
    assert (state.epoch, state.done, asked) == (2, 0, [])
    assert (log.rows[0]["train_total"], log.rows[0]["lr"]) == (2.0, 0.5)


def test_one_crop_a_step_is_told_where_a_network_needs_more() -> None:
    """FaRL's head sees one cell a crop in one of its batch norms."""
    batch: Any = SimpleNamespace(images=torch.zeros(1, 1, 3, 8, 8))

    def learner(*given: object) -> Tensor:
        answer: Tensor = nn.BatchNorm2d(2)(torch.zeros(1, 2, 1, 1))
        return answer

    with pytest.raises(UsageError, match=r"1 crop a step.*raise train\.batch_size"):
        _step(ALONE, learner, SimpleNamespace(), batch, 0.0, OptimConfig(), 1.0)  # type: ignore[arg-type]


class Lost(LandmarkModel):
    """Answers with the middle of the crop, or with nothing that is a number."""

    def __init__(self, where: float) -> None:
        super().__init__(68, 32)
        self.where = nn.Parameter(torch.tensor(where))

    def forward(self, images: Tensor) -> ModelOutput:
        return ModelOutput(points=[self.where * torch.ones(len(images), 68, 2)])

    def decode(self, output: ModelOutput, method: str | None = None) -> Prediction:
        return self.decode_points(output)


def test_an_answer_that_is_no_number_is_not_the_best(tmp_path: Path) -> None:
    recipe = Recipe.model_validate({"data": {"source": f"synthetic:4@{tmp_path}", "size": 32, "val_fraction": 0.5}})
    held_out = FaceDataset(split_records(recipe.data).validation, EvalViews(recipe.data), seed=0)
    found = []
    for where in (16.0, float("nan")):
        model = Lost(where)
        ema = EMA(model, 0.9)
        found.append(validate(ALONE, model, ema, held_out, recipe, get_scheme("ibug68"), None)["val_nme_ema"])
    assert 0 < found[0] < 1000
    assert np.isnan(found[1])


def test_a_checkpoint_holds_the_generator_of_the_device_that_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dropout on a GPU draws from the GPU's own generator: without its state a resumed run draws what its beginning drew."""
    drawn = {"state": torch.tensor([7])}
    fake = SimpleNamespace(
        get_rng_state=lambda: drawn["state"],
        set_rng_state=lambda rng: drawn.update(state=rng),
        is_available=lambda: True,
    )
    monkeypatch.setattr(torch, "get_device_module", {"meta": fake}.__getitem__)
    kept: dict[str, Any] = {}
    monkeypatch.setattr("fiducia.training.state.save_checkpoint", lambda path, state: kept.update(state))
    model = Lost(1.0)
    optimizer, objective = (
        torch.optim.SGD(model.parameters(), 0.5),
        Objective({"points": LossConfig(kind="coord")}, CONTEXT),
    )
    state = RunState(model=model, objective=objective, optimizer=optimizer, ema=EMA(model, 0.9))
    state.save(Path("x"), "")
    assert "device_rng" not in kept
    RunState(model=model.to("meta"), objective=objective, optimizer=optimizer, ema=state.ema).save(Path("x"), "")
    drawn["state"] = torch.tensor([0])
    kept["model"] = state.ema.state_dict()
    RunState(model=Lost(1.0), objective=objective, optimizer=optimizer, ema=state.ema).load(kept)
    assert drawn["state"].item() == 7


def test_a_checkpoint_holds_the_gradient_scaler_of_half_precision(tmp_path: Path) -> None:
    """A new scaler begins at 65536 and leaves out other steps than one that has found its scale."""
    model = Lost(1.0)
    parts: dict[str, Any] = {
        "model": model,
        "objective": Objective({"points": LossConfig(kind="coord")}, CONTEXT),
        "optimizer": torch.optim.SGD(model.parameters(), 0.5),
        "ema": EMA(model, 0.9),
    }
    found = MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=8.0))
    state = RunState(**parts)
    state.attach(found)
    state.save(tmp_path / "last.ckpt", "")
    fresh = MixedPrecision("16-mixed", "cpu")
    again = RunState(**parts)
    again.load(load_checkpoint(tmp_path / "last.ckpt"))
    again.attach(fresh)
    assert fresh.scaler is not None
    assert fresh.scaler.get_scale() == 8.0
    plain = RunState(**parts)
    plain.attach(Precision())
    plain.save(tmp_path / "plain.ckpt", "")
    assert "scaler" not in load_checkpoint(tmp_path / "plain.ckpt")
