"""Boxes of other detectors: stand-ins with the attributes of their documentation, and the real supervision where it is."""

from __future__ import annotations

from types import SimpleNamespace as Thing
from typing import Any

import numpy as np
import pytest
import torch

from fiducia.data.synthetic.source import synthetic_face
from fiducia.detectors.foreign import boxes_from, is_foreign
from fiducia.errors import UsageError
from fiducia.schemes.sets import convert
from fiducia.structures import Detection

ROWS = [[10.0, 20, 110, 140], [200, 30, 260, 90]]
SIZE = (400, 200)


def rectangle(row: list[float]) -> Thing:
    return Thing(**{side: (lambda v=v: v) for side, v in zip(("left", "top", "right", "bottom"), row, strict=True)})


def task_box(row: list[float]) -> Thing:
    return Thing(origin_x=row[0], origin_y=row[1], width=row[2] - row[0], height=row[3] - row[1])


def share(row: list[float]) -> Thing:
    x1, y1, x2, y2 = (np.array(row) + 0.5) / np.tile(SIZE, 2)
    return Thing(relative_bounding_box=Thing(xmin=x1, ymin=y1, width=x2 - x1, height=y2 - y1))


class Rectangles:
    """As dlib's own lists: a length, places and an end, and no Sequence."""

    def __init__(self, rows: list[list[float]]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: int) -> Thing:
        return rectangle(self.rows[place])


FOUND: dict[str, Any] = {
    "supervision": Thing(xyxy=np.array(ROWS, np.float32), confidence=np.array([0.9, 0.8])),
    "ultralytics": Thing(boxes=Thing(xyxy=torch.tensor(ROWS), conf=torch.tensor([0.9, 0.8]))),
    "ultralytics, as it returns": [Thing(boxes=Thing(xyxy=torch.tensor(ROWS)))],
    "insightface": [Thing(bbox=np.array(row, np.float32), det_score=0.9) for row in ROWS],
    "mediapipe tasks": Thing(detections=[Thing(bounding_box=task_box(row)) for row in ROWS]),
    "mediapipe solutions": Thing(detections=[Thing(location_data=share(row)) for row in ROWS]),
    "dlib": [rectangle(row) for row in ROWS],
    "dlib, its own list": Rectangles(ROWS),
    "dlib, network": [Thing(rect=rectangle(row), confidence=1.0) for row in ROWS],
    "own": [Detection(box=np.array(row)) for row in ROWS],
    "tensor": torch.tensor(ROWS),
}


@pytest.mark.parametrize("kind", FOUND)
def test_boxes_of_every_kind(kind: str) -> None:
    assert is_foreign(FOUND[kind])
    np.testing.assert_allclose(boxes_from(FOUND[kind], SIZE), ROWS, atol=1e-4)


def test_tables_are_taken_as_they_are() -> None:
    for table in (ROWS, np.array(ROWS), tuple(ROWS)):
        assert not is_foreign(table)
        np.testing.assert_array_equal(boxes_from(table), ROWS)
    np.testing.assert_array_equal(boxes_from(np.c_[ROWS, [0.9, 0.8]]), ROWS)


def test_no_face_is_no_row() -> None:
    nothing = [None, [], np.empty((0, 4)), Thing(xyxy=np.empty((0, 4))), Thing(detections=None), Thing(detections=[])]
    for found in nothing:
        assert boxes_from(found).shape == (0, 4)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (FOUND["mediapipe solutions"], r"shares of the image; give its size"),
        (FOUND["ultralytics, as it returns"] * 3, r"results of 3 images; .*results\[0\]"),
        ("faces", r"found str; expected rows x1 y1 x2 y2"),
        ([1, 2, 3, 4], r"of shape \(4,\)"),
        (Thing(faces=3), "found SimpleNamespace"),
        (Thing(boxes=None), "found SimpleNamespace"),
        (Thing(detections=[Thing(keypoints=1)]), "without bounding_box"),
    ],
)
def test_what_cannot_be_boxes_is_told(found: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        boxes_from(found)


def test_the_real_supervision() -> None:
    supervision = pytest.importorskip("supervision")
    found = supervision.Detections(xyxy=np.array(ROWS, np.float32), confidence=np.array([0.9, 0.8], np.float32))
    np.testing.assert_array_equal(boxes_from(found), ROWS)
    assert boxes_from(supervision.Detections.empty()).shape == (0, 4)


def test_a_predictor_takes_them() -> None:
    import fiducia

    image, xy, _ = synthetic_face(7)
    predictor = fiducia.load(detector=None, device="cpu")
    box = [*xy.min(axis=0), *xy.max(axis=0)]
    plain = predictor(image, boxes=[box])
    given = predictor(image, boxes=[Thing(bbox=np.array(box), det_score=0.9)])
    np.testing.assert_array_equal(plain[0].xy, given[0].xy)
    assert given.origin.weights == "fifa_tiny"
    assert given.photo is not None
    assert given[0].align(64).image.shape == (64, 64, 3)
    # Detections keep their score, and the roll of their points.
    five = convert(xy, "ibug68", "five")
    (turned,) = predictor(image, boxes=[Detection(box=np.array(box), score=0.25, points=five)])
    assert turned.score == 0.25
    assert 0 < np.abs(turned.xy - plain[0].xy).max() < 15
    assert predictor(image, boxes=Thing(xyxy=np.empty((0, 4)))) == []
