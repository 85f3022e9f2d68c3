from __future__ import annotations

import math
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fiducia.augment import FiFA
from fiducia.augment.fiducial import patch_size, resolve_interval
from fiducia.errors import UsageError
from fiducia.recipes.sections import FiFAConfig

coordinates = st.one_of(
    st.floats(-40, 140).map(lambda v: round(v, 4)),  # a tie within rounding error may go either way
    st.integers(-20, 140).map(lambda v: v / 2),
    st.just(math.nan),
    st.sampled_from([math.inf, -math.inf, 1e30, -1e30]),
)


def white(height: int = 64, width: int = 64) -> np.ndarray:
    return np.full((height, width, 3), 255, np.uint8)


def covered(image: np.ndarray) -> set[tuple[int, int]]:
    """Return the black pixels as (x, y)."""
    ys, xs = np.nonzero((image == 0).all(axis=-1))
    return set(zip(xs.tolist(), ys.tolist(), strict=True))


def loop(image: np.ndarray, points: np.ndarray, side: int) -> np.ndarray:
    """The square [x0, x0 + side), x0 = round(cx - (side - 1) / 2) with halves up, one pixel after the other."""
    out = image.copy()
    height, width = image.shape[:2]
    for x, y in np.asarray(points, dtype=np.float64).tolist():
        if not (math.isfinite(x) and math.isfinite(y)):
            continue
        x0, y0 = math.floor(x - (side - 1) / 2 + 0.5), math.floor(y - (side - 1) / 2 + 0.5)
        if x0 > width or y0 > height or x0 < -side or y0 < -side:
            continue
        for v in range(y0, y0 + side):
            for u in range(x0, x0 + side):
                if 0 <= u < width and 0 <= v < height:
                    out[v, u] = 0
    return out


@pytest.mark.parametrize(
    ("epoch", "n", "interval", "side"),
    # Facts: sizes 5, 4, 3, 2, 1 for epochs 1-25, clean from 26 on (eq. 6).
    [
        (1, 5, 5, 5),
        (5, 5, 5, 5),
        (6, 5, 5, 4),
        (20, 5, 5, 2),
        (21, 5, 5, 1),
        (25, 5, 5, 1),
        (26, 5, 5, 0),
        (250, 5, 5, 0),
        (1, 7, 1, 7),
        (7, 7, 1, 1),
        (8, 7, 1, 0),
        (40, 1, 40, 1),
        (41, 1, 40, 0),
    ],
)
def test_the_schedule_is_the_papers(epoch: int, n: int, interval: int, side: int) -> None:
    assert patch_size(epoch, n, interval, size=512) == side
    assert patch_size(epoch, n, interval, size=96, fifa_unit="crop_px") == side
    assert patch_size(epoch, n, interval, size=512, patch_extent="half") == 2 * side


@pytest.mark.parametrize(
    ("size", "sides"),
    # round(n_e * S / 512), halves up, at least 1: e.g. 5 * 128 / 512 = 1.25, 3 * 256 / 512 = 1.5, 5 * 256 / 512 = 2.5.
    [(128, [1, 1, 1, 1, 1, 0]), (256, [3, 2, 2, 1, 1, 0]), (512, [5, 4, 3, 2, 1, 0]), (1024, [10, 8, 6, 4, 2, 0])],
)
def test_squares_keep_their_share_of_the_face(size: int, sides: list[int]) -> None:
    assert [patch_size(epoch, 5, 1, size=size) for epoch in range(1, 7)] == sides


@given(
    n=st.integers(1, 9),
    interval=st.integers(1, 40),
    size=st.integers(16, 1024),
    unit=st.sampled_from(["ref512_px", "crop_px"]),
)
def test_squares_only_ever_shrink_and_end_after_n_times_the_interval(
    n: int, interval: int, size: int, unit: str
) -> None:
    sides = [patch_size(e, n, interval, size=size, fifa_unit=unit) for e in range(1, n * interval + 3)]  # type: ignore[arg-type]
    assert sides == sorted(sides, reverse=True)
    assert all(side > 0 for side in sides[: n * interval])
    assert sides[n * interval :] == [0, 0]


