from __future__ import annotations

import hashlib
import tempfile
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest

from fiducia.data.source import carve, load_records
from fiducia.data.synthetic import paint as synthetic_paint
from fiducia.data.synthetic import source as synthetic
from fiducia.data.synthetic.brush import Brush, Placing
from fiducia.data.synthetic.look import sample_look
from fiducia.data.synthetic.person import sample_shape
from fiducia.data.synthetic.shape import SELECTIONS, FaceShape, build_head, spline
from fiducia.data.synthetic.source import synthetic_face
from fiducia.errors import FiduciaError, UsageError
from fiducia.images import read_image
from fiducia.schemes.sets import convert, get_scheme
from fiducia.schemes.tables import CONVERSIONS

SCHEMES = ["ibug68", "wflw98", "cofw29", "aflw19", "lapa106", "five", "ibug51"]
MANY = range(150)
# Seed 11: corners of the contour, chin, nose, eyes and mouth; the mean colour of each quarter of the picture.
GOLDEN_POINTS = [
    [79.149312, 87.913945],
    [119.66548, 202.297366],
    [206.982443, 103.093162],
    [124.045916, 133.963077],
    [92.898729, 95.638979],
    [175.337951, 105.794383],
    [104.010586, 164.333261],
    [142.577855, 168.973128],
]
GOLDEN_BLOCKS = [[82, 80, 76], [67, 59, 50], [83, 86, 79], [75, 67, 58]]


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def dense(seed: int) -> np.ndarray:
    head = build_head(sample_shape(np.random.default_rng([seed, 0])))
    return synthetic._stand(head, 256, np.random.default_rng([seed, 1]))(head, head.points)


def inside(polygon: np.ndarray, point: np.ndarray) -> float:
    """Return the signed distance to the polygon's edge, positive inside."""
    return float(cv2.pointPolygonTest(polygon.astype(np.float32)[:, None], tuple(map(float, point)), True))


def plain_look(**changes: object):
    look = sample_look(np.random.default_rng(3))
    look = replace(look, skin=(225.0, 180.0, 150.0), hair=(30.0, 25.0, 20.0), light=np.array([0.0, 0.0, 1.0]))
    return replace(look, beard=0.0, stubble=0.0, freckles=False, glasses="", style="bald", **changes)


# The picture -----------------------------------------------------------------------------------------------------


def test_a_face_is_a_picture_points_and_their_visibility():
    image, xy, visible = synthetic_face(5)
    assert image.shape == (256, 256, 3)
    assert image.dtype == np.uint8
    assert xy.shape == (68, 2)
    assert xy.dtype == np.float64
    assert visible.shape == (68,)
    assert visible.dtype == np.int8
    assert set(visible.tolist()) <= {1, 2}
    assert image.std() > 15


@pytest.mark.parametrize("seed", [0, 7, 1_000_003])
def test_the_same_seed_draws_the_same_bytes(seed: int):
    first, second = synthetic_face(seed), synthetic_face(seed)
    assert first[0].tobytes() == second[0].tobytes()
    assert first[1].tobytes() == second[1].tobytes()


def test_other_seeds_draw_other_faces():
    faces = [synthetic_face(seed, size=64) for seed in range(12)]
    for a, b in combinations(faces, 2):
        assert np.abs(a[0].astype(int) - b[0]).mean() > 4
        assert np.abs(a[1] - b[1]).max() > 0.5


def test_a_seed_means_the_same_face_on_every_machine_and_in_every_release_until_it_is_meant_to_change():
    image, xy, _ = synthetic_face(11)
    np.testing.assert_allclose(xy[[0, 8, 16, 30, 36, 45, 48, 54]], GOLDEN_POINTS, atol=1e-5)
    # Blocks of the picture, to within what another build of OpenCV may round otherwise.
    blocks = cv2.resize(image, (2, 2), interpolation=cv2.INTER_AREA).reshape(-1, 3)
    np.testing.assert_allclose(blocks, GOLDEN_BLOCKS, atol=2)


@pytest.mark.parametrize("size", [64, 128, 512])
def test_the_face_scales_with_the_picture(size: int):
    small, large = synthetic_face(3, size=size), synthetic_face(3, size=256)
    assert small[0].shape == (size, size, 3)
    np.testing.assert_allclose((small[1] + 0.5) / size, (large[1] + 0.5) / 256, atol=1e-9)


