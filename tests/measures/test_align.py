"""Aligned crops: the template's places, exact similarities, and what they keep."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiducia.data.synthetic.source import synthetic_face
from fiducia.errors import FiduciaError, UsageError
from fiducia.geometry import affine_apply, affine_invert, similarity_matrix
from fiducia.measures.align import FIVE_POINTS, align_crop, align_matrix, similarity, template
from fiducia.schemes.sets import SchemeError, convert, get_scheme, scheme_from_table

FIVE = get_scheme("five")


@given(st.floats(-3, 3), st.floats(0.1, 10), st.floats(-500, 500), st.floats(-500, 500))
def test_a_similarity_is_found_again(angle: float, scale: float, dx: float, dy: float) -> None:
    matrix = similarity_matrix(112, angle, scale, (dx, dy))
    found = similarity(FIVE_POINTS, affine_apply(matrix, FIVE_POINTS))
    np.testing.assert_allclose(found, matrix, atol=1e-6 * max(1, abs(dx), abs(dy)))
    # Points that lie on the template are left where they are.
    back = align_matrix(affine_apply(matrix, FIVE_POINTS), FIVE)
    np.testing.assert_allclose(affine_apply(back, affine_apply(matrix, FIVE_POINTS)), FIVE_POINTS, atol=1e-5)


def test_there_is_no_reflection() -> None:
    matrix = similarity(FIVE_POINTS * [-1, 1], FIVE_POINTS)
    assert np.linalg.det(matrix[:, :2]) > 0


def test_sizes_scale_edges_together() -> None:
    np.testing.assert_allclose(template(FIVE, 224), (FIVE_POINTS + 0.5) * 2 - 0.5)
    np.testing.assert_allclose(template(FIVE, 112), FIVE_POINTS)


@pytest.mark.parametrize("points", ["five", "all"])
@pytest.mark.parametrize("scheme", ["ibug68", "wflw98", "cofw29", "aflw19", "lapa106"])
def test_drawn_faces_land_on_the_five_places(scheme: str, points: str) -> None:
    for seed in (3, 4, 5):
        _, xy, _ = synthetic_face(seed, scheme=scheme)
        landmarks = get_scheme(scheme)
        matrix = align_matrix(xy, landmarks, 112, points)
        five = affine_apply(matrix, convert(xy, landmarks, "five"))
        assert np.abs(five - FIVE_POINTS).max() < 16
        linear = matrix[:, :2]
        assert linear[0, 0] == pytest.approx(linear[1, 1])
        assert linear[0, 1] == pytest.approx(-linear[1, 0])


def test_all_points_stand_a_wrong_one_better() -> None:
    _, xy, _ = synthetic_face(3)
    scheme = get_scheme("ibug68")
    moved = xy.copy()
    moved[30] += (60, 40)  # the nose tip goes astray
    change = {
        points: np.abs(align_matrix(moved, scheme, 112, points) - align_matrix(xy, scheme, 112, points)).max()
        for points in ("five", "all")
    }
    assert change["all"] < 0.3 * change["five"]


def test_the_crop_shows_the_face_where_the_matrix_says() -> None:
    image, xy, _ = synthetic_face(3)
    matrix = align_matrix(xy, get_scheme("ibug68"), 64)
    crop, same = align_crop(image, matrix, 64)
    assert crop.shape == (64, 64, 3)
    assert same is not None
    # A grey ramp keeps its values: pixel (x, y) of the crop is the image at the inverse map.
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 256, axis=0).repeat(3, axis=2)
    shown = align_crop(ramp, np.array([[1.0, 0, -100], [0, 1, -50]]), 32).image
    np.testing.assert_array_equal(shown[5, :, 0], np.arange(100, 132))
    assert np.isfinite(affine_invert(matrix)).all()


def test_what_cannot_be_aligned_is_told() -> None:
    with pytest.raises(FiduciaError, match="1 known points"):
        align_matrix(np.where(np.arange(5)[:, None] == [2, 2], 3.0, np.nan), FIVE)
    with pytest.raises(FiduciaError, match="in one spot"):
        align_matrix(np.zeros((5, 2)), FIVE)
    with pytest.raises(UsageError, match="points = 'seven'"):
        align_matrix(FIVE_POINTS, FIVE, points="seven")
    with pytest.raises(UsageError, match="size = 0"):
        align_matrix(FIVE_POINTS, FIVE, size=0)
    own = scheme_from_table({"name": "own", "points": 5, "mirror": []})
    with pytest.raises(SchemeError, match="own cannot be converted to five"):
        align_matrix(FIVE_POINTS, own)
