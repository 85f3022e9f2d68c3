from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fiducia.augment.views import EvalViews, TrainViews, plain_crop
from fiducia.errors import FiduciaError
from fiducia.geometry import affine_apply, box_to_crop, tight_box
from fiducia.images import Patch, crop, cut_patch
from fiducia.recipes.sections import AugmentConfig, DataConfig, FiFAConfig
from fiducia.schemes.sets import Scheme, get_scheme
from fiducia.structures import Record, Sample

SCHEME: Scheme = get_scheme("five")
STILL = AugmentConfig(occlusion=0.0, noise=0.0, gray=0.0, gamma=False, blur=False, fifa=FiFAConfig(enabled=False))
POINTS = np.array([[150.0, 120.0], [230.5, 118.0], [192.0, 170.25], [160.0, 210.0], [222.0, 212.5]])


def face(xy: np.ndarray = POINTS, box: np.ndarray | None = None) -> Record:
    visible = np.where(np.isfinite(xy).all(axis=1), 2, 0).astype(np.int8)
    return Record(image=Path("face.png"), xy=xy, visible=visible, scheme="five", box=box)


def photograph(seed: int = 0) -> np.ndarray:
    """Smooth and never black, so that FiFA's squares stand out."""
    small = np.random.default_rng(seed).integers(60, 256, (24, 30, 3)).astype(np.float64)
    return np.kron(small, np.ones((15, 15, 1))).astype(np.uint8)


def draw(views: TrainViews, photo: np.ndarray, record: Record, seed: int = 0, epoch: int = 1) -> list[Sample]:
    return views(record, Patch(photo), rng=np.random.default_rng(seed), epoch=epoch, index=7)


def views(augment: AugmentConfig, size: int = 128, epochs: int = 250, scale: float = 0.8) -> TrainViews:
    return TrainViews(DataConfig(size=size, scale=scale), augment, SCHEME, epochs)


def squares(sample: Sample) -> np.ndarray:
    return (sample.image == 0).all(axis=0)


def same_image(a: Sample, b: Sample) -> bool:
    return bool((a.image == b.image).all())


def test_evaluation_is_the_plain_crop_and_never_patched() -> None:
    photo, record, data = photograph(), face(), DataConfig(size=64)
    view = EvalViews(data)
    box, factor = view.reach(record)
    assert factor == 1
    (sample,) = view(record, cut_patch(photo, box, factor), rng=np.random.default_rng(0), epoch=1, index=3)
    to_crop = box_to_crop(tight_box(POINTS), 64, 0.8)
    np.testing.assert_array_equal(sample.image.transpose(1, 2, 0), crop(photo, to_crop, 64))
    np.testing.assert_allclose(sample.xy_crop, affine_apply(to_crop, POINTS), atol=1e-4)
    assert not squares(sample).any()
    assert (sample.index, sample.image.dtype, sample.xy_crop.dtype) == (3, np.uint8, np.float32)


def test_without_anything_a_training_view_is_the_evaluations() -> None:
    photo, record = photograph(), face()
    config = STILL.model_copy(update={"warp": False})
    first, second = draw(views(config), photo, record)
    (plain,) = EvalViews(DataConfig(size=128))(record, Patch(photo), rng=np.random.default_rng(0), epoch=1, index=0)
    assert same_image(first, plain)
    assert same_image(second, plain)
    np.testing.assert_array_equal(first.xy_crop, plain.xy_crop)
    np.testing.assert_array_equal(first.to_image, plain.to_image)


def test_only_the_second_view_is_patched_and_only_while_the_schedule_lasts() -> None:
    config = STILL.model_copy(update={"fifa": FiFAConfig(fifa_unit="crop_px")})
    for epoch, side in [(1, 5), (5, 5), (6, 4), (25, 1), (26, 0)]:
        first, second = draw(views(config), photograph(), face(), epoch=epoch)
        assert not squares(first).any(), "I' is clean of squares"
        assert squares(second).sum() == 5 * side**2
        np.testing.assert_array_equal(first.xy_crop, second.xy_crop)


def test_the_labels_are_those_of_the_same_draw_without_fifa() -> None:
    with_fifa = draw(views(AugmentConfig()), photograph(), face())
    without = draw(views(AugmentConfig(fifa=FiFAConfig(enabled=False))), photograph(), face())
    for a, b in zip(with_fifa, without, strict=True):
        np.testing.assert_array_equal(a.xy_crop, b.xy_crop)
        np.testing.assert_array_equal(a.visible, b.visible)
    assert same_image(with_fifa[0], without[0])
    assert not same_image(with_fifa[1], without[1])