def test_faces_vary_as_the_human_range_does():
    shapes = [sample_shape(np.random.default_rng([seed, 0])) for seed in range(400)]
    yaw, pitch, roll = (np.array([getattr(s, name) for s in shapes]) for name in ("yaw", "pitch", "roll"))
    assert np.abs(yaw).max() <= 35
    assert np.abs(pitch).max() <= 16
    assert np.abs(roll).max() <= 22
    assert yaw.std() > 10
    assert abs(yaw.mean()) < 3
    assert 0.1 < np.mean([s.open > 0.05 for s in shapes]) < 0.5
    assert any(max(s.lids) == 0 for s in shapes)
    looks = [sample_look(np.random.default_rng(seed)) for seed in range(200)]
    tones = np.array([np.mean(look.skin) for look in looks])
    assert tones.min() < 75
    assert tones.max() > 195
    assert {look.style for look in looks} == {"bald", "short", "side", "long", "bob", "curly", "bun", "scarf"}
    assert 0.05 < np.mean([bool(look.glasses) for look in looks]) < 0.5


@pytest.mark.parametrize(
    ("arguments", "word"), [({"size": 30}, "30"), ({"size": 65}, "65"), ({"scheme": "ibug86"}, "ibug68")]
)
def test_what_cannot_be_drawn_is_refused(arguments: dict, word: str):
    with pytest.raises(UsageError, match=word):
        synthetic_face(0, **arguments)


def test_a_negative_seed_is_refused():
    with pytest.raises(UsageError, match="-1"):
        synthetic_face(-1)


# The points ------------------------------------------------------------------------------------------------------


def test_every_point_lies_well_inside_the_picture():
    for seed in MANY:
        xy = dense(seed)
        assert np.isfinite(xy).all()
        assert xy.min() >= 0.04 * 256 - 0.5
        assert xy.max() <= 0.96 * 256 - 0.5
        assert np.ptp(xy[:98], axis=0).max() > 0.35 * 256


@pytest.mark.parametrize("name", SCHEMES)
def test_each_set_has_its_points_and_shows_the_same_picture(name: str):
    image, xy, visible = synthetic_face(4, scheme=name)
    assert len(xy) == len(visible) == get_scheme(name).num_points
    assert image.tobytes() == synthetic_face(4)[0].tobytes()


@pytest.mark.parametrize(
    ("source", "target"),
    # A drawn eye's centre is the mean of eight points of its outline: those of the other sets differ a little.
    sorted(pair for pair in CONVERSIONS if pair[1] != "five" or pair[0] in ("wflw98", "lapa106")),
)
def test_sets_agree_with_the_conversions_between_them(source: str, target: str):
    for seed in (1, 2, 3):
        got = convert(dense(seed)[list(SELECTIONS[source])], source, target)
        np.testing.assert_allclose(got, dense(seed)[list(SELECTIONS[target])], atol=1e-9)


@pytest.mark.parametrize(("a", "b"), list(combinations(SCHEMES, 2)))
def test_points_of_the_same_name_coincide(a: str, b: str):
    left, right = get_scheme(a), get_scheme(b)
    # Numbered names ("nose_3") count within a set; an eye's centre is its pupil in some sets and its outline's mean
    # in others.
    shared = {n for n in set(left.names) & set(right.names) if not n[-1].isdigit() and "eye_centre" not in n}
    assert {"nose_tip", "right_mouth_corner", "left_mouth_corner"} <= shared
    xy = dense(9)
    for name in shared:
        i, j = SELECTIONS[a][left.names.index(name)], SELECTIONS[b][right.names.index(name)]
        np.testing.assert_array_equal(xy[i], xy[j], err_msg=name)


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize("shape", [FaceShape(), FaceShape(smile=0.8, open=0.2), FaceShape(lids=(0.4, 0.4), raised=1.0)])
def test_a_symmetric_frontal_face_is_its_own_mirror_image(name: str, shape: FaceShape):
    head = build_head(shape)
    xy = head.view(head.points)[list(SELECTIONS[name])]
    np.testing.assert_allclose((xy * [-1, 1])[list(get_scheme(name).mirror)], xy, atol=1e-12)


@pytest.mark.parametrize("name", SCHEMES)
def test_a_face_turned_right_is_the_mirror_image_of_one_turned_left(name: str):
    mine = FaceShape(yaw=25, roll=8, pitch=5, gaze=(0.5, 0.2), lopsided=0.3, lids=(0.3, 1.0))
    other = replace(mine, yaw=-25, roll=-8, gaze=(-0.5, 0.2), lopsided=-0.3, lids=(1.0, 0.3))
    first, second = (build_head(s) for s in (mine, other))
    a, b = (head.view(head.points)[list(SELECTIONS[name])] for head in (first, second))
    np.testing.assert_allclose((a * [-1, 1])[list(get_scheme(name).mirror)], b, atol=1e-12)


