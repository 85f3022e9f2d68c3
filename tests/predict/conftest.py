"""Fixtures: the exact network, and untrained weights of a real one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from dot_faces import DotRuntime

from networks import small, write_small


@pytest.fixture
def dots() -> DotRuntime:
    return DotRuntime()


@pytest.fixture(scope="session")
def make_weights(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that writes untrained weights of a small network, with what it is told changed on the card."""
    folder = tmp_path_factory.mktemp("weights")
    network = small()

    def make(name: str = "untrained", **changes: object) -> Path:
        path = folder / f"{name}.safetensors"
        return path if path.exists() else write_small(path, network, name=name, **changes)

    return make
