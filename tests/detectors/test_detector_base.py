"""Doubles, the order of faces, probabilities, and the step from one box to another."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiducia.detectors.base import best_first, check_image, keep_surest, probability, suppress, to_landmark_box
from fiducia.detectors.dlib_hog import STEP
from fiducia.errors import FiduciaError
from fiducia.structures import Detection


def face(box: list[float], score: float) -> Detection:
    return Detection(box=np.array(box, dtype=float), score=score)


def test_the_step_by_hand() -> None:
    # A box 100 wide and 50 high about (60, 45), moved by a tenth of each, and half as wide.
    np.testing.assert_allclose(to_landmark_box([10, 20, 110, 70], (0.1, 0.1, 0.5, 1.0)), [45, 25, 95, 75])


@given(
    st.floats(-100, 1000),
    st.floats(-100, 1000),
    st.floats(1, 500),
    st.floats(1, 500),
    st.floats(0.1, 8.0),
    st.floats(-99, 99),
)
def test_the_step_goes_with_scale_and_shift(x: float, y: float, w: float, h: float, s: float, t: float) -> None:
    box = np.array([x, y, x + w, y + h])
    np.testing.assert_allclose(
        to_landmark_box(box * s + t, STEP), to_landmark_box(box, STEP) * s + t, rtol=1e-9, atol=1e-6
    )


def test_suppress_keeps_the_surest_of_doubles() -> None:
    boxes = [[0, 0, 10, 10], [1, 0, 11, 10], [8, 8, 20, 20], [0, 0, 10, 4.6], [0, 0, 10, 4.4]]
    found = [face(b, s) for b, s in zip(boxes, (0.1, 0.2, 0.05, 0.3, 0.4), strict=True)]
    # 4.4 of 4.6 rows are shared by the last two; the second box shares 39.6 of 104.4 with the last: 0.38.
    assert [d.score for d in suppress(found)] == [0.4, 0.2, 0.05]
    assert suppress([]) == []


def test_a_box_inside_a_surer_one_is_its_double_where_asked() -> None:
    boxes = [[0, 0, 100, 100], [10, 10, 30, 30], [90, 90, 110, 110]]  # a fourth part of the last one is shared
    assert keep_surest(boxes, [0.9, 0.8, 0.7], 0.5).tolist() == [0, 1, 2]
    assert keep_surest(boxes, [0.9, 0.8, 0.7], 0.5, inside=0.7).tolist() == [0, 2]
    assert keep_surest(boxes, [0.7, 0.8, 0.9], 0.5, inside=0.2).tolist() == [2, 1]


def test_the_best_face_is_the_surest_and_among_equals_the_largest() -> None:
    small, large, jacket = face([0, 0, 10, 10], 0.9991), face([0, 0, 50, 50], 0.9984), face([0, 0, 300, 300], 0.72)
    assert best_first([jacket, small, large]) == [large, small, jacket]


@given(st.lists(st.floats(-20, 20), min_size=2, max_size=9), st.floats(0.1, 5), st.floats(-5, 5))
def test_a_probability_rises_with_the_score(scores: list[float], slope: float, offset: float) -> None:
    p = probability(sorted(scores), slope, offset)
    assert ((p >= 0) & (p <= 1)).all()
    assert (np.diff(p) >= 0).all()
    assert probability(-offset / slope, slope, offset) == pytest.approx(0.5)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        "photo.jpg",
    ],
)
def test_what_is_no_photograph_is_one_line(image: object) -> None:
    with pytest.raises(FiduciaError, match=r"a detector takes a uint8 RGB image \(H, W, 3\); found"):
        check_image(image)