def test_the_person_s_right_is_on_the_picture_s_left_and_what_is_above_is_above():
    scheme = get_scheme("wflw98")
    for seed in MANY:
        shape = replace(sample_shape(np.random.default_rng([seed, 0])), yaw=0, pitch=0, roll=0)
        head = build_head(shape)
        p = head.view(head.points)
        part = {name: p[list(index)] for name, index in scheme.regions.items()}
        for what in ("brow", "eye"):
            assert part[f"right_{what}"][:, 0].max() < 0 < part[f"left_{what}"][:, 0].min()
        for side in ("right", "left"):
            brow, eye = part[f"{side}_brow"], part[f"{side}_eye"]
            assert brow[:, 1].max() < max(eye[0, 1], eye[4, 1])
            assert brow[:, 1].mean() < eye[:, 1].min()
            assert part[f"{side}_eye"][:, 1].max() < part["nose"][-5:, 1].min() < part["outer_lip"][:, 1].min()
        assert part["outer_lip"][:, 1].max() < part["contour"][:, 1].max() == p[16, 1]
        assert (np.diff(part["contour"][:17, 1]) > 0).all()
        assert (np.diff(part["contour"][:, 0]) > 0).all()


def test_pupils_lie_between_the_lids_and_the_inner_lip_within_the_outer():
    for seed in MANY:
        xy = dense(seed)
        for ring, pupil in ((xy[60:68], xy[96]), (xy[68:76], xy[97])):
            assert inside(ring, pupil) > -1.0
            if np.linalg.norm(ring[2] - ring[6]) > 3:
                assert inside(ring, pupil) > 0
        for point in xy[88:96]:
            assert inside(xy[76:88], point) > -0.6
        for point in xy[51:98]:
            assert inside(np.concatenate([xy[:33], xy[46:41:-1], xy[37:32:-1]]), point) > 0


def test_a_spline_passes_through_its_points():
    points = np.array([[0.0, 0.0], [1.0, 2.0], [3.0, 1.0], [4.0, 4.0]])
    curve = spline(points, 5)
    assert curve.shape == (16, 2)
    np.testing.assert_allclose(curve[::5], points, atol=1e-12)
    line = spline([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]], 4)
    np.testing.assert_allclose(line[:, 0], np.linspace(0, 2, 9), atol=1e-12)


# Paint and points agree ------------------------------------------------------------------------------------------


def pose(**changes: object) -> tuple:
    head = build_head(FaceShape(**changes))
    return head, Placing(size=256, scale=75.0, origin=np.array([124.3, 108.6]))


def painted(draw) -> np.ndarray:
    """Return what a part's painter changes on an empty canvas, in the picture's pixels: uint8 (256, 256)."""
    canvas = np.full((512, 512, 3), 128, np.uint8)
    draw(Brush(canvas))
    changed = (np.abs(canvas.astype(int) - 128).max(axis=2) > 12).astype(np.uint8) * 255
    return cv2.resize(changed, (256, 256), interpolation=cv2.INTER_AREA)


def reach(mask: np.ndarray, start: np.ndarray, step: np.ndarray) -> float:
    """Return how far along ``step`` from ``start`` the paint ends."""
    t = np.arange(-6, 6, 0.05)
    q = (start + t[:, None] * step / np.linalg.norm(step)).astype(np.float32)
    level = cv2.remap(mask, q[None, :, 0], q[None, :, 1], cv2.INTER_LINEAR)[0]
    return float(t[np.flatnonzero(level > 127)[-1]])


@pytest.mark.parametrize("change", [{}, {"yaw": 25.0, "roll": 12.0}, {"yaw": -30.0, "pitch": 10.0, "open": 0.2}])
def test_the_lips_end_at_their_corners_and_edges(change: dict):
    head, place = pose(**change)
    p = place(head, head.points)
    mask = painted(lambda brush: synthetic_paint.lips(brush, head, place, plain_look()))
    right, down = p[82] - p[76], p[85] - p[79]
    assert abs(reach(mask, p[76], -right)) < 1
    assert abs(reach(mask, p[82], right)) < 1
    assert abs(reach(mask, p[85], down)) < 1
    assert abs(reach(mask, p[79], -down)) < 1


