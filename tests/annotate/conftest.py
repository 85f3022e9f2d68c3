"""Fixtures: photographs of chosen heights, and a job whose workers need no network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import light_predictor
import numpy as np
import pytest

from fiducia.annotate.job import Job


@pytest.fixture
def photographs(tmp_path: Path) -> Callable[[Sequence[int]], Path]:
    """Return a function that writes a photograph of each height, ``000.png`` and so on, and returns their folder."""

    def write(heights: Sequence[int], name: str = "in") -> Path:
        folder = tmp_path / name
        folder.mkdir()
        draw = np.random.default_rng(3)
        for number, height in enumerate(heights):
            picture = draw.integers(0, 256, (height, 60, 3), dtype=np.uint8)
            cv2.imwrite(str(folder / f"{number:03d}.png"), picture)
        return folder

    return write


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(out=str(tmp_path / "out"), plugins=(light_predictor.__file__,))
