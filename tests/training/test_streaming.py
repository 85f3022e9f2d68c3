"""Training from shards: the losses are those of training from files in the same order, whatever stops or shares the run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from fiducia.data import dataset
from fiducia.data.order import EpochOrder
from fiducia.data.shards.pack import pack
from fiducia.data.source import load_records
from fiducia.errors import Interrupted, UsageError
from fiducia.recipes.files import load_recipe
from fiducia.recipes.sections import Recipe
from fiducia.training import loop
from fiducia.training.faces import split_records
from fiducia.training.run import train
from fiducia.training.stop import Stop

BUFFER, LANES = 8, 4
TINY = [
    "data.size=64",
    f"data.shuffle_buffer={BUFFER}",
    f"data.interleave={LANES}",
    "data.val_fraction=0.15",
    "model.options.backbone={width=32, heads=2, depth=3, stem_base=8}",
    "model.options.hourglass={channels=16}",
    "model.options.norm=group",
    "train.batch_size=6",
    "train.epochs=2",
    "train.threads=1",
    "train.device=cpu",
]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The same 28 drawn faces as files and as seven shards."""
    root = tmp_path_factory.mktemp("faces")
    files = f"synthetic:28@{root / 'drawn'}"
    made = pack(load_records(files, "train"), root / "shards", source="synthetic", split="train", shard_bytes=500_000)
    assert len(made.index.shards) >= 5
    return {"files": files, "shards": f"shards:{root / 'shards'}"}


def recipe(source: str, *more: str) -> Recipe:
    return load_recipe("smoke", [f'data.source="{source}"', *TINY, *more])


@pytest.fixture
def losses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the list to which each step of a run adds its loss."""
    found: list[float] = []
    real = loop._step

    def step(*arguments: Any) -> Any:
        values = real(*arguments)
        found.append(float(values["total"]))
        return values

    monkeypatch.setattr(loop, "_step", step)
    return found


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "weights" / "ema.safetensors")


def equal(one: Path, other: Path) -> bool:
    a, b = weights(one), weights(other)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_the_losses_are_those_of_files_in_the_same_order(
    places: dict[str, str], losses: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(recipe(places["shards"]), tmp_path / "shards")
    streamed = losses.copy()
    assert len(streamed) == 8
    losses.clear()
    counts = split_records(recipe(places["shards"]).data).training.counts  # type: ignore[attr-defined]

    def ordered(self: dataset.EpochSampler) -> Iterator[list[int]]:
        order = EpochOrder(counts, self.seed, self.epoch, LANES, BUFFER).indices().tolist()
        for batch in range(self.start, self.start + len(self)):
            yield order[batch * self.batch_size : (batch + 1) * self.batch_size]

    monkeypatch.setattr(dataset.EpochSampler, "__iter__", ordered)
    train(recipe(places["files"]), tmp_path / "files")
    assert losses == streamed, "bit by bit"
    assert equal(tmp_path / "files", tmp_path / "shards")
    one, other = ((tmp_path / d / "metrics.csv").read_text().splitlines() for d in ("files", "shards"))
    assert [row.rsplit(",", 1)[0] for row in one] == [row.rsplit(",", 1)[0] for row in other], "validation too"


def test_a_run_that_was_stopped_in_an_epoch_goes_on_as_if_it_had_not_been(
    places: dict[str, str], losses: list[float], tmp_path: Path
) -> None:
    """It is stopped in the middle of the second epoch, and goes on with two workers."""
    train(recipe(places["shards"]), tmp_path / "whole")
    whole = losses.copy()
    losses.clear()

    class After(Stop):
        @property
        def signal(self) -> int:  # type: ignore[override]
            return 2 if len(losses) == 6 else 0

        @signal.setter
        def signal(self, value: int) -> None: ...

    with pytest.raises(Interrupted, match="stopped at epoch 2, step 2 of 4"):
        train(recipe(places["shards"]), tmp_path / "run", stop=After())
    train(recipe(places["shards"], "train.workers=2"), tmp_path / "run", resume=True)
    assert losses == whole
    assert equal(tmp_path / "whole", tmp_path / "run")


def test_what_changes_the_order_must_not_change_when_a_run_goes_on(places: dict[str, str], tmp_path: Path) -> None:
    train(recipe(places["shards"], "train.epochs=1"), tmp_path / "run")
    with pytest.raises(UsageError, match=r"data\.shuffle_buffer from 8 to 9"):
        train(recipe(places["shards"], "data.shuffle_buffer=9"), tmp_path / "run", resume=True)