@pytest.mark.parametrize("change", [{}, {"yaw": 25.0, "roll": 12.0}, {"yaw": -30.0, "pitch": 10.0}])
def test_the_white_of_the_eye_ends_at_its_corners_and_the_pupil_is_drawn_round_its_point(change: dict):
    head, place = pose(lids=(1.2, 1.2), **change)
    p = place(head, head.points)
    for name, outer, inner, pupil in (("right", 60, 64, 96), ("left", 72, 68, 97)):
        canvas = np.full((512, 512, 3), 128, np.uint8)
        synthetic_paint.eye(Brush(canvas), head, place, plain_look(), name)
        # The opening's paint with the lids' lines, by the landmark's own side of it.
        changed = (np.abs(canvas.astype(int) - 128).max(axis=2) > 60).astype(np.uint8) * 255
        mask = cv2.resize(changed, (256, 256), interpolation=cv2.INTER_AREA)
        assert abs(reach(mask, p[outer], p[outer] - p[inner])) < 1
        assert abs(reach(mask, p[inner], p[inner] - p[outer])) < 1
        near = np.argwhere((canvas == (10, 8, 8)).all(axis=2))[:, ::-1]
        near = near[np.linalg.norm((near + 0.5) / 2 - 0.5 - p[pupil], axis=1) < 0.09 * place.scale]
        assert len(near) > 20
        # The gleam takes a bite out of the pupil's upper side.
        np.testing.assert_allclose((near.mean(axis=0) + 0.5) / 2 - 0.5, p[pupil], atol=0.8)


@pytest.mark.parametrize("change", [{}, {"yaw": 20.0, "roll": 12.0}, {"yaw": -33.0, "pitch": 10.0}])
def test_the_brow_ends_at_its_tips(change: dict):
    head, place = pose(**change)
    p, rng = place(head, head.points), np.random.default_rng(0)
    for name, tip, end in (("right", 33, 98), ("left", 46, 99)):
        mask = painted(lambda brush, name=name: synthetic_paint.brow(brush, head, place, plain_look(), name, rng))
        assert abs(reach(mask, p[end], p[end] - p[tip])) < 1
        assert -2 < reach(mask, p[tip], p[tip] - p[end]) < 1


@pytest.mark.parametrize("seed", [0, 2, 5, 8, 13])
def test_the_contour_is_where_the_face_s_colour_ends_in_the_finished_picture(
    seed: int, monkeypatch: pytest.MonkeyPatch
):
    """The skin is made magenta, which nothing else in the picture is; it must end at the contour's points."""
    monkeypatch.setattr(
        synthetic_paint, "complexion", lambda head, look, x, y, rng: np.full((*x.shape, 3), (250, 0, 250), np.uint8)
    )
    monkeypatch.setattr(synthetic_paint, "develop", lambda picture, rng: picture)
    monkeypatch.setattr(synthetic_paint, "sample_look", lambda rng: plain_look(ambient=0.9))
    monkeypatch.setattr(synthetic_paint, "background", lambda rng, size: np.full((2 * size, 2 * size, 3), 90, np.uint8))
    image, xy, _ = synthetic_face(seed, scheme="wflw98")
    red, green = image[..., 0].astype(np.float32), image[..., 1].astype(np.float32)
    magenta = np.clip(red - green, 0, 255).astype(np.uint8)
    normal = (np.roll(xy[:33], -1, axis=0) - np.roll(xy[:33], 1, axis=0))[1:-1] @ np.array([[0, 1], [-1, 0]])
    off = [reach(magenta, point, step) for point, step in zip(xy[1:32], normal, strict=True)]
    assert np.abs(off).max() < 1.0
    assert abs(np.mean(off)) < 0.4


