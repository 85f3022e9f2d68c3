"""Views and where they lie in the photograph."""

from __future__ import annotations

import tracemalloc

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fiducia.detectors.views import Pyramid, View
from fiducia.geometry import affine_apply, affine_invert


def spotted(height: int, width: int, x: float, y: float, sigma: float) -> np.ndarray:
    """Return a photograph with a soft white spot at (x, y)."""
    columns, rows = np.arange(width) - x, np.arange(height) - y
    spot = np.exp(-(columns[None] ** 2 + rows[:, None] ** 2) / (2 * sigma**2))
    return np.repeat((255 * spot).round().astype(np.uint8)[..., None], 3, axis=2)


def centre_of_spot(view: View) -> np.ndarray:
    weight = view.bgr[..., 0].astype(float)
    rows, columns = np.indices(weight.shape)
    place = np.array([[(weight * columns).sum(), (weight * rows).sum()]]) / weight.sum()
    return affine_apply(view.to_photo, place)[0]


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
@pytest.mark.parametrize(
    ("height", "width", "longest"), [(401, 303, 97), (300, 640, 640), (90, 71, 200), (1203, 799, 150)]
)
def test_a_spot_is_found_where_it_is_in_any_view_of_the_whole(turn: int, height: int, width: int, longest: int) -> None:
    sigma = 0.02 * max(height, width)
    x, y = 0.4 * width, 0.3 * height
    view = Pyramid(spotted(height, width, x, y, sigma)).whole(longest, turn)
    assert max(view.bgr.shape) == longest
    np.testing.assert_allclose(centre_of_spot(view), [x, y], atol=0.02 * max(1.0, max(height, width) / longest) + 0.02)


@given(st.integers(1, 700), st.integers(1, 700), st.integers(8, 900), st.integers(0, 3))
def test_a_view_covers_the_photograph_and_no_more(height: int, width: int, longest: int, turn: int) -> None:
    pyramid = Pyramid(np.zeros((height, width, 3), np.uint8))
    view = pyramid.whole(longest, turn)
    h, w = view.bgr.shape[:2]
    ends = affine_apply(view.to_photo, [[-0.5, -0.5], [w - 0.5, h - 0.5]])
    low, high = ends.min(axis=0), ends.max(axis=0)
    np.testing.assert_allclose(low, -0.5, atol=1e-6)
    # Halves leave out an odd last row or column, so a view may end one of its own pixels early.
    grain = max(width, height) / longest
    assert (high <= np.array([width, height]) - 0.5 + 1e-6).all()
    assert (high >= np.array([width, height]) - 0.5 - max(grain, 0) - 1e-6).all()


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
def test_quarter_turns_are_exact(turn: int) -> None:
    image = np.random.default_rng(turn).integers(0, 256, (7, 11, 3), np.uint8)
    view = Pyramid(image).whole(11, turn)
    for row in range(view.bgr.shape[0]):
        for column in range(view.bgr.shape[1]):
            ((x, y),) = affine_apply(view.to_photo, [[column, row]])
            assert (x, y) == (round(x), round(y))
            assert (view.bgr[row, column] == image[int(y), int(x), ::-1]).all()


@settings(deadline=None, max_examples=30)
@given(st.integers(200, 900), st.integers(200, 900), st.integers(200, 500))
def test_tiles_cover_the_view_and_overlap(height: int, width: int, side: int) -> None:
    pyramid = Pyramid(np.zeros((height, width, 3), np.uint8))
    seen = np.zeros((height, width), np.uint8)
    columns = set()
    for view in pyramid.tiles(pyramid.longest, side):
        x, y = (int(v) for v in view.to_photo[:, 2])
        h, w = view.bgr.shape[:2]
        assert max(h, w) <= side
        seen[y : y + h, x : x + w] += 1
        columns.add((x, x + w))
        assert view.cut == (x > 0, y > 0, x + w < width, y + h < height)
    assert (seen > 0).all()
    for start in range(0, width - 127):  # whatever is 128 pixels wide lies in one tile whole
        assert any(left <= start and start + 128 <= right for left, right in columns)


@pytest.mark.parametrize("angle", [0.0, 0.5, -2.0, np.pi])
@pytest.mark.parametrize("side", [30.0, 700.0])
def test_a_face_is_shown_upright_in_the_middle(angle: float, side: float) -> None:
    image = spotted(1000, 1100, 520.0, 480.0, side / 20)
    ahead = np.array([np.cos(angle), np.sin(angle)]) * side / 4  # to the right, in the face's own frame
    image = np.maximum(image, spotted(1000, 1100, 520.0 + ahead[0], 480.0 + ahead[1], side / 20) // 2)
    box = np.array([520 - side / 2, 480 - side / 2, 520 + side / 2, 480 + side / 2])
    view = Pyramid(image).face(box, angle, 128, 0.4)
    grey = view.bgr[..., 0].astype(float)
    top = np.array(np.unravel_index(grey.argmax(), grey.shape)[::-1])
    np.testing.assert_allclose(top, 63.5, atol=1.0)
    np.testing.assert_allclose(affine_apply(affine_invert(view.to_photo), [[520.0, 480.0]])[0], 63.5, atol=1e-9)
    columns = np.arange(128) - 63.5
    right = (grey * (columns[None] > 6)).sum() / (grey * (columns[None] < -6)).sum()
    assert right > 5


def test_ordinary_proportions_and_panoramas() -> None:
    assert Pyramid(np.zeros((300, 400, 3), np.uint8)).side_for(320) == 320
    assert Pyramid(np.zeros((400, 200, 3), np.uint8)).side_for(320) == 320
    # 8 : 1 is four times beyond 2 : 1; the same number of pixels is twice the side.
    assert Pyramid(np.zeros((100, 800, 3), np.uint8)).side_for(320) == pytest.approx(640)


def test_large_photographs_cost_a_third_of_their_own_memory() -> None:
    image = np.zeros((5001, 8003, 3), np.uint8)
    pyramid = Pyramid(image)
    tracemalloc.start()
    for size in (320, 640, 1280):
        pyramid.whole(size)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.4 * image.nbytes


def test_the_photograph_itself_is_never_written_to() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 48, 3), np.uint8)
    image.flags.writeable = False
    view = Pyramid(image).whole(64)
    assert (view.bgr == cv2.cvtColor(image, cv2.COLOR_RGB2BGR)).all()
