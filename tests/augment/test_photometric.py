from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiducia.augment import photometric as ph
from fiducia.recipes.sections import AugmentConfig

OFF = AugmentConfig(occlusion=0.0, noise=0.0, gray=0.0, gamma=False, blur=False)


def picture(size: int = 64, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 256, (size, size, 3), np.uint8)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_all_off_is_the_same_picture() -> None:
    image = picture()
    assert ph.photometric(image, rng(), OFF) is image


@given(seed=st.integers(0, 10**6), size=st.sampled_from([16, 33, 128]))
def test_no_part_changes_its_argument_and_the_kind_stays(seed: int, size: int) -> None:
    image = picture(size, seed)
    before = image.copy()
    out = ph.photometric(image, rng(seed), AugmentConfig(random_mask=1.0, noise=1.0, gray=1.0))
    assert out.dtype == np.uint8
    assert out.shape == image.shape
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize(
    ("field", "value"),
    [("occlusion", 1.0), ("random_mask", 1.0), ("noise", 1.0), ("gray", 1.0), ("gamma", True), ("blur", True)],
)
def test_each_switch_does_something_alone(field: str, value: float | bool) -> None:
    config = OFF.model_copy(update={field: value})
    image = picture()
    assert any((ph.photometric(image, rng(seed), config) != image).any() for seed in range(8))


def test_occlusion_is_one_black_rectangle_of_farls_size() -> None:
    sides = []
    for seed in range(400):
        out = ph.random_occlusion(np.full((100, 100, 3), 255, np.uint8), rng(seed))
        black = (out == 0).all(axis=-1)
        rows, columns = np.nonzero(black.any(axis=1))[0], np.nonzero(black.any(axis=0))[0]
        if not black.any():
            continue  # rw can be 0
        assert black[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all(), "one full rectangle"
        assert (out[~black] == 255).all()
        if min(rows[0], columns[0]) > 0 and max(rows[-1], columns[-1]) < 99:
            sides.append((len(columns), len(rows)))
    widths, heights = np.array(sides).T
    assert len(sides) > 100
    assert 9 <= heights.min() <= 13
    assert 36 <= heights.max() <= 41
    assert widths.max() <= 51
    assert np.abs(widths - heights).max() <= 11


def test_lengths_scale_with_the_crop() -> None:
    for seed in range(20):
        small = (ph.random_occlusion(picture(128), rng(seed)) == 0).all(axis=-1).mean()
        large = (ph.random_occlusion(picture(512), rng(seed)) == 0).all(axis=-1).mean()
        assert small == pytest.approx(large, abs=0.01)


def test_masks_are_a_few_small_squares() -> None:
    shares = [
        (ph.random_mask(np.full((100, 100, 3), 9, np.uint8), rng(s)) == 0).all(axis=-1).mean() for s in range(200)
    ]
    # One to four squares of 5 to 20 % of the side: at most 4 * 0.2^2 (and a pixel of rounding).
    assert max(shares) <= 4 * 0.21**2
    assert 0.01 < np.mean(shares) < 0.06


def test_noise_fuses_by_alpha_and_keeps_the_mean() -> None:
    for seed in range(10):
        alpha = rng(seed).uniform(0.0, 0.5)
        out = ph.random_noise(np.full((200, 200, 3), 200, np.uint8), rng(seed)).astype(float)
        assert out.mean() == pytest.approx((1 - alpha) * 200 + alpha * 127.5, abs=0.5)
        assert out.std() == pytest.approx(alpha * 255 / np.sqrt(12), abs=0.6)
        # Independent in every channel.
        assert abs(np.corrcoef(out[..., 0].ravel(), out[..., 1].ravel())[0, 1]) < 0.05


def test_gray_is_luma() -> None:
    out = ph.random_gray(np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [77, 77, 77]]], np.uint8))
    np.testing.assert_array_equal(out[0, :, 0], [76, 150, 29, 77])
    assert (out[..., 0] == out[..., 1]).all()
    assert (out[..., 0] == out[..., 2]).all()


def test_gamma_is_root_nothing_or_square_in_equal_thirds() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    kinds = {"root": 0, "same": 0, "square": 0}
    for seed in range(600):
        level = int(ph.random_gamma(ramp, rng(seed))[0, 64, 0])
        # 255 sqrt(64 / 255) = 127.7; 255 (64 / 255)^2 = 16.06.
        kinds[{128: "root", 64: "same", 16: "square"}[level]] += 1
    assert all(abs(count - 200) < 60 for count in kinds.values()), kinds


@pytest.mark.parametrize(
    ("side", "kernels"),
    # FaRL's k = int(5.12 u) is 0, 1, 2, 3, 4, 5 for the six draws; it fires above 1.
    [
        (64, [0, 0, 3, 3, 3, 3]),
        (128, [0, 0, 3, 3, 3, 3]),
        (256, [0, 0, 3, 3, 3, 3]),
        (512, [0, 0, 3, 3, 5, 5]),
        (1024, [0, 0, 5, 7, 9, 11]),
    ],
)
def test_blur_kernels_are_odd_and_fire_as_often_at_every_size(side: int, kernels: list[int]) -> None:
    assert [ph.blur_kernel(u, side) for u in (0.1, 0.3, 0.5, 0.7, 0.9, 0.99)] == kernels


def test_farls_own_kernels_are_even_too() -> None:
    assert [ph.blur_kernel(u, 512, even=True) for u in (0.1, 0.3, 0.5, 0.7, 0.9, 0.99)] == [0, 0, 2, 3, 4, 5]
    assert ph.blur_kernel(0.999, 128, even=True) == 0
    assert ph.blur_kernel(0.999, 256, even=True) == 2


def test_an_odd_blur_stays_in_place_and_an_even_one_shifts_by_half_a_pixel() -> None:
    dot = np.zeros((512, 512, 3), np.uint8)
    dot[256, 256] = 255

    def centre(even: bool, seed: int) -> np.ndarray | None:
        out = ph.random_blur(dot, rng(seed), even=even)[..., 0].astype(float)
        if (out > 0).sum() == 1:
            return None
        ys, xs = np.nonzero(out)
        return np.array([np.average(xs, weights=out[ys, xs]), np.average(ys, weights=out[ys, xs])]) - 256

    odd = [c for s in range(30) if (c := centre(False, s)) is not None]
    even = [c for s in range(30) if (c := centre(True, s)) is not None]
    assert np.abs(odd).max() == 0
    assert np.abs(even).max() == 0.5


def test_blur_fires_in_61_of_100_draws() -> None:
    fired = np.mean([ph.blur_kernel(u, 128) > 0 for u in np.linspace(0, 1, 10_000, endpoint=False)])
    assert fired == pytest.approx(1 - 2 / 5.12, abs=1e-3)
