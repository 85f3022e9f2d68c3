"""Boxes that the user gives in a JSON file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from fiducia.detectors.boxes import BoxesFile, check_detections
from fiducia.detectors.registry import get_detector
from fiducia.errors import FiduciaError, UsageError
from fiducia.structures import Detection


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


# --- what a detector gave ------------------------------------------------------------------------------------------------


def test_good_detections_come_back_with_their_points() -> None:
    box = np.array([1.0, 2.0, 3.0, 4.0])
    found = [Detection(box=box, score=0.5, points=np.zeros((5, 2)), own_box=box), Detection(box=box)]
    assert check_detections(found, "x.jpg") == found
    assert check_detections([], "x.jpg") == []


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"box": np.array([3.0, 2.0, 1.0, 4.0])}, "inverted or empty"),
        ({"points": np.zeros((4, 2))}, "five finite points"),
        ({"points": np.full((5, 2), np.nan)}, "five finite points"),
        ({"own_box": np.array([0.0, 0.0, 1.0])}, "face 0: own_box: box 0 must be four numbers"),
        ({"score": float("nan")}, "expected a finite number"),
    ],
)
def test_wrong_detections_are_one_line(wrong: dict[str, object], says: str) -> None:
    good = {"box": np.array([1.0, 2.0, 3.0, 4.0])}
    with pytest.raises(FiduciaError, match=rf"x.jpg: .*{says}"):
        check_detections([Detection(**{**good, **wrong})], "x.jpg")  # type: ignore[arg-type]


def test_a_file_from_windows_is_read_the_same(tmp_path: Path) -> None:
    path = tmp_path / "boxes.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps({"a\\x.jpg": [[1, 2, 3, 4]], "b\\x.jpg": []}, indent=1).encode())
    boxes = BoxesFile(path)
    assert [d.box.tolist() for d in boxes.lookup("a/x.jpg")] == [[1, 2, 3, 4]]
    assert boxes.lookup("b/x.jpg") == []
    path.write_bytes(json.dumps({"a\\x.jpg": [[1, 2, 3, 4]]}).encode())
    assert len(BoxesFile(path).lookup("/elsewhere/x.jpg")) == 1


def test_a_photograph_twice_in_one_object_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"the key 'x\.jpg' stands twice"):
        BoxesFile(boxes_file(tmp_path, '{"x.jpg": [], "x.jpg": [[1, 2, 3, 4]]}'))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "boxes.json")
    with pytest.raises(UsageError, match=r"boxes\.json: is a pipe or device"):
        BoxesFile(tmp_path / "boxes.json")
