"""Masks: areas of known shapes, places, and the image's size."""

from __future__ import annotations

import numpy as np
import pytest

from fiducia.data.synthetic.source import synthetic_face
from fiducia.errors import FiduciaError
from fiducia.measures.masks import coverage, region_mask, region_polygons
from fiducia.schemes.sets import SchemeError, get_scheme

SQUARE = np.array([[10.0, 20], [30, 20], [30, 40], [10, 40]])
SCHEME = get_scheme("ibug68")


def test_coverage_is_the_area() -> None:
    whole = coverage([SQUARE], (60, 50))
    assert whole.shape == (60, 50)
    assert whole.sum() == pytest.approx(400, rel=0.01)
    assert whole[30, 20] == 1
    assert whole[30, 10] == pytest.approx(0.5, abs=0.13), "the edge runs through the pixel's centre"
    assert whole[30, 8] == 0
    turned = np.array([[25.0, 10], [40, 25], [25, 40], [10, 25]])
    assert coverage([turned], (60, 50)).sum() == pytest.approx(450, rel=0.02)


def test_what_lies_outside_is_cut_off() -> None:
    assert coverage([SQUARE - (20, 0)], (60, 50)).sum() == pytest.approx(20 * 10.5, rel=0.02)
    assert coverage([SQUARE + 1000], (60, 50)).sum() == 0
    far = np.array([[-1e9, -1e9], [1e9, -1e9], [1e9, 1e9], [-1e9, 1e9]])
    assert coverage([far], (6, 5)).min() == 1


def test_a_face_covers_its_regions_and_has_the_images_size() -> None:
    image, xy, _ = synthetic_face(3)
    shape = image.shape[:2]
    face = region_mask(xy, SCHEME, shape)
    assert face.dtype == bool
    assert face.shape == shape
    for name in ("left_eye", "right_eye", "eyes", "mouth", "lips", "nose", "brows"):
        part = region_mask(xy, SCHEME, shape, name)
        assert 0 < part.sum() < face.sum()
        assert (part & ~face).sum() <= 0.02 * part.sum() + 6, name
    eyes = region_mask(xy, SCHEME, shape, "eyes")
    both = region_mask(xy, SCHEME, shape, "left_eye") | region_mask(xy, SCHEME, shape, "right_eye")
    np.testing.assert_array_equal(eyes, both)
    soft = region_mask(xy, SCHEME, shape, "left_eye", antialias=True)
    assert soft.dtype == np.float32
    assert len(np.unique(soft)) > 5
    np.testing.assert_array_equal(soft >= 0.5, region_mask(xy, SCHEME, shape, "left_eye"))


def test_a_ring_keeps_its_hollows_and_a_line_becomes_its_hull() -> None:
    xy = np.zeros((68, 2))
    # A left eye whose upper lid dips below the line between its corners.
    xy[42:48] = [[0, 0], [10, 6], [20, 6], [30, 0], [20, 12], [10, 12]]
    assert len(region_polygons(xy, SCHEME, "left_eye")[0]) == 6
    hollow = region_mask(xy, SCHEME, (40, 40), "left_eye")
    assert not hollow[2, 15]
    assert hollow[9, 15]
    xy[27:36] = [[5, 0], [5, 5], [5, 10], [5, 15], [0, 18], [3, 19], [5, 20], [7, 19], [10, 18]]
    assert region_mask(xy, SCHEME, (40, 40), "nose").sum() == pytest.approx(100 + 10, rel=0.2)


def test_lips_leave_the_open_mouth_out() -> None:
    xy = np.zeros((68, 2))
    angle = np.linspace(0, 2 * np.pi, 12, endpoint=False) + np.pi
    xy[48:60] = np.column_stack([50 + 30 * np.cos(angle), 50 + 20 * np.sin(angle)])
    angle = np.linspace(0, 2 * np.pi, 8, endpoint=False) + np.pi
    xy[60:68] = np.column_stack([50 + 15 * np.cos(angle), 50 + 10 * np.sin(angle)])
    lips, mouth = (region_mask(xy, SCHEME, (100, 100), name) for name in ("lips", "mouth"))
    assert not lips[50, 50]
    assert mouth[50, 50]
    assert lips[35, 50]


def test_unknown_points_and_unknown_regions() -> None:
    xy = np.full((68, 2), np.nan)
    xy[:2] = 5
    with pytest.raises(FiduciaError, match="'face' has 2 known points"):
        region_mask(xy, SCHEME, (10, 10))
    with pytest.raises(SchemeError, match="no region 'ear'"):
        region_mask(xy, SCHEME, (10, 10), "ear")
    with pytest.raises(SchemeError, match="five has no region"):
        region_mask(np.zeros((5, 2)), get_scheme("five"), (10, 10), "brows")


def test_what_the_border_cuts_is_as_it_would_be_in_a_larger_image() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        polygon = rng.uniform(-15, 35, (5, 2))
        whole = coverage([polygon + 40], (104, 104))
        np.testing.assert_array_equal(coverage([polygon], (24, 24)), whole[40:64, 40:64])
