from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fiducia.errors import UsageError
from fiducia.evaluation.locate import Settings
from fiducia.predict.predictor import load
from fiducia.runtimes.flip import FlipTest
from fiducia.schemes.sets import Scheme, scheme_from_table
from fiducia.weights.store import load_weights
from fiducia.weights.transfer import pack_weights

SIZE = 16


class LeftAndRight:
    """Finds two bright pixels, the left one first, and puts both ``bias`` pixels too far to the right."""

    size, method = SIZE, ""

    def __init__(self, scheme: Scheme, bias: float) -> None:
        self.scheme, self.bias = scheme, bias

    def __call__(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert crops.flags.c_contiguous
        rows, columns = zip(*(np.nonzero(crop[0]) for crop in crops), strict=True)
        points = np.stack([np.stack([c, r], -1)[np.argsort(c)] for r, c in zip(rows, columns, strict=True)])
        sure = np.stack([crop[0][r, c][np.argsort(c)] / 255 for crop, r, c in zip(crops, rows, columns, strict=True)])
        return (points + np.array([self.bias, 0.0])).astype(np.float32), sure.astype(np.float32)


def two_eyes(mirror: list[list[int]]) -> Scheme:
    return scheme_from_table({"name": "eyes", "points": 2, "mirror": mirror})


def test_points_come_back_under_their_own_names_and_a_lean_to_one_side_cancels() -> None:
    crops = np.zeros((1, 3, SIZE, SIZE), np.uint8)
    crops[0, :, 4, 3], crops[0, :, 7, 10] = 255, 51
    points, confidence = FlipTest(LeftAndRight(two_eyes([[0, 1]]), bias=0.5))(crops)
    np.testing.assert_allclose(points, [[[3, 4], [10, 7]]], atol=1e-6)
    np.testing.assert_allclose(confidence, [[1.0, 0.2]], atol=1e-6)
    assert points.dtype == confidence.dtype == np.float32


def test_a_lean_that_was_learned_on_purpose_stays() -> None:
    crops = np.zeros((1, 3, SIZE, SIZE), np.uint8)
    crops[0, :, 4, 3], crops[0, :, 7, 10] = 255, 51
    points, _ = FlipTest(LeftAndRight(two_eyes([[0, 1]]), bias=0.5), bias=0.5 / SIZE)(crops)
    np.testing.assert_allclose(points, [[[3.5, 4], [10.5, 7]]], atol=1e-6)


def test_a_set_without_mirror_pairs_is_refused() -> None:
    with pytest.raises(UsageError, match="does not say which points a mirror swaps"):
        FlipTest(LeftAndRight(two_eyes([]), bias=0.0))


def test_weights_that_are_meant_for_it_get_the_flip_test_unless_told_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    card = pack_weights("fifa_tiny", path, name="w", numbers=[], flip=True)
    assert card.flip
    assert not load_weights("fifa_tiny")[1].flip
    found = {flip: isinstance(load(path, detector=None, flip=flip).runtime, FlipTest) for flip in (None, True, False)}
    assert found == {None: True, True: True, False: False}
    for flip, wanted in found.items():
        settings = Settings(weights=str(path), flip=flip)
        assert settings.flips(card) is wanted
        assert isinstance(settings.predictor("cpu").runtime, FlipTest) is wanted
    assert not isinstance(load("fifa_tiny", detector=None).runtime, FlipTest)