def test_the_automatic_interval_covers_a_tenth_of_a_run() -> None:
    assert [resolve_interval("auto", t) for t in (1, 3, 60, 74, 75, 250, 500)] == [1, 1, 1, 1, 2, 5, 10]
    assert resolve_interval(7) == 7
    assert FiFA(epoch_interval="auto", epochs=250).side(25, 512) == 1
    assert FiFA(epoch_interval="auto", epochs=250).side(26, 512) == 0
    assert FiFA(epoch_interval="auto", epochs=60).side(6, 512) == 0


def test_a_recipe_sets_every_part() -> None:
    config = FiFAConfig(n=3, epoch_interval="auto", patch_extent="half", fifa_unit="crop_px")
    fifa = FiFA.from_config(config, 100)
    assert [fifa.side(epoch, 128) for epoch in (1, 2, 3, 5, 6, 7)] == [6, 6, 4, 2, 2, 0]


def test_every_pixel_of_an_odd_and_an_even_square() -> None:
    image = white()
    out = FiFA(n=3, unit="crop_px")(image, np.array([[10.0, 20.4]]), 1)
    assert covered(out) == {(x, y) for x in (9, 10, 11) for y in (19, 20, 21)}
    # x0 = round(10 - 1.5) = round(8.5) = 9 (halves up); y0 = round(20.4 - 1.5) = 19.
    out = FiFA(n=4, unit="crop_px")(image, np.array([[10.0, 20.4]]), 1)
    assert covered(out) == {(x, y) for x in (9, 10, 11, 12) for y in (19, 20, 21, 22)}
    assert (image == 255).all(), "the picture given is not the one drawn on"


def test_a_half_way_landmark_rounds_up_alike_in_numpy_and_torch() -> None:
    for x, pixel in [(10.5, 11), (11.5, 12), (-0.5, 0)]:
        fifa = FiFA(n=1, unit="crop_px")
        assert covered(fifa(white(), np.array([[x, 5.0]]), 1)) == {(pixel, 5)}
        tensor = fifa(torch.full((3, 64, 64), 255, dtype=torch.uint8), torch.tensor([[x, 5.0]]), 1)
        assert covered(tensor.permute(1, 2, 0).numpy()) == {(pixel, 5)}


@given(x=st.floats(12, 50), y=st.floats(12, 50), n=st.integers(1, 9))
def test_an_interior_square_has_n_squared_pixels_and_the_landmark_at_its_centre(x: float, y: float, n: int) -> None:
    black = covered(FiFA(n=n, unit="crop_px")(white(), np.array([[x, y]]), 1))
    assert len(black) == n * n
    xs, ys = [p[0] for p in black], [p[1] for p in black]
    assert max(xs) - min(xs) == max(ys) - min(ys) == n - 1
    assert abs((max(xs) + min(xs)) / 2 - x) <= 0.5 + 1e-9
    assert abs((max(ys) + min(ys)) / 2 - y) <= 0.5 + 1e-9


def test_squares_are_clipped_at_the_border_and_unlabelled_points_have_none() -> None:
    points = np.array(
        [[0.0, 0.0], [63.0, 30.0], [-1.0, 50.0], [-3.0, 40.0], [np.nan, 3.0], [5.0, np.nan], [np.inf, 9.0]]
    )
    black = covered(FiFA(n=5, unit="crop_px")(white(), points, 1))
    assert black == (
        {(x, y) for x in range(3) for y in range(3)}
        | {(x, y) for x in (61, 62, 63) for y in range(28, 33)}
        | {(x, y) for x in (0, 1) for y in range(48, 53)}
    )


def test_after_the_schedule_there_is_none() -> None:
    fifa, point = FiFA(n=5, epoch_interval=5), np.array([[256.0, 256.0]])
    assert len(covered(fifa(white(512, 512), point, 25))) == 1
    assert covered(fifa(white(512, 512), point, 26)) == set()