def test_dark_glasses_hide_the_eyes_and_nothing_else(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(synthetic_paint, "sample_look", lambda rng: replace(plain_look(), glasses="dark"))
    image, xy, visible = synthetic_face(6, scheme="wflw98")
    assert (visible[60:76] == 1).mean() > 0.8
    assert (visible[96:98] == 1).all()
    assert (visible[:33] == 2).all()
    assert (visible[76:96] == 2).all()
    pupils = np.rint(xy[96:98]).astype(int)
    assert image[pupils[:, 1], pupils[:, 0]].max() < 110


def test_nothing_is_hidden_on_a_bare_face(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(synthetic_paint, "sample_look", lambda rng: plain_look())
    assert (synthetic_face(6, scheme="wflw98")[2] == 2).all()


# The data set ----------------------------------------------------------------------------------------------------


def test_records_name_pictures_that_are_the_seed_s_own():
    train, test = load_records("synthetic:5", "train"), load_records("synthetic:5", "test")
    assert [r.id for r in train] == [f"train/{k:05d}" for k in range(5)]
    assert [r.id for r in test] == ["test/00000", "test/00001"]
    for record, seed in ((train[0], 0), (train[4], 4), (test[1], synthetic.TEST_SEED + 1)):
        image, xy, visible = synthetic_face(seed)
        np.testing.assert_array_equal(read_image(record.image), image)
        np.testing.assert_array_equal(record.xy, xy)
        np.testing.assert_array_equal(record.visible, visible)
        assert record.scheme == "ibug68"
        assert record.tags["part"] == record.id.split("/")[0]
        assert record.tags["photo"] == record.id


def test_the_empty_root_is_two_hundred_and_fifty(monkeypatch: pytest.MonkeyPatch):
    dots = (np.zeros((8, 8, 3), np.uint8), np.zeros((synthetic.DENSE, 2)), np.full(synthetic.DENSE, 2, np.int8))
    monkeypatch.setattr(synthetic, "_draw", lambda seed, size: dots)
    assert len(load_records("synthetic:", "train")) == 200
    assert len(load_records("synthetic:", "test")) == 50
    assert len(load_records("synthetic:500", "test")) == 125


@pytest.mark.parametrize("scheme", SCHEMES)
def test_records_come_in_every_set_from_the_same_pictures(scheme: str):
    (record,) = load_records("synthetic:1", "train", scheme)
    assert record.scheme == scheme
    np.testing.assert_array_equal(record.xy, synthetic_face(0, scheme=scheme)[1])
    assert record.image == load_records("synthetic:1", "train")[0].image


def test_pictures_are_drawn_once(monkeypatch: pytest.MonkeyPatch):
    first = load_records("synthetic:3", "train")
    monkeypatch.setattr(synthetic, "_draw", lambda seed, size: pytest.fail("drawn again"))
    again = load_records("synthetic:2", "train", "wflw98")
    assert [r.image for r in again] == [r.image for r in first[:2]]


def test_a_missing_picture_is_drawn_again():
    (record,) = load_records("synthetic:1", "train")
    before = record.image.read_bytes()
    record.image.unlink()
    load_records("synthetic:1", "train")
    assert record.image.read_bytes() == before


def test_pictures_go_where_the_user_says(tmp_path: Path):
    folder = tmp_path / "my faces"
    (record,) = load_records(f"synthetic:1@{folder}", "train")
    assert record.image == folder / "train" / "00000.png"
    assert not list(tmp_path.glob("fiducia-synthetic-*"))
    count, named = synthetic._parse(str(folder))
    assert (count, named) == (200, folder)


def test_the_cache_is_the_user_s_own_and_names_the_drawing_s_version(tmp_path: Path):
    (record,) = load_records("synthetic:1", "train")
    folder = record.image.parents[1]
    assert folder.parent == tmp_path
    assert folder.name.endswith(synthetic._digest())
    assert folder.stat().st_mode & 0o077 == 0


def test_the_drawing_code_is_part_of_the_version():
    code = [path.read_bytes() for path in sorted(Path(synthetic.__file__).parent.glob("*.py"))]
    assert len(code) > 5
    total = hashlib.sha256(f"{cv2.__version__} {np.__version__}".encode() + b"".join(code))
    assert synthetic._digest() == total.hexdigest()[:12]


@pytest.mark.parametrize("root", ["0", "-3", "1000000000", "5@"])
def test_counts_out_of_range_are_refused(root: str):
    with pytest.raises(UsageError, match="synthetic:"):
        load_records(f"synthetic:{root}", "train")


def test_unknown_splits_are_refused():
    with pytest.raises(UsageError, match="trian"):
        load_records("synthetic:1", "trian")


def test_broken_points_are_named_with_the_cure():
    (record,) = load_records("synthetic:1", "train")
    record.image.with_suffix(".npy").write_bytes(b"no points")
    with pytest.raises(FiduciaError, match=r"00000\.npy.*delete"):
        load_records("synthetic:1", "train")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(FiduciaError, match="file"):
        load_records(f"synthetic:1@{tmp_path / 'file'}", "train")


def test_validation_can_be_carved_face_by_face():
    training, validation = carve(load_records("synthetic:10", "train"), 0.2, 0)
    assert (len(training), len(validation)) == (8, 2)
