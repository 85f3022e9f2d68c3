"""Every network learns eight real faces by heart, with its own loss: ``benchmarks/overfit.py`` as a test."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from fiducia.models import models
from fiducia.models.registry import is_family

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))

import overfit  # noqa: E402


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.shared
@pytest.mark.parametrize("name", overfit.networks())
def test_a_network_learns_eight_real_faces_by_heart(name: str, shared_data: Path) -> None:
    fit = overfit.overfit(name, f"300w:{shared_data / '300w'}")
    assert fit.nme[0] > 10
    assert fit.nme[-1] < overfit.MARK == 3.0


def test_no_network_class_is_left_out() -> None:
    classes = {models[name].build for name in models if not is_family(name)}
    assert {models[name].build for name in overfit.networks()} == classes
    assert len(overfit.networks()) == len(classes)


def test_every_curve_that_is_kept_ends_below_the_mark() -> None:
    kept = json.loads((BENCHMARKS / "overfit.json").read_text(encoding="utf-8"))
    assert kept["mark"] == overfit.MARK
    assert len(kept["networks"]) > 10
    for name, fit in kept["networks"].items():
        assert name in models
        assert fit["nme"][0] > 10
        assert fit["nme"][-1] < overfit.MARK
        assert len(fit["nme"]) == len(fit["steps"])
