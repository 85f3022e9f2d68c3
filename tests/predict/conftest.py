"""Fixtures: the exact network, and untrained weights of a real one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from dot_faces import DotRuntime
from fiducia.weights.files import WeightCard, save_weights

from fiducia.models.build import build_model, models
from fiducia.recipes.sections import ModelConfig


@pytest.fixture
def dots() -> DotRuntime:
    return DotRuntime()


@pytest.fixture(scope="session")
def make_weights(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that writes untrained weights of a small network, with what it is told changed on the card."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    state = build_model(ModelConfig(name="fifa_tiny"), 5, 64).state_dict()

    def make(name: str = "untrained", **changes: object) -> Path:
        card = {
            "name": name,
            "model": "fifa_tiny",
            "options": models["fifa_tiny"].options,
            "scheme": "five",
            "num_points": 5,
            "size": 64,
            **changes,
        }
        path = folder / f"{name}.safetensors"
        if not path.exists():
            save_weights(path, state, WeightCard(**card))  # type: ignore[arg-type]
        return path

    return make
