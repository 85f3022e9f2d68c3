from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from fiducia.cli import app
from fiducia.weights.files import load_weights
from fiducia.recipes.files.files import load_recipe
from fiducia.errors import UsageError


def recipe(folder: Path, **changes: Any) -> list[str]:
    data = {"source": f"synthetic:24@{folder}", "exclude": [], "val_fraction": 0.25, **changes}
    return [f"data.{key}={json.dumps(value)}" for key, value in data.items()]


def test_weights_come_back_with_a_regressor_that_acts_and_all_else_as_it_was(tmp_path: Path) -> None:
    out = tmp_path / "shaped.safetensors"
    overrides = recipe(tmp_path / "faces")
    arguments = [part for override in overrides for part in ("--set", override)]
    result = CliRunner().invoke(
        app,
        ["weights", "shape", "fifa_tiny", "fifa_tiny", "--out", str(out), "--passes", "1", "--ridge", "1", *arguments],
    )
    assert result.exit_code == 0, result.output
    assert "NME" in result.stdout
    (old, _), (new, card) = load_weights("fifa_tiny"), load_weights(out)
    assert card.options["shape"] is True
    assert card.training["shape"]["views"] == 2 * round(24 * 0.75)
    state = new.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in old.state_dict().items())
    assert float(state["shape.linear.weight"].abs().max()) > 0
    # It replaces a regressor, and does not stand on the old one's shoulders.
    again = tmp_path / "again.safetensors"
    first = fit_shape("fifa_tiny", load_recipe("fifa_tiny", overrides), again, ridge=1.0, passes=1)
    second = fit_shape(again, load_recipe("fifa_tiny", overrides), again, ridge=1.0, passes=1)
    assert first == second
    assert first.after != first.before


def test_a_recipe_of_another_crop_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"its data\.scale is 0\.85, the recipe's 0\.8; take the recipe"):
        fit_shape("fifa_tiny", load_recipe("fifa_tiny", recipe(tmp_path, scale=0.8)), tmp_path / "x.safetensors")
    assert not (tmp_path / "x.safetensors").exists()
