from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from dot_faces import DotRuntime, a_face, draw_dots
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import fiducia
from fiducia.errors import FiduciaError, UsageError
from fiducia.images import write_image
from fiducia.predict.predictor import Predictor, load
from fiducia.structures import Detection


class Fixed:
    """A detector that always gives the same."""

    name = "fixed"

    def __init__(self, boxes: Sequence[Sequence[float]], scores: Sequence[float] | None = None) -> None:
        self.found = [
            Detection(box=np.array(b, dtype=np.float64), score=s)
            for b, s in zip(boxes, scores or [1.0] * len(boxes), strict=True)
        ]

    def __call__(self, image: np.ndarray) -> list[Detection]:
        return self.found


def box_of(face: np.ndarray, grow: float = 0.0, shift: tuple[float, float] = (0.0, 0.0)) -> list[float]:
    (x1, y1), (x2, y2) = face.min(0), face.max(0)
    return [x1 - grow + shift[0], y1 - grow + shift[1], x2 + grow + shift[0], y2 + grow + shift[1]]


@settings(max_examples=25, deadline=None)
@given(st.floats(60, 180), st.floats(60, 140), st.floats(60, 160), st.floats(-8, 8), st.integers(1, 3))
def test_points_come_back_where_they_are_in_the_photograph(
    x: float, y: float, side: float, off: float, passes: int
) -> None:
    face = np.round(a_face(x, y, side) * 16) / 16
    image = draw_dots((400, 500), [face], radius=side / 12)
    predictor = Predictor(DotRuntime(), scale=0.7, passes=passes)
    (found,) = predictor(image, [box_of(face, 5, (off, -off))])
    # A 64-pixel crop of up to 250 pixels: 0.1 crop pixels is the disc's own rasterisation.
    np.testing.assert_allclose(found.xy, face, atol=0.1 * side / 40)
    assert found.confidence.tolist() == [1, 1, 1, 1]
    assert found.xy.dtype == np.float32


def test_the_second_pass_crops_the_tight_box_of_the_first_points(dots: DotRuntime) -> None:
    face = a_face(100, 120, 160)
    image = draw_dots((500, 500), [face])
    off = box_of(face, 30, (25, -20))
    Predictor(dots, passes=2)(image, [off])
    first, second = (batch[0].astype(float) for batch in dots.batches)
    points = [DotRuntime()(crop[None].astype(np.uint8))[0][0] for crop in (first, second)]
    # scale 0.8 of 64 pixels: the tight box is 51.2 wide about the centre, 31.5.
    np.testing.assert_allclose(points[1], 31.5 + 51.2 * (a_face(0, 0, 1) - 0.5), atol=0.15)
    assert abs(points[0] - points[1]).max() > 4


def test_one_pass_looks_once_and_two_look_twice(dots: DotRuntime) -> None:
    face = a_face(60, 60, 100)
    image = draw_dots((240, 240), [face])
    Predictor(dots, passes=1)(image, [box_of(face)])
    assert len(dots.batches) == 1
    Predictor(dots, passes=2)(image, [box_of(face)])
    assert len(dots.batches) == 3


def test_boxes_that_are_fitted_to_landmarks_get_one_pass(dots: DotRuntime) -> None:
    first, second = a_face(40, 50, 90), a_face(220, 60, 60)
    image = draw_dots((240, 320), [first, second])

    class Finder:
        name = "mixed"

        def __call__(self, image: np.ndarray) -> list[Detection]:
            boxes = [np.array(box_of(face, 10)) for face in (first, second)]
            return [Detection(box=boxes[0], own_box=boxes[0], score=0.9), Detection(box=boxes[1], score=0.8)]

    for passes, looks in ((None, [2, 1]), (1, [2]), (2, [2, 2])):
        dots.batches.clear()
        faces = Predictor(dots, Finder(), passes=passes)(image)
        assert [len(batch) for batch in dots.batches] == looks
        for face, truth in zip(faces, (first, second), strict=True):
            np.testing.assert_allclose(face.xy, truth, atol=0.5)


