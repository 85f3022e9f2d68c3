"""Crops: exact copies, means of blocks, black outside, and independence of the patch."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fiducia.geometry import affine_compose, box_to_crop, similarity_matrix
from fiducia.images import crop, crop_patch, cut_patch, reduction

PHOTO = cv2.resize(np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8), (160, 120))


def test_a_crop_of_the_photographs_own_pixels_is_a_copy() -> None:
    to_crop = np.array([[1.0, 0.0, -30.0], [0.0, 1.0, -20.0]])
    np.testing.assert_array_equal(crop(PHOTO, to_crop, 64), PHOTO[20:84, 30:94])
    np.testing.assert_array_equal(crop(PHOTO, to_crop, 64, interpolation="nearest"), PHOTO[20:84, 30:94])


def test_outside_is_black() -> None:
    out = crop(np.full((20, 20, 3), 255, np.uint8), np.array([[1.0, 0.0, 10.0], [0.0, 1.0, 5.0]]), 40)
    expected = np.zeros((40, 40, 3), np.uint8)
    expected[5:25, 10:30] = 255
    np.testing.assert_array_equal(out, expected)
    assert not crop(PHOTO, np.array([[1.0, 0.0, 9e5], [0.0, 1.0, 0.0]]), 16).any()
    assert not crop(PHOTO, np.array([[1.0, 0.0, -9e5], [0.0, 1.0, -9e5]]), 16).any()


@pytest.mark.parametrize("f", [2, 3, 5, 8])
def test_a_whole_reduction_is_the_mean_of_blocks(f: int) -> None:
    # Crop pixel i covers the photograph's pixels f i ... f i + f - 1: x_red = (x + 0.5) / f - 0.5.
    to_crop = np.array([[1 / f, 0.0, 0.5 / f - 0.5], [0.0, 1 / f, 0.5 / f - 0.5]])
    assert reduction(to_crop) == f
    size = 120 // f
    blocks = PHOTO[: size * f, : size * f].reshape(size, f, size, f, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(crop(PHOTO, to_crop, size), blocks, atol=0.51)


def test_a_block_over_the_border_is_averaged_with_black() -> None:
    white = np.full((7, 7, 3), 200, np.uint8)
    patch = cut_patch(white, (0, 0, 6, 6), 2)
    assert patch.image.shape == (4, 4, 3)
    np.testing.assert_array_equal(patch.image[..., 0], [[200, 200, 200, 100]] * 3 + [[100, 100, 100, 50]])


@pytest.mark.parametrize(("scale", "f"), [(2.0, 1), (1.0, 1), (0.51, 1), (0.5, 2), (0.34, 2), (1 / 3, 3), (0.1, 10)])
def test_the_reduction_is_the_floor_of_one_over_the_scale(scale: float, f: int) -> None:
    turned = affine_compose(similarity_matrix(64, 0.7, 1.0, (0, 0)), [[scale, 0, 0], [0, scale, 0]])
    assert reduction(turned) == f


def test_fine_stripes_do_not_alias() -> None:
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, ::2] = 255
    out = crop(stripes, box_to_crop([0, 0, 511, 511], 64, 1.0), 64)[4:-4, 4:-4]
    # f = 7: blocks of 3 or 4 white columns in 7; without the reduction there would be black and white.
    assert out.min() >= 109
    assert out.max() <= 146


@settings(deadline=None, max_examples=60)
@given(
    scale=st.floats(0.08, 3.0),
    angle=st.floats(-3.2, 3.2),
    x=st.floats(20, 140),
    y=st.floats(20, 100),
    ahead=st.integers(0, 30),
)
def test_a_larger_patch_gives_the_same_pixels(scale: float, angle: float, x: float, y: float, ahead: int) -> None:
    size = 24
    centre = np.array([[scale, 0.0, 11.5 - scale * x], [0.0, scale, 11.5 - scale * y]])
    to_crop = affine_compose(similarity_matrix(size, angle, 1.0, (0, 0)), centre)
    reach = size / scale + ahead
    patch = cut_patch(PHOTO, (x - reach, y - reach, x + reach, y + reach), reduction(to_crop))
    np.testing.assert_array_equal(crop_patch(patch, to_crop, size), crop(PHOTO, to_crop, size))


def test_one_pixel_can_be_cropped_and_a_flat_affine_cannot() -> None:
    assert crop(np.full((1, 1, 3), 9, np.uint8), [[4.0, 0, 8.0], [0, 4.0, 8.0]], 16).max() == 9
    for bad in ([[0.0, 0, 0], [0, 1.0, 0]], [[np.nan, 0, 0], [0, 1.0, 0]]):
        with pytest.raises(ValueError):
            crop(PHOTO, bad, 16)
