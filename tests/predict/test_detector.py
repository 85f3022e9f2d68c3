from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiducia.detectors import builtin as module
from fiducia.detectors.boxes import BoxesFile
from fiducia.detectors.builtin import (
    DEFAULT,
    TO_LANDMARK_BOX,
    YuNetDetector,
    describe_detectors,
    detectors,
    get_detector,
    suppress,
    to_landmark_box,
)
from fiducia.errors import FiduciaError, UsageError
from fiducia.geometry import box_iou
from fiducia.images import read_image
from fiducia.structures import Detection, Detector

ASTRONAUT = Path(__file__).parents[2] / "assets" / "astronaut.jpg"
# The tight box of Eileen Collins's face from brow to chin, by eye, to a few pixels.
FACE = [179.0, 92.0, 266.0, 176.0]


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    return read_image(ASTRONAUT)


def on_canvas(image: np.ndarray, height: int, width: int, x: int, y: int) -> np.ndarray:
    canvas = np.full((height, width, 3), 90, np.uint8)
    canvas[y : y + image.shape[0], x : x + image.shape[1]] = image
    return canvas


def best_iou(found: list[Detection], box: list[float]) -> float:
    return float(box_iou([box], [d.box for d in found]).max()) if found else 0.0


@pytest.mark.parametrize("name", ["dlib", "haar", "haar_alt2"])
def test_the_astronaut_is_found(name: str, astronaut: np.ndarray) -> None:
    detector = get_detector(name)
    assert isinstance(detector, Detector)
    found = list(detector(astronaut))
    assert best_iou(found[:1], FACE) > 0.6
    assert [d.score for d in found] == sorted((d.score for d in found), reverse=True)
    assert found[0].box.dtype == np.float64


def test_the_default_finds_one_face_and_nothing_else(astronaut: np.ndarray) -> None:
    assert get_detector("auto").name == DEFAULT
    found = get_detector("auto")(astronaut)  # type: ignore[operator]
    assert len(found) == 1


@pytest.mark.parametrize("factor", [0.4, 0.75, 3.0, 8.0])
def test_photographs_of_any_size(factor: float, astronaut: np.ndarray) -> None:
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    image = cv2.resize(astronaut, None, fx=factor, fy=factor, interpolation=how)
    found = get_detector("dlib")(image)  # type: ignore[operator]
    # Edges stay with edges: pixel p goes to (p + 0.5) * factor - 0.5.
    assert best_iou(found, [(v + 0.5) * factor - 0.5 for v in FACE]) > 0.6


def test_small_faces_of_a_large_photograph_are_found_on_the_second_look(astronaut: np.ndarray) -> None:
    # At 1,600 of 3,000 pixels this face is 47 pixels wide, too small for the first look; at 3,000 it is 88.
    image = on_canvas(astronaut, 1200, 3000, 1500, 300)
    found = get_detector("dlib")(image)  # type: ignore[operator]
    assert best_iou(found, [FACE[0] + 1500, FACE[1] + 300, FACE[2] + 1500, FACE[3] + 300]) > 0.6


def test_a_face_that_fills_the_picture_is_found(astronaut: np.ndarray) -> None:
    x1, y1, x2, y2 = 182, 66, 264, 176
    found = get_detector("dlib")(astronaut[y1:y2, x1:x2])  # type: ignore[operator]
    assert best_iou(found, [FACE[0] - x1, FACE[1] - y1, FACE[2] - x1, FACE[3] - y1]) > 0.5


@pytest.mark.parametrize("name", ["dlib", "haar", "haar_alt2"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 4000), (2500, 2), (30, 30)])
def test_pictures_without_a_face(name: str, shape: tuple[int, int]) -> None:
    detector = get_detector(name)
    assert list(detector(np.full((*shape, 3), 127, np.uint8))) == []  # type: ignore[operator]


def test_whole_is_the_edges_of_the_picture() -> None:
    (found,) = get_detector("whole")(np.zeros((30, 40, 3), np.uint8))  # type: ignore[operator]
    assert found.box.tolist() == [-0.5, -0.5, 39.5, 29.5]


