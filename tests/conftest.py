"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

# How fast the machine draws examples is no promise of the code: it may be busy with other work.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"

# Tests make many networks that live for a moment: none is prepared for another runtime, unless a test asks for it.
os.environ["FIDUCIA_CACHE"] = ""

# Two workers on two cores: more threads than that only fight each other.
torch.set_num_threads(int(os.environ.get("FIDUCIA_TEST_THREADS", "1")))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of research photographs beside the project."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the research photographs in {SHARED.parent.name}/{SHARED.name} beside the project")
    return SHARED