def test_shared_augmentation_is_equation_4_to_the_letter() -> None:
    config = AugmentConfig(siamese_views="shared_aug", fifa=FiFAConfig(fifa_unit="crop_px"))
    for seed in range(10):
        first, second = draw(views(config), photograph(), face(), seed)
        fifa = views(config).fifa
        assert fifa is not None
        patched = fifa(first.image.transpose(1, 2, 0), first.xy_crop, 1)
        np.testing.assert_array_equal(second.image.transpose(1, 2, 0), patched)


def test_independent_photometry_shares_the_geometry() -> None:
    differ = 0
    for seed in range(10):
        first, second = draw(views(AugmentConfig(mirror=0.5)), photograph(), face(), seed, epoch=250)
        np.testing.assert_array_equal(first.xy_crop, second.xy_crop)
        np.testing.assert_array_equal(first.to_image, second.to_image)
        differ += not same_image(first, second)
    assert differ == 10
    still = STILL.model_copy(update={"mirror": 0.5})
    first, second = draw(views(still), photograph(), face())
    assert same_image(first, second), "one warp serves both"


def test_everything_independent_draws_two_warps() -> None:
    config = STILL.model_copy(update={"siamese_views": "indep_all"})
    first, second = draw(views(config), photograph(), face())
    assert np.abs(first.xy_crop - second.xy_crop).max() > 0.5
    # Each keeps the map back to the photograph, by which the features can be aligned.
    for view in (first, second):
        np.testing.assert_allclose(affine_apply(view.to_image, view.xy_crop), POINTS, atol=1e-3)


@pytest.mark.parametrize("mode", ["shared_aug", "indep_photo", "indep_all"])
def test_one_view_is_the_second_of_two(mode: str) -> None:
    for seed in range(5):
        two = draw(views(AugmentConfig(mirror=0.5, siamese_views=mode)), photograph(), face(), seed)  # type: ignore[arg-type]
        one = draw(views(AugmentConfig(mirror=0.5, views=1)), photograph(), face(), seed)
        assert (len(two), len(one)) == (2, 1)
        assert same_image(two[1], one[0])
        np.testing.assert_array_equal(two[1].xy_crop, one[0].xy_crop)


def test_a_mirrored_face_is_mirrored_in_picture_points_names_and_visibility() -> None:
    xy = POINTS.copy()
    xy[3] = np.nan
    record = face(xy)
    record.visible[0] = 1
    config = STILL.model_copy(update={"warp": False, "views": 1})
    (plain,) = draw(views(config), photograph(), record)
    (mirrored,) = draw(views(config.model_copy(update={"mirror": 1.0})), photograph(), record)
    order = list(SCHEME.mirror)
    assert np.abs(mirrored.image.astype(int) - plain.image[:, :, ::-1]).max() <= 2, "cv2 samples on 1/32 pixels"
    np.testing.assert_array_equal(mirrored.visible, plain.visible[order])
    expected = plain.xy_crop[order] * [-1, 1] + [127, 0]
    np.testing.assert_allclose(mirrored.xy_crop, expected, atol=1e-4)
    assert np.isnan(mirrored.xy_crop).sum() == 2
    # Names: the left eye of the mirrored face stands where a left eye stands.
    assert (mirrored.xy_crop[0, 0] < mirrored.xy_crop[1, 0]) == (plain.xy_crop[0, 0] < plain.xy_crop[1, 0])


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 10**6),
    # From a photograph twice as fine as the crop to one half as fine.
    size=st.sampled_from([48, 64, 128, 256]),
    mirror=st.booleans(),
    x=st.floats(120, 260),
    y=st.floats(90, 240),
)
def test_a_dot_in_the_photograph_is_found_at_its_point_in_the_crop(
    seed: int, size: int, mirror: bool, x: float, y: float
) -> None:
    xy = POINTS.copy()
    xy[2] = (x, y)
    ys, xs = np.mgrid[:360, :450]
    # A Gaussian dot, wide enough to survive any reduction.
    dot = 250 * np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / (2 * 6.0**2))
    photo = np.repeat(np.rint(dot)[..., None], 3, axis=2).astype(np.uint8)
    config = STILL.model_copy(update={"mirror": float(mirror), "views": 1, "rotation": 0.5, "shift": 0.02})
    (sample,) = draw(views(config, size=size, scale=0.5), photo, face(xy), seed)
    target = sample.xy_crop[2]
    weights = sample.image[0].astype(np.float64)
    weights[weights < 25] = 0
    v, u = np.nonzero(weights)
    if min(u.min(), v.min()) == 0 or max(u.max(), v.max()) == size - 1:
        return  # the dot is cut by the crop's edge, and so is its centroid
    found = np.array([np.average(u, weights=weights[v, u]), np.average(v, weights=weights[v, u])])
    assert np.abs(found - target).max() < 0.1


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), size=st.sampled_from([16, 40, 128]), rotation=st.floats(0, 3.2))
def test_the_reach_covers_every_draw(seed: int, size: int, rotation: float) -> None:
    """A patch cut to the reach gives the pixels of the whole photograph, reduced alike, whatever is drawn."""
    photo, record = photograph(), face()
    config = AugmentConfig(rotation=rotation, scale=0.3, shift=0.2, mirror=0.5)
    view = views(config, size=size)
    box, factor = view.reach(record)
    whole = cut_patch(photo, (0, 0, 450, 360), factor)
    for a, b in zip(
        view(record, cut_patch(photo, box, factor), rng=np.random.default_rng(seed), epoch=1, index=0),
        view(record, whole, rng=np.random.default_rng(seed), epoch=1, index=0),
        strict=True,
    ):
        np.testing.assert_array_equal(a.image, b.image)


