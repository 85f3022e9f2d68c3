"""Faces as arrays: mapped between frames, joined, and handed out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiducia.detectors.candidates import Candidates
from fiducia.detectors.landmark_step import landmark_boxes, step_features
from fiducia.detectors.yunet_constants import CALIBRATION, STEP
from fiducia.geometry import affine_apply, box_corners, box_iou, rotation, tight_box

FACE = np.array([[32.0, 44.0], [66.0, 40.0], [50.0, 60.0], [38.0, 82.0], [66.0, 80.0]])


def row(x: float = 0.0, y: float = 0.0, scale: float = 1.0, score: float = 0.9) -> np.ndarray:
    """Return what the network says of one face: box 80 x 110 with the points above."""
    box = np.array([10.0, 5.0, 80.0, 110.0]) * scale + [x, y, 0, 0]
    return np.concatenate([box, (FACE * scale + [x, y]).ravel(), [score]])


def seen(*rows: np.ndarray, name: str = "yunet_n") -> Candidates:
    return landmark_boxes(np.array(rows), STEP[name])


@pytest.mark.parametrize("name", list(STEP))
@given(st.floats(0.1, 20), st.floats(-900, 900), st.floats(-900, 900))
def test_the_landmark_step_goes_with_scale_and_shift(name: str, scale: float, x: float, y: float) -> None:
    one, other = seen(row(), name=name), seen(row(x, y, scale), name=name)
    # The network counts from the corner of the first pixel, so half a pixel is scaled too.
    np.testing.assert_allclose(other.own + 0.5, (one.own + 0.5) * scale + [x, y, x, y], atol=1e-6)
    np.testing.assert_allclose(other.points + 0.5, (one.points + 0.5) * scale + [x, y], atol=1e-6)
    np.testing.assert_allclose(other.roll, one.roll, atol=1e-9)


@pytest.mark.parametrize("name", list(STEP))
def test_the_landmark_step_of_a_mirrored_face_is_mirrored(name: str) -> None:
    one = row()
    other = one.copy()
    other[0] = 200 - one[0] - one[2]
    points = one[4:14].reshape(5, 2)[[1, 0, 2, 4, 3]]
    other[4:14] = (points * [-1, 1] + [200, 0]).ravel()
    a, b = seen(one, name=name), seen(other, name=name)
    np.testing.assert_allclose(b.own[:, [2, 1, 0, 3]], [199, 0, 199, 0] + a.own * [-1, 1, -1, 1], atol=1e-6)
    np.testing.assert_allclose(b.roll, -a.roll, atol=1e-9)


@pytest.mark.parametrize("name", list(STEP))
def test_the_landmark_box_holds_the_five_points_with_room_for_brows_and_chin(name: str) -> None:
    (box,) = seen(row(), name=name).boxes
    inner = tight_box(FACE - 0.5)
    assert (box[:2] < inner[:2]).all()
    assert (box[2:] > inner[2:]).all()
    assert 0.7 < (box[2] - box[0]) / 80 < 1.3  # about as wide as the network's own box, and lower than it
    assert 0.55 < (box[3] - box[1]) / 110 < 0.95


def test_features_of_an_upright_face_by_hand() -> None:
    points = np.array([[2.0, 3.0], [6.0, 3.0], [4.0, 4.0], [3.0, 6.0], [5.0, 6.0]])
    features, centres, sides, roll = step_features(np.array([[2.0, 0.0, 4.0, 9.0, *points.ravel(), 0.5]]))
    assert centres.tolist() == [[3.5, 4.0]]
    assert sides.tolist() == [[6.0]]
    assert roll.tolist() == [0.0]
    np.testing.assert_allclose(features[0, :2], [1.0, np.log(4 / 9)])
    np.testing.assert_allclose(features[0, 2:].reshape(5, 2), (points - [4.0, 4.5]) / 6)


@given(st.floats(-3.1, 3.1), st.floats(0.1, 9), st.floats(-99, 99), st.floats(-99, 99))
def test_a_mapped_face_is_the_face_in_the_other_frame(angle: float, scale: float, x: float, y: float) -> None:
    found = seen(row())
    affine = np.concatenate([scale * rotation(angle), [[x], [y]]], axis=1)
    there = found.mapped(affine)
    corners = box_corners(found.own[0], float(found.roll[0]))
    np.testing.assert_allclose(
        box_corners(there.own[0], float(there.roll[0])), affine_apply(affine, corners), atol=1e-7
    )
    np.testing.assert_allclose(there.points, affine_apply(affine, found.points), atol=1e-9)
    assert there.tilt[0] == found.tilt[0]
    back = (there.roll[0] - found.roll[0] - angle) / (2 * np.pi)
    assert abs(back - round(back)) < 1e-9


@pytest.mark.parametrize("quarter", [0, 1, 2, 3])
def test_the_turn_of_the_view_is_remembered(quarter: int) -> None:
    affine = np.concatenate([rotation(quarter * np.pi / 2), np.zeros((2, 1))], axis=1)
    assert seen(row()).mapped(affine).quarters.tolist() == [quarter]


def test_the_upright_box_of_a_face_on_its_side_swaps_width_and_height() -> None:
    found = seen(row())
    found = Candidates(found.head, found.own, np.zeros(1), np.zeros(1), found.points, found.score)
    side = found.mapped(np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0]]))
    np.testing.assert_allclose(found.boxes[0], found.own[0])
    w, h = found.sides[0]
    box = side.boxes[0]
    np.testing.assert_allclose([box[2] - box[0], box[3] - box[1]], [h, w])


def test_joining_keeps_the_surer_of_two_views_of_one_face() -> None:
    a, b, far = seen(row(score=0.7)), seen(row(x=4, score=0.9)), seen(row(x=300, score=0.5))
    both = Candidates.join([a, far, b])
    assert both.score.tolist() == [0.9, 0.5]
    assert len(Candidates.join([Candidates.none(), Candidates.none()])) == 0


def test_what_lies_outside_is_left_out() -> None:
    found = Candidates.join([seen(row()), seen(row(x=400)), seen(row(y=-300))])
    assert len(found) == 3
    kept = found.inside(200, 200)
    assert len(kept) == 1
    assert box_iou(kept.boxes, seen(row()).boxes)[0, 0] == 1.0


def test_detections_have_a_probability_and_stand_best_first() -> None:
    slope, offset = CALIBRATION["auto"]
    found = Candidates.join(
        [seen(row(score=0.45)), seen(row(x=300, score=0.94)), seen(row(x=700, scale=2, score=0.95))]
    )
    given_ = found.detections(slope, offset, 0.0)
    assert [d.box[0] > 600 for d in given_] == [True, False, False]  # two are certain, the larger one leads
    assert given_[0].score > given_[2].score > 0.05
    assert given_[0].points is not None
    assert given_[0].points.shape == (5, 2)
    assert given_[0].roll == pytest.approx(float(found.roll[0]))
    assert (given_[0].crop_box == given_[0].own_box).all()  # type: ignore[union-attr]
    assert len(found.detections(slope, offset, 0.99)) == 2
    assert Candidates.none().detections(slope, offset, 0.0) == []