def test_points_of_a_fitted_box_are_the_mean_of_the_passes_and_those_of_another_box_are_the_last() -> None:
    class Counting(DotRuntime):
        """Points one crop pixel further right with each call, and a confidence that falls with it."""

        calls = 0

        def __call__(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            self.calls += 1
            n = len(crops)
            corners = np.array([[10.0, 10.0], [54.0, 10.0], [10.0, 54.0], [54.0, 54.0]])
            moved = corners + np.array([self.calls, 0.0])
            return np.repeat([moved], n, axis=0), np.full((n, 4), 1 / self.calls, np.float32)

    image = np.full((300, 300, 3), 90, np.uint8)
    box = np.array([100.0, 100.0, 155.0, 155.0])
    fitted, other = Detection(box=box, own_box=box, score=1.0), Detection(box=box, score=1.0)
    one, both, last = (
        Predictor(Counting(), passes=passes)(image, [face])[0]
        for passes, face in ((1, fitted), (2, fitted), (2, other))
    )
    np.testing.assert_allclose(both.xy, (one.xy + last.xy) / 2, atol=1e-4)
    assert (abs(one.xy - last.xy) > 0.5).any()
    assert [float(face.confidence[0]) for face in (one, both, last)] == [1.0, 0.75, 0.5]


def test_points_that_fall_together_do_not_shrink_the_second_crop() -> None:
    class Collapsed(DotRuntime):
        def __call__(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            points, sure = super().__call__(crops)
            return np.full_like(points, 30) + np.arange(8).reshape(4, 2).astype(np.float32) / 10, sure

    runtime = Collapsed()
    image = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    Predictor(runtime, passes=2)(image, [[40, 40, 160, 160]])
    assert runtime.batches[0].std() > 10
    np.testing.assert_array_equal(runtime.batches[0], runtime.batches[1])


def test_a_batch_gives_what_single_photographs_give(dots: DotRuntime) -> None:
    rng = np.random.default_rng(0)
    faces = [[a_face(*rng.uniform(40, 90, 2), rng.uniform(40, 80)) for _ in range(n)] for n in (1, 3, 0, 2)]
    images = [draw_dots((220, 260), f) for f in faces]
    boxes = [[box_of(f) for f in group] for group in faces]
    singles = [Predictor(dots, batch_size=1)(i, b) for i, b in zip(images, boxes, strict=True)]
    for batch_size in (1, 2, 4, 32):
        dots.batches.clear()
        many = Predictor(dots, batch_size=batch_size)(images, boxes)
        assert [len(m) for m in many] == [1, 3, 0, 2]
        assert max(len(b) for b in dots.batches) <= batch_size
        for one, other in zip(singles, many, strict=True):
            for a, b in zip(one, other, strict=True):
                np.testing.assert_array_equal(a.xy, b.xy)
                np.testing.assert_array_equal(a.confidence, b.confidence)


@pytest.mark.parametrize(
    ("count", "says"),
    [
        (1, "1 tables of boxes, but more photographs; give one"),
        (3, "2 photographs, but more tables of boxes; give one"),
    ],
)
def test_a_stream_needs_as_many_tables_as_photographs(dots: DotRuntime, count: int, says: str) -> None:
    image = np.zeros((40, 40, 3), np.uint8)
    with pytest.raises(UsageError, match=says):
        list(Predictor(dots).stream(iter([image] * 2), iter([[[5, 5, 30, 30]]] * count)))


def test_the_faces_of_a_frame_are_computed_in_batches_too(dots: DotRuntime) -> None:
    """All faces of a frame were one batch, whatever the size: of a crowd more than memory holds."""
    faces = [a_face(20 + 70 * i, 20, 40) for i in range(5)]
    image, boxes = draw_dots((90, 400), faces), [box_of(face) for face in faces]
    for batch_size in (2, 32):
        dots.batches.clear()
        follow = Predictor(dots, Fixed(boxes), batch_size=batch_size).tracker(smooth=False)
        found = [follow(image, time) for time in (0.0, 0.1)][1]
        assert max(len(batch) for batch in dots.batches) == min(batch_size, 5)
        np.testing.assert_allclose([face.xy for face in found], faces, atol=1.0)  # each its own


@pytest.mark.parametrize(
    "wrong", [np.zeros((99, 99, 4), np.uint8), np.zeros((99, 99, 3)), np.zeros((99, 99), np.uint8)]
)
def test_every_frame_of_an_own_loop_is_checked(dots: DotRuntime, wrong: np.ndarray) -> None:
    """Also those in which the detector does not run."""
    face = a_face(20, 20, 50)
    follow = Predictor(dots, Fixed([box_of(face)])).tracker()
    assert len(follow(draw_dots((99, 99), [face]), 0.0)) == 1
    with pytest.raises(FiduciaError, match=r"uint8 RGB image \(H, W, 3\); found"):
        follow(wrong, 0.1)


def test_a_real_network_gives_the_same_in_a_batch(make_weights: Callable[..., Path]) -> None:
    predictor = load(make_weights(), detector="whole", device="cpu")
    rng = np.random.default_rng(1)
    images = [rng.integers(0, 256, (80 + 10 * i, 100, 3), dtype=np.uint8) for i in range(5)]
    together = predictor(images)
    for image, faces in zip(images, together, strict=True):
        (alone,) = predictor(image)
        np.testing.assert_allclose(faces[0].xy, alone.xy, atol=1e-2)
        np.testing.assert_allclose(faces[0].confidence, alone.confidence, atol=1e-4)
        assert 0 <= alone.confidence.min() <= alone.confidence.max() <= 1
        assert alone.scheme.name == "five"
        assert alone.xy.shape == (5, 2)


def test_faces_come_largest_first_without_doubles_and_small_ones(dots: DotRuntime) -> None:
    image = np.zeros((400, 400, 3), np.uint8)
    boxes = [[10, 10, 50, 50], [100, 100, 300, 300], [105, 100, 305, 300], [310, 310, 330, 330]]
    found = Predictor(dots, Fixed(boxes, [0.5, 0.7, 0.9, 1.0]), min_face=25)(image)
    assert [f.box.tolist() for f in found] == [[105, 100, 305, 300], [10, 10, 50, 50]]
    assert [f.id for f in found] == [0, 1]
    assert [f.score for f in found] == [0.9, 0.5]


def test_given_boxes_keep_their_order_and_number(dots: DotRuntime) -> None:
    boxes = [[10, 10, 50, 50], [100, 100, 300, 300], [105, 100, 305, 300]]
    found = Predictor(dots, min_face=1000)(np.zeros((400, 400, 3), np.uint8), boxes)
    assert [f.box.tolist() for f in found] == boxes
    assert [f.id for f in found] == [0, 1, 2]
    assert Predictor(dots)(np.zeros((9, 9, 3), np.uint8), []) == []


def test_path_bytes_array_and_pil_image_give_the_same(dots: DotRuntime, tmp_path: Path) -> None:
    face = a_face(40, 50, 90)
    image = draw_dots((200, 180), [face])
    path = tmp_path / "dots.png"
    write_image(path, image)
    predictor = Predictor(dots, Fixed([box_of(face)]))
    forms = [
        str(path),
        path,
        path.read_bytes(),
        bytearray(path.read_bytes()),
        image,
        Image.fromarray(image),
        Image.open(path),
    ]
    answers = [predictor(form) for form in forms] + predictor(forms) + predictor(tuple(forms))
    assert len(answers) == 3 * len(forms)
    for answer in answers:
        np.testing.assert_array_equal(answer[0].xy, answers[0][0].xy)
    np.testing.assert_allclose(answers[0][0].xy, face, atol=0.3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_to_files(dots: DotRuntime, tmp_path: Path, orientation: int) -> None:
    turn = {
        1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
    }[orientation]  # fmt: skip
    face = a_face(60, 50, 90)
    upright = Image.fromarray(draw_dots((200, 240), [face], radius=10))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = upright if turn is None else upright.transpose(turn)
    buffer = io.BytesIO()
    stored.save(buffer, "JPEG", quality=100, subsampling=0, exif=exif)
    path = tmp_path / "turned.jpg"
    path.write_bytes(buffer.getvalue())
    for form in (path, buffer.getvalue()):
        (found,) = Predictor(dots)(form, [box_of(face)])
        np.testing.assert_allclose(found.xy, face, atol=0.6)  # JPEG rings; a wrong turn is off by 10 or more


def test_pil_images_of_other_modes(dots: DotRuntime) -> None:
    face = a_face(40, 50, 90)
    rgb = Image.fromarray(draw_dots((200, 180), [face]))
    for mode in ("RGBA", "CMYK", "P"):
        (found,) = Predictor(dots)(rgb.convert(mode), [box_of(face)])
        np.testing.assert_allclose(found.xy, face, atol=0.6)
    deep = Image.fromarray((np.eye(200) * 65535).astype(np.uint16))
    assert Predictor(dots).find(deep, [])[0].image.tolist() == np.repeat((np.eye(200) * 255)[..., None], 3, 2).tolist()
    with pytest.raises(FiduciaError, match="mode F"):
        Predictor(dots)(rgb.convert("F"), [])


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (np.zeros((4, 4, 3)), "float64"),
        (np.zeros((4, 4, 3), np.uint16), "divide by 257"),
        (np.zeros((3, 40, 40), np.uint8), "transpose"),
        (np.zeros((2, 4, 4, 3), np.uint8), "list"),
        (np.zeros((0, 4, 3), np.uint8), "at least one pixel"),
        (np.zeros((4, 4, 2), np.uint8), "expected uint8"),
        (7, "found int"),
        (None, "found NoneType"),
        (b"", "empty"),
        ("no/such/photo.jpg", "no/such/photo.jpg"),
    ],
)
def test_what_is_no_photograph_is_one_clear_line(dots: DotRuntime, bad: object, says: str) -> None:
    with pytest.raises(FiduciaError, match=says) as caught:
        Predictor(dots, Fixed([]))(bad)
    assert "\n" not in str(caught.value)


def test_grey_and_rgba_arrays(dots: DotRuntime) -> None:
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    opaque = np.full_like(grey, 255)
    for array in (grey, grey[..., None], np.stack([grey, grey, grey, opaque], -1)):
        photo, _ = Predictor(dots, Fixed([])).find(array)
        np.testing.assert_array_equal(photo.image, np.repeat(grey[..., None], 3, 2))
    # What is transparent is white, as in files.
    photo, _ = Predictor(dots, Fixed([])).find(np.stack([grey, grey, grey, 0 * grey], -1))
    assert (photo.image == 255).all()


@pytest.mark.parametrize(
    ("boxes", "says"),
    [
        ([[1, 2, float("nan"), 9]], "not finite"),
        ([[1, 2, float("inf"), 9]], "not finite"),
        ([[20, 2, 10, 9]], "inverted or empty"),
        ([[1, 2, 1, 9]], "inverted or empty"),
        ([[1, 2, 3]], "four numbers"),
        ([1, 2, 3, 4], "four numbers"),
        ([["a", "b", "c", "d"]], "four numbers"),
        ([[200, 200, 300, 300]], "outside the 50 x 40 photograph"),
        ([[0, 0, 1e9, 1e9]], "over 100 times"),
        (5, "four numbers"),
    ],
)
def test_bad_boxes_are_refused_by_name(dots: DotRuntime, tmp_path: Path, boxes: object, says: str) -> None:
    path = tmp_path / "a photo.png"
    write_image(path, np.zeros((40, 50, 3), np.uint8))
    with pytest.raises(FiduciaError, match=says) as caught:
        Predictor(dots)(path, boxes)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_detector_that_gives_nonsense_is_named(dots: DotRuntime) -> None:
    with pytest.raises(FiduciaError, match="detector fixed: box 0 is not finite"):
        Predictor(dots, Fixed([[0, 0, np.nan, 5]]))(np.zeros((9, 9, 3), np.uint8))


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ({"score": float("nan")}, "face 0 has the score nan"),
        ({"points": np.zeros((4, 2))}, "face 0 must have five finite points"),
        ({"points": np.full((5, 2), np.nan)}, "face 0 must have five finite points"),
        ({"own_box": np.array([5.0, 5.0, 5.0, 9.0])}, "face 0: own_box: box 0 is inverted or empty"),
    ],
)
def test_what_else_a_detector_gives_is_checked_too(dots: DotRuntime, found: dict[str, Any], says: str) -> None:
    """Points that are nan were laid to the network's charge, and others ended in a traceback."""
    detector = Fixed([])
    detector.found = [Detection(box=np.array([1.0, 1.0, 8.0, 8.0]), **found)]
    with pytest.raises(FiduciaError, match=f"array: detector fixed: {says}"):
        Predictor(dots, detector)(np.zeros((9, 9, 3), np.uint8))