def test_the_correction_by_hand() -> None:
    # A box 100 wide and 50 high about (60, 45), moved by a tenth of each, and half as wide.
    np.testing.assert_allclose(to_landmark_box([10, 20, 110, 70], (0.1, 0.1, 0.5, 1.0)), [45, 25, 95, 75])


@given(
    st.floats(-100, 1000),
    st.floats(-100, 1000),
    st.floats(1, 500),
    st.floats(1, 500),
    st.floats(0.1, 8.0),
    st.floats(-99, 99),
)
def test_the_correction_goes_with_scale_and_shift(x: float, y: float, w: float, h: float, s: float, t: float) -> None:
    box = np.array([x, y, x + w, y + h])
    for relation in TO_LANDMARK_BOX.values():
        np.testing.assert_allclose(
            to_landmark_box(box * s + t, relation), to_landmark_box(box, relation) * s + t, rtol=1e-9, atol=1e-6
        )


def test_suppress_keeps_the_surest_of_doubles() -> None:
    boxes = [[0, 0, 10, 10], [1, 0, 11, 10], [8, 8, 20, 20], [0, 0, 10, 4.6], [0, 0, 10, 4.4]]
    found = [Detection(box=np.array(b, float), score=s) for b, s in zip(boxes, (1, 2, 0.5, 3, 4), strict=True)]
    # 4.4 of 4.6 rows are shared by the last two; the second box shares 39.6 of 104.4 with the last: 0.38.
    assert [d.score for d in suppress(found)] == [4, 2, 0.5]
    assert suppress([]) == []


def test_names(tmp_path: Path) -> None:
    for wrong, says in [
        ("dlip", "did you mean 'dlib'"),
        ("dlib:x", "takes no file"),
        ("yunet", "needs its model file"),
        ("yunet:none.onnx", "none.onnx: no such file"),
        ("model.onnx", "yunet:model.onnx"),
        ("boxes.json", "cannot be read"),
        ("", "no such detector"),
    ]:
        with pytest.raises(UsageError, match=says):
            get_detector(wrong)
    own = module.WholeImage()
    assert get_detector(own) is own
    rows = describe_detectors()
    assert [r["name"] for r in rows] == list(detectors)
    assert [r["name"] for r in rows if r["default"]] == [DEFAULT]
    assert all(r["what"] for r in rows)


def test_a_damaged_yunet_file_is_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "yunet.onnx"
    for content in (b"", b"not onnx at all"):
        path.write_bytes(content)
        with pytest.raises(UsageError, match="cannot read this file as ONNX"):
            get_detector(f"yunet:{path}")
    assert capfd.readouterr().err == ""


class FakeYuNet:
    """Stands in for OpenCV's class: answers one face in the middle half of whatever it is shown."""

    size = (0, 0)

    def setInputSize(self, size: tuple[int, int]) -> None:
        self.size = size

    def detect(self, bgr: np.ndarray) -> tuple[int, np.ndarray | None]:
        assert (bgr.shape[1], bgr.shape[0]) == self.size
        if not bgr[..., 0].any():
            return 0, None
        w, h = self.size
        return 1, np.array([[w / 4, h / 4, w / 2, h / 2, *[0.0] * 10, 0.75]], np.float32)


def test_yunet_boxes_come_back_in_photograph_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "yunet.onnx"
    path.write_bytes(b"x")
    monkeypatch.setattr(cv2.FaceDetectorYN, "create", lambda *_: FakeYuNet())
    detector = YuNetDetector(path)
    image = np.zeros((1000, 4000, 3), np.uint8)
    assert detector(image) == []
    image[..., 2] = 255  # blue, in RGB
    (found,) = detector(image)
    np.testing.assert_allclose(found.box, [999.5, 249.5, 2999.5, 749.5])
    assert found.score == 0.75