def test_the_reduction_is_the_plain_crops_whatever_is_drawn() -> None:
    record, data = face(), DataConfig(size=32)
    training = TrainViews(data, AugmentConfig(scale=0.6), SCHEME, 10).reach(record)[1]
    assert training == EvalViews(data).reach(record)[1] == int(1 / plain_crop(record, data)[0, 0]) == 3


def test_the_box_is_the_points_or_the_data_sets() -> None:
    record = face(box=np.array([100.0, 100.0, 300.0, 200.0]))
    np.testing.assert_array_equal(
        plain_crop(record, DataConfig(size=64, box_source="dataset", scale=1.0)), box_to_crop(record.box, 64, 1.0)
    )
    np.testing.assert_array_equal(plain_crop(record, DataConfig(size=64)), box_to_crop(tight_box(POINTS), 64, 0.8))


@pytest.mark.parametrize(
    ("record", "data", "says"),
    [
        (face(), DataConfig(size=64, box_source="dataset"), "box_source"),
        (face(np.full((5, 2), np.nan)), DataConfig(size=64), "no labelled point"),
        (face(np.full((5, 2), 3.0)), DataConfig(size=64), "x1 < x2"),
        (face(box=np.array([5.0, 5.0, np.nan, 9.0])), DataConfig(size=64, box_source="dataset"), "finite"),
    ],
)
def test_a_face_without_a_box_is_told_by_name(record: Record, data: DataConfig, says: str) -> None:
    with pytest.raises(FiduciaError, match=rf"face\.png.*{says}"):
        plain_crop(record, data)


ROWS = {
    "RM + RO": {"gray": 0.0, "gamma": False, "blur": False, "noise": 0.0, "interpolation": "nearest"},
    "RM + {RO, RGr}": {"gamma": False, "blur": False, "noise": 0.0, "interpolation": "nearest"},
    "RM + {RO, RGr, RGm}": {"blur": False, "noise": 0.0, "interpolation": "nearest"},
    "RM + {RO, RGr, RGm, RB}": {"noise": 0.0, "interpolation": "nearest"},
    "RM + BI + {RO, RGr, RGm, RB}": {"noise": 0.0},
    "RM + BI + NF + {RO, RGr, RGm, RB}": {},
}
READINGS = {"matrix": {}, "masking": {"warp": False, "random_mask": 1.0}}


def test_every_row_of_table_5_in_both_readings_is_a_different_training() -> None:
    seen: dict[bytes, str] = {}
    photo = photograph()
    for reading, change in READINGS.items():
        for row, parts in ROWS.items():
            for enabled in (False, True):
                config = AugmentConfig.model_validate(
                    {"views": 1, "fifa": {"enabled": enabled, "fifa_unit": "crop_px"}, **change, **parts}
                )
                pictures = [draw(views(config), photo, face(), seed)[0].image for seed in range(40)]
                name = f"{reading}: {row}{' + FiFA' if enabled else ''}"
                key = np.stack(pictures).tobytes()
                assert key not in seen, f"{name} is the same as {seen.get(key)}"
                seen[key] = name
    assert len(seen) == 24


@pytest.mark.parametrize("exact", [0.0, 1.0])
def test_labels_that_lean_to_the_right_do_so_in_mirrored_views_too(exact: float) -> None:
    labels = np.rint(POINTS)
    bias = 2.0 / float((labels.max(0) - labels.min(0)).max())
    photo = np.full((360, 450, 3), 90, np.uint8)
    for x, y in labels.astype(int):
        photo[y - 2 : y + 3, x - 4 : x + 1] = 255
    leaning = face(labels)
    config = STILL.model_copy(
        update={"rotation": 0.0, "scale": 0.0, "shift": 0.0, "exact": exact, "mirror": 1.0, "mirror_bias": bias}
    )
    _, sample = draw(views(config, size=256), photo, leaning)
    # The nearest bright square's middle stands as far to the left of each point as in the photograph.
    for x, y in sample.xy_crop:
        rows, columns = np.nonzero(sample.image[0] > 170)
        near = np.hypot(columns - x, rows - y) < 14
        offset = (x - columns[near].mean()) / (256 * 0.8)
        assert offset == pytest.approx(bias, abs=0.002)
