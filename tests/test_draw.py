"""Pictures: where the ink goes, that inputs stay as they are, and the geometry of sheets and charts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fiducia.draw.basics import PAPER, confidence_colour
from fiducia.draw.faces import Style, draw_faces
from fiducia.draw.pictures import (
    GREEN,
    RED,
    ced_chart,
    contact_sheet,
    draw_errors,
    draw_heatmaps,
    draw_points,
)
from fiducia.faces import Face
from fiducia.schemes.sets import get_scheme

FIVE = get_scheme("five")
XY = np.array([[30, 40], [70, 40], [50, 60], [35, 80], [65, 80]], np.float32)


def photo(side: int = 100) -> np.ndarray:
    return np.random.default_rng(0).integers(60, 120, (side, side, 3)).astype(np.uint8)


def face(confidence: float | list[float] = 1.0, xy: np.ndarray = XY) -> Face:
    sure = np.broadcast_to(np.asarray(confidence, np.float32), (5,))
    return Face(xy=xy, confidence=sure, box=np.array([20, 30, 80, 90], np.float32), scheme=FIVE)


@pytest.mark.parametrize(
    "draw",
    [
        lambda image: draw_points(image, XY, RED),
        lambda image: draw_errors(image, XY, XY + 3),
        lambda image: draw_faces(image, [face(0.2), face(0.9)], Style(labels="index", legend=True)),
        lambda image: draw_heatmaps(image, np.ones((5, 25, 25))),
        lambda image: contact_sheet([image, image], captions=["a", "b"]),
    ],
)
def test_the_input_is_never_changed(draw: Callable[[np.ndarray], np.ndarray]) -> None:
    image = photo()
    before = image.copy()
    image.setflags(write=False)
    result = draw(image)
    np.testing.assert_array_equal(image, before)
    assert result.dtype == np.uint8
    assert not np.shares_memory(result, image)
    assert (result.shape != image.shape) or (result != image).any()


def test_a_dot_is_centred_on_its_point_to_a_fraction_of_a_pixel() -> None:
    for at in ((50.0, 50.0), (50.3, 49.6), (20.75, 80.5)):
        ink = draw_points(np.zeros((100, 100, 3), np.uint8), [at], (255, 255, 255), 3.0)[..., 0] / 255.0
        y, x = np.mgrid[:100, :100]
        assert (ink * x).sum() / ink.sum() == pytest.approx(at[0], abs=0.05)
        assert (ink * y).sum() / ink.sum() == pytest.approx(at[1], abs=0.05)
        assert ink.sum() == pytest.approx(np.pi * 3.0**2, rel=0.05)


def test_dots_grow_with_the_face() -> None:
    def area(factor: float) -> int:
        blank = np.zeros((1000, 1000, 3), np.uint8)
        return int((draw_points(blank, XY * factor, GREEN)[..., 1] > 100).sum())

    assert area(10.0) > 3 * area(2.0) > 0


@given(st.lists(st.tuples(*[st.floats(allow_nan=True, allow_infinity=True, width=32)] * 2), min_size=5, max_size=5))
@settings(max_examples=60, deadline=None)
def test_points_anywhere_even_nowhere_draw_without_error(points: Any) -> None:
    image = photo(40)
    xy = np.array(points, np.float32)
    assert draw_points(image, xy, RED, 2.0).shape == image.shape
    assert draw_faces(image, [face(xy=np.clip(np.nan_to_num(xy, nan=np.nan), -1e6, 1e6))]).shape == image.shape


def test_points_that_are_nan_leave_no_ink() -> None:
    image = photo()
    np.testing.assert_array_equal(draw_points(image, np.full((3, 2), np.nan), RED), image)


def test_confidence_runs_from_red_to_green() -> None:
    doubtful, sure = confidence_colour(0.0), confidence_colour(1.0)
    assert doubtful[0] > 200 > doubtful[1]
    assert sure[1] > 200 > sure[0]


def test_a_doubtful_point_is_a_ring_and_a_sure_one_a_dot() -> None:
    large = XY * 10
    sure = draw_faces(np.full((1000, 1000, 3), 128, np.uint8), [face(0.9, large)], Style(box=False, edges=False))
    doubtful = draw_faces(np.full((1000, 1000, 3), 128, np.uint8), [face(0.1, large)], Style(box=False, edges=False))
    x, y = large[2].astype(int)
    assert tuple(sure[y, x]) == confidence_colour(0.9)
    assert tuple(doubtful[y, x]) == (128, 128, 128)
    assert (doubtful != 128).any()


def test_box_and_lines_can_be_left_out() -> None:
    image = photo()
    blank = Face(xy=np.full((5, 2), np.nan, np.float32), confidence=np.ones(5, np.float32), box=face().box, scheme=FIVE)
    np.testing.assert_array_equal(draw_faces(image, [blank], Style(box=False)), image)
    assert (draw_faces(image, [blank]) != image).any()


def test_the_number_of_a_lone_face_is_written_where_it_is_asked_for() -> None:
    image, above = photo(), np.s_[12:28, 14:40]
    plain = draw_faces(image, [face()])
    assert np.array_equal(draw_faces(image, [face()], Style(lone_number=False)), plain)
    numbered = draw_faces(image, [face()], Style(lone_number=True))
    assert not np.array_equal(numbered[above], plain[above])
    assert np.array_equal(numbered[40:], plain[40:])


def test_heatmaps_glow_where_they_are_high() -> None:
    heat = np.zeros((2, 10, 10))
    heat[0, 2, 7] = 1.0
    result = draw_heatmaps(np.full((100, 100, 3), 100, np.uint8), heat).astype(int)
    assert result[25, 75].sum() > 400
    assert tuple(result[80, 20]) == (75, 75, 75)


def test_a_sheet_has_equal_tiles_in_rows() -> None:
    tiles = [np.full((40, 60, 3), shade, np.uint8) for shade in (10, 20, 30, 40, 50)]
    sheet = contact_sheet(tiles, columns=2)
    gap = 2
    assert sheet.shape == (gap + 3 * (40 + gap), gap + 2 * (60 + gap), 3)
    for i in range(5):
        y, x = gap + (i // 2) * (40 + gap), gap + (i % 2) * (60 + gap)
        np.testing.assert_array_equal(sheet[y : y + 40, x : x + 60], tiles[i])
    assert tuple(sheet[-5, -5]) == PAPER


def test_captions_add_a_strip_and_ink_below_each_tile() -> None:
    tiles = [np.zeros((100, 100, 3), np.uint8)] * 3
    plain, written = contact_sheet(tiles, columns=3), contact_sheet(tiles, captions=["a", "", "c" * 90], columns=3)
    assert written.shape[0] > plain.shape[0]
    assert written.shape[1] == plain.shape[1]
    strip = written[103:118]
    assert [bool((strip[:, 3 + 103 * i : 103 + 103 * i] < 150).any()) for i in range(3)] == [True, False, True]
    # A long caption stays within its tile.
    assert (strip[:, 206 + 100 + 3 :] == PAPER).all()


def test_pictures_of_other_shapes_are_fitted_and_keep_theirs() -> None:
    wide = np.full((20, 80, 3), 7, np.uint8)
    sheet = contact_sheet([np.full((80, 80, 3), 9, np.uint8), wide], columns=2)
    rows, columns = np.nonzero((sheet == 7).all(axis=-1))
    assert (np.ptp(columns) + 1, np.ptp(rows) + 1) == (80, 20)


def test_an_empty_sheet_and_wrong_use() -> None:
    assert contact_sheet([]).ndim == 3
    with pytest.raises(ValueError, match="captions"):
        contact_sheet([photo()], captions=[])
    with pytest.raises(ValueError, match="columns"):
        contact_sheet([photo()], columns=0)


def test_a_better_curve_lies_above_and_a_missed_face_keeps_it_from_the_top() -> None:
    """Half the faces at 5 % and half missed: the blue line ends at half the height of the axes."""
    chart = ced_chart({"": np.array([0.05, np.nan])}, threshold=0.1)
    ink = chart[..., 2].astype(int) > chart[..., 0].astype(int) + 80
    rows, columns = np.nonzero(ink[84:548, 96:900])
    assert rows[columns > 600].min() == pytest.approx((548 - 84) / 2, abs=3)
    assert rows[columns < 300].min() == pytest.approx(548 - 84, abs=3)


def test_a_chart_takes_names_that_opencv_cannot_write() -> None:
    assert ced_chart({"größte": np.array([0.01])}, title="naïve").shape == (640, 1000, 3)