def test_an_onnx_file_of_another_network_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(FakeYuNet):
        def detect(self, bgr: np.ndarray) -> tuple[int, np.ndarray | None]:
            raise cv2.error("no such output")

    path = tmp_path / "other.onnx"
    path.write_bytes(b"x")
    monkeypatch.setattr(cv2.FaceDetectorYN, "create", lambda *_: Other())
    with pytest.raises(FiduciaError, match=r"other.onnx: an ONNX file, but not YuNet's"):
        YuNetDetector(path)(np.zeros((9, 9, 3), np.uint8))


# --- boxes from a file -------------------------------------------------------------------------------------------


def boxes_file(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "boxes.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_boxes_by_path_then_by_name(tmp_path: Path) -> None:
    path = boxes_file(tmp_path, {"a/x.jpg": [[1, 2, 3, 4]], "b/x.jpg": [], "y.jpg": [[0, 0, 9, 9], [5, 5, 6, 6]]})
    boxes = get_detector(str(path))
    assert isinstance(boxes, BoxesFile)
    assert [d.box.tolist() for d in boxes.lookup("a/x.jpg")] == [[1, 2, 3, 4]]
    assert boxes.lookup("b/x.jpg") == []
    assert [d.box.tolist() for d in boxes.lookup("/elsewhere/y.jpg")] == [[0, 0, 9, 9], [5, 5, 6, 6]]
    with pytest.raises(FiduciaError, match=r"c/x.jpg: .* has 2 photographs of that name"):
        boxes.lookup("c/x.jpg")
    with pytest.raises(FiduciaError, match=r"z.jpg: .* has no boxes for it"):
        boxes.lookup("z.jpg")


def test_boxes_of_our_own_results(tmp_path: Path) -> None:
    one = {"image": "x.jpg", "width": 9, "height": 9, "faces": [{"box": [1, 2, 3, 4], "score": 0.5, "points": []}]}
    for content in (one, [one, {**one, "image": "y.jpg"}]):
        (found,) = BoxesFile(boxes_file(tmp_path, content)).lookup("x.jpg")
        assert (found.box.tolist(), found.score) == ([1, 2, 3, 4], 0.5)


@pytest.mark.parametrize(
    "content", ["", "{", "[1, 2]", "7", {"x.jpg": 5}, [{"image": "x.jpg"}], [{"image": "x", "faces": [{}]}], "[" * 9999]
)
def test_files_that_hold_no_boxes(tmp_path: Path, content: object) -> None:
    path = boxes_file(tmp_path, content)
    with pytest.raises(UsageError, match=r"boxes.json") as caught:
        BoxesFile(path)
    assert "\n" not in str(caught.value)
    assert "expected" in str(caught.value)


@pytest.mark.parametrize(
    "text", ["[[NaN, 1, 2, 3]]", "[[1, 1, Infinity, 3]]", "[[3, 1, 2, 3]]", "[[1, 2, 3]]", '["x"]', "[null]"]
)
def test_bad_boxes_name_the_file_and_the_photograph(tmp_path: Path, text: str) -> None:
    boxes = BoxesFile(boxes_file(tmp_path, f'{{"x.jpg": {text}, "y.jpg": [[1, 2, 3, 4]]}}'))
    with pytest.raises(FiduciaError, match=r"boxes.json: x.jpg: box"):
        boxes.lookup("x.jpg")
    assert len(boxes.lookup("y.jpg")) == 1  # a bad box of one photograph is no other's


# --- on photographs with known faces ------------------------------------------------------------------------------


@pytest.mark.shared
def test_the_default_finds_most_faces_of_crowded_photographs(shared_data: Path) -> None:
    from fiducia.data.formats.pts import read_pts
    from fiducia.geometry import tight_box

    detector = get_detector("auto")
    faces = found = false = 0
    for photo in sorted((shared_data / "multi_face").glob("*.jpg"))[:3]:
        truth = [tight_box(read_pts(p)) for p in photo.parent.glob(f"{photo.stem}_*.pts")]
        table = box_iou(truth, [d.box for d in detector(read_image(photo))])  # type: ignore[operator]
        faces += len(truth)
        found += int((table.max(axis=1) >= 0.4).sum())
        false += int((table.max(axis=0) < 0.4).sum())
    assert faces == 17
    assert found >= 14
    assert false <= 3