@settings(deadline=None, max_examples=150)
@given(
    points=hnp.arrays(np.float64, st.tuples(st.integers(1, 2), st.integers(0, 6), st.just(2)), elements=coordinates),
    n=st.integers(1, 12),
    shape=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    extent=st.sampled_from(["full", "half"]),
)
def test_numpy_torch_and_a_plain_loop_agree(points: np.ndarray, n: int, shape: tuple[int, int], extent: str) -> None:
    fifa = FiFA(n=n, unit="crop_px", patch_extent=extent)  # type: ignore[arg-type]
    images = np.random.default_rng(0).integers(1, 256, (len(points), *shape, 3), np.uint8)
    tensor = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
    batch = fifa(tensor, torch.from_numpy(points), 1)
    assert (tensor.numpy() == images.transpose(0, 3, 1, 2)).all(), "the batch given is not the one drawn on"
    for image, xy, drawn in zip(images, points, batch, strict=True):
        expected = loop(image, xy, fifa.side(1, max(shape)))
        np.testing.assert_array_equal(fifa(image, xy, 1), expected)
        np.testing.assert_array_equal(drawn.permute(1, 2, 0).numpy(), expected)


def test_kinds_of_pictures() -> None:
    fifa, points = FiFA(n=3, unit="crop_px"), np.array([[4.0, 5.0]])
    gray = fifa(np.ones((16, 16), np.float32), points, 1)
    assert gray.dtype == np.float32
    assert (gray == 0).sum() == 9
    fortran = fifa(np.asfortranarray(white(16, 16)), points, 1)
    assert covered(fortran) == {(x, y) for x in (3, 4, 5) for y in (4, 5, 6)}
    flipped = fifa(white(16, 16)[:, ::-1], points, 1)
    assert covered(flipped) == covered(fortran)
    tensor = torch.ones(2, 1, 16, 16, requires_grad=True)
    out = fifa(tensor, torch.tensor(points, dtype=torch.float16).expand(2, 1, 2), 1)
    out.sum().backward()
    assert tensor.grad is not None
    assert int((tensor.grad == 0).sum()) == 18, "no gradient passes a square, and all of it passes elsewhere"


@pytest.mark.parametrize(
    "call",
    [
        lambda: FiFA(n=0),
        lambda: FiFA(epoch_interval=0),
        lambda: FiFA(epoch_interval="auto"),
        lambda: FiFA(unit="px"),  # type: ignore[arg-type]
        lambda: FiFA(patch_extent="whole"),  # type: ignore[arg-type]
        lambda: FiFA()(white(), np.zeros((3, 2)), 0),
        lambda: FiFA()(white(), np.zeros((3, 3)), 1),
        lambda: FiFA()(torch.zeros(2, 3, 8, 8), torch.zeros(3, 2), 1),
        lambda: FiFA()(torch.zeros(2, 3, 8, 8), torch.zeros(3, 4, 2), 1),
    ],
)
def test_wrong_use_is_told(call: object) -> None:
    with pytest.raises(UsageError, match=r"found|give"):
        call()  # type: ignore[operator]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_draws_the_same_squares() -> None:
    rng = np.random.default_rng(3)
    images = torch.from_numpy(rng.integers(1, 256, (4, 3, 128, 128), np.uint8))
    points = torch.from_numpy(np.round(rng.uniform(-5, 133, (4, 98, 2)) * 2) / 2)
    fifa = FiFA(unit="crop_px")
    assert torch.equal(fifa(images.cuda(), points.cuda(), 1).cpu(), fifa(images, points, 1))


def test_98_squares_take_less_than_a_loop_would() -> None:
    fifa, image = FiFA(unit="crop_px"), white(128, 128)
    points = np.random.default_rng(0).uniform(10, 118, (98, 2))
    times = []
    for _ in range(50):
        start = time.perf_counter()
        fifa(image, points, 1)
        times.append(time.perf_counter() - start)
    # 0.06 ms measured; the bound leaves room for a busy machine and still catches a loop over 98 points.
    assert min(times) < 0.4e-3
