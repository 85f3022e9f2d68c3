from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from fiducia.augment.elastic import MAX_ELASTIC, draw_bend
from fiducia.augment.views import TrainViews
from fiducia.recipes.files.sections import AugmentConfig, DataConfig, FiFAConfig
from fiducia.images import Patch, bent_patch, crop_patch, cut_patch
from fiducia.geometry import affine_invert, box_to_crop, tight_box
from fiducia.schemes.sets.sets import get_scheme
from fiducia.structures import Record

STILL = AugmentConfig(
    occlusion=0.0, noise=0.0, gray=0.0, gamma=False, blur=False, fifa=FiFAConfig(enabled=False), views=1
)
POINTS = np.array([[150.0, 120.0], [230.5, 118.0], [192.0, 170.25], [160.0, 210.0], [222.0, 212.5]])
PLAIN = box_to_crop(tight_box(POINTS), 128, 0.8)


def spots() -> np.ndarray:
    """A dim photograph with a bright round spot on every point."""
    y, x = np.mgrid[:360, :450].astype(np.float64)
    light = np.zeros((360, 450))
    for px, py in POINTS:
        light = np.maximum(light, 200 * np.exp(-((x - px) ** 2 + (y - py) ** 2) / 18))
    return np.repeat((light + 20).astype(np.uint8)[..., None], 3, axis=2)


def record() -> Record:
    return Record(image=Path("face.png"), xy=POINTS, visible=np.full(5, 2, np.int8), scheme="five", box=None)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), elastic=st.floats(0.001, MAX_ELASTIC), size=st.sampled_from([64, 128, 256]))
def test_points_go_where_the_pixels_are_read_from(seed: int, elastic: float, size: int) -> None:
    plain = box_to_crop(tight_box(POINTS), size, 0.8)
    bend = draw_bend(np.random.default_rng(seed), elastic, plain, size)
    side = float(np.linalg.norm(affine_invert(plain)[:, 0])) * size
    assert np.abs(bend.read_at(bend.moved(POINTS)) - POINTS).max() < 2e-6 * side
    # Nothing folds: neighbours keep their order along every line.
    line = np.stack([np.linspace(0, 400, 400), np.full(400, 170.0)], axis=1)
    assert (np.diff(bend.read_at(line)[:, 0]) > 0).all()


def test_the_displacement_has_the_asked_size_and_keeps_unlabelled_points() -> None:
    grid = np.stack(np.meshgrid(np.linspace(100, 280, 30), np.linspace(80, 250, 30)), axis=-1)
    side = float(np.linalg.norm(affine_invert(PLAIN)[:, 0])) * 128
    shares = [(draw_bend(np.random.default_rng(s), 0.02, PLAIN, 128).read_at(grid) - grid) / side for s in range(300)]
    assert np.sqrt((np.array(shares) ** 2).sum(-1).mean()) == pytest.approx(0.02, rel=0.03)
    holes = POINTS.copy()
    holes[2] = np.nan
    moved = draw_bend(np.random.default_rng(0), 0.02, PLAIN, 128).moved(holes)
    assert np.isnan(moved[2]).all()
    assert np.isfinite(moved[[0, 1, 3, 4]]).all()


@pytest.mark.parametrize("exact", [0.0, 1.0])
def test_a_bent_views_points_lie_on_what_they_mark(exact: float) -> None:
    config = STILL.model_copy(update={"elastic": 0.02, "exact": exact, "mirror": 0.5, "rotation": 0.3})
    data = DataConfig(size=128, scale=0.8)
    views = TrainViews(data, config, get_scheme("five"), 10)
    for seed in range(12):
        (sample,) = views(record(), Patch(spots()), rng=np.random.default_rng(seed), epoch=1, index=0)
        image = sample.image[0].astype(np.float64) - 20
        for x, y in sample.xy_crop:
            if not (8 < x < 119 and 8 < y < 119):
                continue
            left, top = round(float(x)) - 7, round(float(y)) - 7
            part = image[top : top + 15, left : left + 15].clip(20) - 20
            rows, columns = np.mgrid[top : top + 15, left : left + 15]
            centre = np.array([(columns * part).sum(), (rows * part).sum()]) / part.sum()
            assert np.abs(centre - [x, y]).max() < 0.35
        if exact:
            lo, hi = sample.xy_crop.min(0), sample.xy_crop.max(0)
            assert float((hi - lo).max()) == pytest.approx(0.8 * 128, rel=1e-3), "cropped by the bent points' own box"


def test_the_part_that_the_cache_keeps_is_all_that_a_bent_view_reads() -> None:
    config = STILL.model_copy(update={"elastic": MAX_ELASTIC, "rotation": 0.5, "shift": 0.1, "exact": 0.5})
    views = TrainViews(DataConfig(size=64, scale=0.8), config, get_scheme("five"), 10)
    photo = np.random.default_rng(0).integers(1, 256, (360, 450, 3)).astype(np.uint8)
    part = cut_patch(photo, *views.reach(record()))
    for seed in range(40):
        (whole,) = views(record(), Patch(photo), rng=np.random.default_rng(seed), epoch=1, index=0)
        (kept,) = views(record(), part, rng=np.random.default_rng(seed), epoch=1, index=0)
        np.testing.assert_array_equal(whole.image, kept.image)


def test_a_bend_of_nothing_is_the_plain_crop() -> None:
    photo = Patch(spots())
    straight = crop_patch(photo, PLAIN, 128).astype(int)
    bent = bent_patch(photo, PLAIN, 128, lambda xy: xy).astype(int)
    assert np.abs(straight - bent).max() <= 4, "OpenCV rounds the two ways of sampling to 1/32 pixel each"
    empty = Patch(np.zeros((0, 0, 3), np.uint8))
    assert bent_patch(empty, PLAIN, 16, lambda xy: xy).shape == (16, 16, 3)


def test_without_it_no_number_is_drawn_and_too_much_is_refused() -> None:
    config = STILL.model_copy(update={"mirror": 0.5})
    one, other = np.random.default_rng(3), np.random.default_rng(3)
    scheme, data = get_scheme("five"), DataConfig(size=64)
    (a,) = TrainViews(data, config, scheme, 10)(record(), Patch(spots()), rng=one, epoch=1, index=0)
    off = config.model_copy(update={"elastic": 0.0})
    (b,) = TrainViews(data, off, scheme, 10)(record(), Patch(spots()), rng=other, epoch=1, index=0)
    assert one.random() == other.random()
    np.testing.assert_array_equal(a.xy_crop, b.xy_crop)
    with pytest.raises(ValidationError):
        AugmentConfig(elastic=MAX_ELASTIC + 0.001)
