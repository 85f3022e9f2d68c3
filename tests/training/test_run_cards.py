"""The card of a run says what it started from, and by which unit its validation faces were measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import fiducia
from fiducia.models import models
from fiducia.recipes.sections import Recipe
from fiducia.schemes.sets import get_scheme
from fiducia.training.cards import run_card, start_of
from fiducia.training.collections import Collection, measure_of
from fiducia.weights.info import load_card
from fiducia.weights.store import save_weights
from networks import small, small_card


def test_weights_trained_from_the_shipped_ones_name_imagenet_and_both_licences() -> None:
    start = start_of("fifa_tiny")
    card = run_card(Recipe(), get_scheme("five"), which="ema", numbers=[], command="", date="2026-01-01", start=start)
    assert card.training["init"].startswith("fifa_tiny, sha256 ")
    assert "300w + merl; research use only" in card.training["init"]
    assert "ImageNet" in card.training["encoder"]
    assert "Apache-2.0" in card.training["encoder"]


@pytest.mark.parametrize(
    ("kinds", "several", "expected"),
    [
        (["ic"], False, "nme_ic"),
        (["box", "box"], False, "nme_box"),
        (["ic", "box"], True, "nme_ic and nme_box, mean over the collections"),
        (["ic", "ic"], True, "nme_ic, mean over the collections"),
    ],
)
def test_the_validation_figure_is_named_by_its_units(kinds: list[str], several: bool, expected: str) -> None:
    collections = [Collection(str(i), kind, (i,)) for i, kind in enumerate(kinds)]  # type: ignore[arg-type]
    assert measure_of(collections, several) == expected


def test_a_run_from_weights_keeps_their_name_through_a_resume_and_another_stage(tmp_path: Path) -> None:
    first = small("fifa_tiny", 5, 64)
    training = {"data": "merl", "encoder": "some encoder, trained on ImageNet"}
    write = small_card("fifa_tiny", 5, 64, name="mine", training=training)
    save_weights(tmp_path / "first.safetensors", first.state_dict(), write)
    kept = [f"data.source=synthetic:2@{tmp_path}", "data.scheme=five", "data.size=64", "data.val_fraction=0.5"]
    options = f"model.options={toml_table(models['fifa_tiny'].test_options)}"
    settings = [*kept, options, "train.epochs=1", "loss.similarity.weight=0", "augment.views=1"]
    stages = "stage=[{optim={lr=1e-3}}]", "stage=[{optim={lr=1e-3}}, {optim={lr=1e-4}}]"
    start, out = str(tmp_path / "first.safetensors"), tmp_path / "run"
    fiducia.train(fiducia.load_recipe("smoke", [*settings, stages[0]]), out, init=start)
    fiducia.train(fiducia.load_recipe("smoke", [*settings, stages[1]]), out, resume=True)
    card = load_card(out)
    assert len(card.training["stages"]) == 2
    assert card.training["init"].startswith("mine, sha256 ")
    assert card.training["encoder"] == training["encoder"]
    assert card.numbers[0]["metric"] == "nme_box"


def toml_table(table: Mapping[str, Any]) -> str:
    """Return nested options as an inline table of TOML."""
    inner = (f"{k} = {toml_table(v) if isinstance(v, Mapping) else json.dumps(v)}" for k, v in table.items())
    return "{" + ", ".join(inner) + "}"
