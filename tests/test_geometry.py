"""Boxes with an angle, and the angle of a face."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiducia.geometry import (
    affine_apply,
    box_corners,
    box_to_crop,
    five_point_roll,
    rotation,
    square_box,
    tight_box,
)

angles = st.floats(-np.pi, np.pi)
places = st.floats(-500, 500)
FACE = np.array([[30.0, 40.0], [70.0, 40.0], [50.0, 60.0], [35.0, 80.0], [65.0, 80.0]])


def cloud(seed: int, x: float = 0.0, y: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal([x, y], [40, 25], (20, 2))


@given(st.integers(0, 99), angles, places, places)
def test_a_tight_box_with_an_angle_covers_the_points_and_is_tight(seed: int, angle: float, x: float, y: float) -> None:
    xy = cloud(seed, x, y)
    corners = box_corners(tight_box(xy, angle), angle)
    own, edges = xy @ rotation(angle), corners @ rotation(angle)
    np.testing.assert_allclose(own.min(axis=0), edges.min(axis=0), atol=1e-9)
    np.testing.assert_allclose(own.max(axis=0), edges.max(axis=0), atol=1e-9)


@given(st.integers(0, 99), angles, angles, places, places)
def test_a_tight_box_turns_with_the_points(seed: int, angle: float, more: float, x: float, y: float) -> None:
    xy = cloud(seed, x, y)
    box, turned = tight_box(xy, angle), tight_box(xy @ rotation(more).T, angle + more)
    np.testing.assert_allclose(box_corners(turned, angle + more), box_corners(box, angle) @ rotation(more).T, atol=1e-8)


@given(st.integers(0, 99), angles, st.floats(0.3, 1.2), st.integers(16, 256))
def test_a_turned_face_stands_upright_in_its_crop(seed: int, angle: float, scale: float, size: int) -> None:
    # The crop of a turned face holds the same pixels as the crop of the upright one.
    xy = cloud(seed, 300.0, 200.0)
    upright = affine_apply(box_to_crop(tight_box(xy), size, scale), xy)
    turned = xy @ rotation(angle).T + [7.0, -9.0]
    crop = affine_apply(box_to_crop(tight_box(turned, angle), size, scale, angle), turned)
    np.testing.assert_allclose(crop, upright, atol=1e-7)


@given(st.integers(0, 99), angles, st.integers(16, 256))
def test_the_corners_of_a_box_are_the_corners_of_its_share_of_the_crop(seed: int, angle: float, size: int) -> None:
    box = square_box(tight_box(cloud(seed), angle))
    corners = affine_apply(box_to_crop(box, size, 0.5, angle), box_corners(box, angle))
    low, high = (size - 1) / 2 - size / 4, (size - 1) / 2 + size / 4
    np.testing.assert_allclose(corners, [[low, low], [high, low], [high, high], [low, high]], atol=1e-8)


def test_no_angle_is_exactly_the_upright_crop() -> None:
    box = [10.3, 20.7, 110.1, 90.9]
    assert (box_to_crop(box, 128, 0.85) == box_to_crop(box, 128, 0.85, 0.0)).all()
    np.testing.assert_allclose(box_to_crop(box, 128, 0.85, 2 * np.pi), box_to_crop(box, 128, 0.85), atol=1e-9)


def test_a_right_angle_by_hand() -> None:
    # Turned clockwise by 90 degrees, what was up points to the right: the crop's upper side lies at the box's right.
    crop = box_to_crop([0.0, 0.0, 10.0, 10.0], 10, 1.0, np.pi / 2)
    np.testing.assert_allclose(affine_apply(crop, [[10.0, 5.0], [5.0, 10.0]]), [[4.5, -0.5], [9.5, 4.5]], atol=1e-9)


@pytest.mark.parametrize("angle", [np.nan, np.inf])
def test_an_angle_is_finite(angle: float) -> None:
    with pytest.raises(ValueError, match="finite number of radians"):
        box_to_crop([0, 0, 1, 1], 8, 0.8, angle)


@given(angles, st.floats(0.1, 50), places, places)
def test_the_roll_is_the_angle_by_which_a_face_was_turned(angle: float, scale: float, x: float, y: float) -> None:
    roll = five_point_roll(scale * FACE @ rotation(angle).T + [x, y])
    assert abs(np.exp(1j * float(roll)) - np.exp(1j * angle)) < 1e-9


def test_a_profile_is_read_by_its_height() -> None:
    profile = FACE.copy()
    profile[:, 0] = 50 + (profile[:, 0] - 50) * 0.02  # both eyes nearly at one place
    assert abs(float(five_point_roll(profile))) < 1e-9
    profile[0], profile[1] = [51.0, 40.0], [49.0, 40.0]  # and even the wrong way round
    assert abs(float(five_point_roll(profile))) < 1e-9


def test_rolls_of_several_faces() -> None:
    faces = np.stack([FACE @ rotation(a).T for a in (0.0, 1.0, -2.0)])
    np.testing.assert_allclose(five_point_roll(faces), [0.0, 1.0, -2.0], atol=1e-12)
    assert five_point_roll(np.zeros((0, 5, 2))).shape == (0,)
