"""What every registered detector must keep, whatever its name: registering is enrolling here."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from pictures import CENTRE, FACE, astronaut, on_canvas, overlap, same, scaled

from fiducia.detectors.registry import Scored, detectors, get_detector
from fiducia.errors import FiduciaError, UsageError
from fiducia.structures import Detector

NAMES = list(detectors)


@pytest.fixture(scope="module", params=NAMES)
def detector(request: pytest.FixtureRequest) -> Detector:
    try:
        found = get_detector(request.param)
    except UsageError as error:
        pytest.skip(str(error))
    assert isinstance(found, Detector)
    return found


def test_it_bears_the_name_it_is_asked_by(detector: Detector, request: pytest.FixtureRequest) -> None:
    assert detector.name == request.node.callspec.params["detector"]


def test_a_portrait(detector: Detector) -> None:
    image = astronaut()
    found = list(detector(image))
    assert found
    keys = [(-round(d.score, 2), -float(np.prod(d.box[2:] - d.box[:2]))) for d in found]
    assert keys == sorted(keys)
    for face in found:
        assert face.box.dtype == np.float64
        assert np.isfinite(face.box).all()
        assert (face.box[2:] > face.box[:2]).all()
        middle = (face.box[:2] + face.box[2:]) / 2
        assert ((middle >= -0.5) & (middle <= 511.5)).all()
        assert 0.0 <= face.score <= 1.0
        assert -np.pi <= face.roll <= np.pi
    if isinstance(detector, Scored):
        assert overlap(found[:1], FACE) > 0.6
        assert found[0].score > 0.75
        assert all(d.score >= detector.min_score for d in found)
    assert same(found, list(detector(image)))


def test_points_lie_on_the_face(detector: Detector) -> None:
    best = detector(astronaut())[0]
    if best.points is None:
        assert best.roll == 0.0
        return
    eyes_and_mouth = np.array([[203, 104], [247, 104], [223, 128], [204, 145], [242, 145]])
    np.testing.assert_allclose(best.points, eyes_and_mouth, atol=6)
    assert abs(best.roll) < 0.15


@pytest.mark.parametrize("shape", [(1, 1), (1, 4000), (2500, 2), (30, 30), (200, 300)])
@pytest.mark.parametrize("value", [0, 127, 255])
def test_a_blank_picture_holds_no_face(detector: Detector, shape: tuple[int, int], value: int) -> None:
    found = list(detector(np.full((*shape, 3), value, np.uint8)))
    assert found == [] or not isinstance(detector, Scored)


def test_a_picture_of_one_colour_holds_no_face(detector: Detector) -> None:
    if isinstance(detector, Scored):
        for colour in np.random.default_rng(0).integers(0, 256, (40, 3)):
            for shape in ((1, 1), (30, 30), (1, 70)):
                assert list(detector(np.broadcast_to(colour.astype(np.uint8), (*shape, 3)).copy())) == []


def test_noise_holds_no_face(detector: Detector) -> None:
    if isinstance(detector, Scored):
        noise = np.random.default_rng(0).integers(0, 256, (150, 200, 3), np.uint8)
        assert list(detector(noise)) == []


@pytest.mark.parametrize(
    "wrong", [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 3), np.float32), np.zeros((0, 9, 3), np.uint8)]
)
def test_what_is_no_photograph_is_refused(detector: Detector, wrong: np.ndarray) -> None:
    with pytest.raises(FiduciaError, match="a detector takes a uint8 RGB image"):
        detector(wrong)


def test_the_picture_may_be_read_only_or_a_slice(detector: Detector) -> None:
    image = astronaut()
    wide = on_canvas(image, 520, 1100, 4, 4)
    assert not image.flags.writeable
    before = image.copy()
    assert same(list(detector(image)), list(detector(wide[4:516, 4:516])))
    assert same(list(detector(np.asfortranarray(image))), list(detector(image)))
    assert (image == before).all()


def test_half_a_face_at_the_border_is_no_trouble(detector: Detector) -> None:
    half = astronaut()[:, int(CENTRE[0]) :]
    for face in detector(half):
        assert np.isfinite(face.box).all()
        assert -0.5 <= (face.box[0] + face.box[2]) / 2 <= half.shape[1] - 0.5


def test_threads_get_the_serial_answers(detector: Detector) -> None:
    pictures = [scaled(0.5)[0], scaled(0.45)[0][:, 20:], np.ascontiguousarray(np.rot90(scaled(0.3)[0])), scaled(0.4)[0]]
    wanted = [list(detector(p)) for p in pictures]
    with ThreadPoolExecutor(8) as pool:
        given = list(pool.map(lambda i: list(detector(pictures[i % 4])), range(32)))
    assert all(same(answer, wanted[i % 4]) for i, answer in enumerate(given))


def test_it_survives_pickling(detector: Detector) -> None:
    picture = scaled(0.4)[0]
    assert same(list(pickle.loads(pickle.dumps(detector))(picture)), list(detector(picture)))
