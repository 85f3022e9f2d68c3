from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiducia.augment.geometric import draw_warp, reach, refit
from fiducia.errors import UsageError
from fiducia.geometry import affine_apply, affine_compose, affine_invert, box_to_crop, mirror_matrix, tight_box
from fiducia.recipes.sections import AugmentConfig


def test_off_means_nothing_moves() -> None:
    warp = draw_warp(np.random.default_rng(0), AugmentConfig(warp=False), 0.8, 128)
    np.testing.assert_array_equal(warp.matrix, np.eye(2, 3))
    assert not warp.mirrored


def test_draws_fill_their_ranges_uniformly_and_no_more() -> None:
    rng = np.random.default_rng(1)
    config = AugmentConfig(rotation=0.3, scale=0.2, shift=0.1)
    matrices = np.stack([draw_warp(rng, config, 0.8, 100).matrix for _ in range(4000)])
    scale = 0.8 * np.hypot(matrices[:, 0, 0], matrices[:, 1, 0])
    angle = np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0])
    shift = affine_apply(matrices, np.full((4000, 1, 2), 49.5))[:, 0] - 49.5
    for values, half, middle in [
        (angle, 0.3, 0.0),
        (scale, 0.2, 0.8),
        (shift[:, 0], 10.0, 0.0),
        (shift[:, 1], 10.0, 0.0),
    ]:
        assert values.min() >= middle - half - 1e-9
        assert values.max() <= middle + half + 1e-9
        # A uniform variable has the standard deviation half / sqrt(3); 5 % is six standard errors and more.
        assert values.std() == pytest.approx(half / math.sqrt(3), rel=0.05)


def test_a_part_switched_off_leaves_the_other_draws_alone() -> None:
    def matrix(**changes: float) -> np.ndarray:
        return draw_warp(np.random.default_rng(5), AugmentConfig(**changes), 0.8, 64).matrix  # type: ignore[arg-type]

    moved = affine_apply(matrix(rotation=0.0, scale=0.0), [[31.5, 31.5]])
    np.testing.assert_allclose(affine_apply(matrix(), [[31.5, 31.5]]), moved)


def test_mirroring_has_its_own_probability() -> None:
    rng = np.random.default_rng(2)
    warps = [draw_warp(rng, AugmentConfig(warp=False, mirror=0.25), 0.8, 10) for _ in range(2000)]
    assert np.mean([w.mirrored for w in warps]) == pytest.approx(0.25, abs=0.04)
    mirrored = next(w for w in warps if w.mirrored)
    np.testing.assert_allclose(affine_apply(mirrored.matrix, [[0.0, 3.0], [9.0, 3.0]]), [[9.0, 3.0], [0.0, 3.0]])


def test_mirroring_twice_is_nothing() -> None:
    np.testing.assert_allclose(affine_compose(mirror_matrix(97), mirror_matrix(97)), np.eye(2, 3))


@given(
    seed=st.integers(0, 10**6),
    rotation=st.floats(0, 3.2),
    scale=st.floats(0, 0.6),
    shift=st.floats(0, 0.5),
    mirror=st.booleans(),
)
def test_no_draw_leaves_the_reach(seed: int, rotation: float, scale: float, shift: float, mirror: bool) -> None:
    config = AugmentConfig(rotation=rotation, scale=scale, shift=shift, mirror=float(mirror))
    size = 64
    far = reach(config, 0.8) * size / 2
    back = affine_invert(draw_warp(np.random.default_rng(seed), config, 0.8, size).matrix)
    corners = affine_apply(back, [[-0.5, -0.5], [63.5, -0.5], [-0.5, 63.5], [63.5, 63.5]])
    assert np.abs(corners - 31.5).max() <= far + 1e-6


def test_a_face_that_could_shrink_to_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match=r"augment\.scale"):
        reach(AugmentConfig(scale=0.8), 0.8)


def test_exact_views_turn_only_and_leave_the_other_draws_alone() -> None:
    config = AugmentConfig(rotation=0.3, scale=0.2, shift=0.1, exact=0.5, exact_rotation=0.1)
    rng = np.random.default_rng(3)
    warps = [draw_warp(rng, config, 0.8, 100) for _ in range(2000)]
    exact = np.stack([w.matrix for w in warps if w.exact])
    assert len(exact) / 2000 == pytest.approx(0.5, abs=0.05)
    np.testing.assert_allclose(np.hypot(exact[:, 0, 0], exact[:, 1, 0]), 1.0)
    np.testing.assert_allclose(affine_apply(exact, np.full((len(exact), 1, 2), 49.5)), 49.5)
    angles = np.abs(np.arctan2(exact[:, 1, 0], exact[:, 0, 0]))
    assert 0.095 < angles.max() <= 0.1 + 1e-9
    plain = draw_warp(np.random.default_rng(5), AugmentConfig(), 0.8, 64)
    other = draw_warp(np.random.default_rng(5), AugmentConfig(exact=1e-12), 0.8, 64)
    np.testing.assert_array_equal(plain.matrix, other.matrix)


@given(
    seed=st.integers(0, 10**6),
    rotation=st.floats(0, 3.2),
    aspect=st.floats(0.2, 5.0),
    scale=st.floats(0.5, 1.0),
    mirror=st.booleans(),
)
def test_an_exact_view_is_the_turned_faces_own_crop_and_within_reach(
    seed: int, rotation: float, aspect: float, scale: float, mirror: bool
) -> None:
    config = AugmentConfig(rotation=rotation, scale=0.0, shift=0.0, exact=1.0, mirror=float(mirror))
    rng = np.random.default_rng(seed)
    xy = rng.uniform(0, 100, (12, 2)) * [aspect, 1.0]
    plain = box_to_crop(tight_box(xy), 64, scale)
    crop = refit(affine_compose(draw_warp(rng, config, scale, 64).matrix, plain), xy, 64, scale)
    left, top, right, bottom = tight_box(affine_apply(crop, xy)).tolist()
    assert max(right - left, bottom - top) == pytest.approx(64 * scale)
    assert ((left + right) / 2, (top + bottom) / 2) == (pytest.approx(31.5), pytest.approx(31.5))
    corners = affine_apply(affine_invert(crop), [[-0.5, -0.5], [63.5, -0.5], [-0.5, 63.5], [63.5, 63.5]])
    assert np.abs(affine_apply(plain, corners) - 31.5).max() <= reach(config, scale) * 32 + 1e-6