def test_a_network_that_gives_nan_is_an_error(dots: DotRuntime) -> None:
    class Broken(DotRuntime):
        def __call__(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            points, sure = super().__call__(crops)
            return points * np.nan, sure

    with pytest.raises(FiduciaError, match="not finite"):
        Predictor(Broken())(np.zeros((9, 9, 3), np.uint8), [[1, 1, 8, 8]])


def test_wrong_use(dots: DotRuntime, make_weights: Callable[..., Path]) -> None:
    image = np.zeros((9, 9, 3), np.uint8)
    with pytest.raises(UsageError, match="no detector"):
        Predictor(dots)(image)
    with pytest.raises(UsageError, match="boxes for 1"):
        Predictor(dots)([image, image], [[[1, 1, 8, 8]]])
    with pytest.raises(UsageError, match="boxes for none, in a SimpleNamespace; give one table of boxes each"):
        Predictor(dots)([image], SimpleNamespace(xyxy=[[1, 1, 8, 8]]))  # of one image, for a list of images
    for wrong in (
        {"passes": 0},
        {"batch_size": 0},
        {"min_face": -1.0},
        {"min_face": float("nan")},
        {"min_face": float("inf")},
    ):
        with pytest.raises(UsageError):
            Predictor(dots, **wrong)  # type: ignore[arg-type]
    for seconds in (-1.0, float("nan")):
        with pytest.raises(UsageError, match=f"seconds = {seconds}; expected"):
            Predictor(dots, Fixed([])).video([image], seconds=seconds)
    for name in ("onnxx", "tensorflow"):
        with pytest.raises(UsageError, match=f"no runtime is called {name!r}"):
            load(make_weights(), runtime=name)
    with pytest.raises(UsageError, match="--device gpu: expected auto, cpu, cuda or mps"):
        load(make_weights(), device="gpu")


def test_tiny_and_long_photographs(dots: DotRuntime) -> None:
    for shape in ((1, 1, 3), (1, 300, 3), (20000, 3, 3)):
        (face,) = Predictor(dots)(np.zeros(shape, np.uint8), [[-0.5, -0.5, shape[1] - 0.5, shape[0] - 0.5]])
        assert np.isfinite(face.xy).all()


def test_own_landmark_sets_work_by_number(make_weights: Callable[..., Path]) -> None:
    predictor = load(make_weights("own", scheme="muzzle"), detector=None)
    (face,) = predictor(np.zeros((50, 50, 3), np.uint8), [[0, 0, 49, 49]])
    assert (face.scheme.name, face.scheme.num_points) == ("muzzle", 5)


def test_import_is_quick_and_names_are_lazy() -> None:
    code = "import sys, fiducia; assert 'torch' not in sys.modules and 'numpy' not in sys.modules; fiducia.load; print('ok')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "ok\n"
    assert fiducia.load is load
    assert set(fiducia.__all__) <= set(dir(fiducia))
    for name in fiducia.__all__:
        assert getattr(fiducia, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        fiducia.nonsense
