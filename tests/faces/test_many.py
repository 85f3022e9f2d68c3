"""The faces of an image on their way to other programs."""

from __future__ import annotations

import csv
import io
import pickle
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fiducia.data.source import label_writers, load_records
from fiducia.errors import UsageError
from fiducia.faces import Face, Faces, Origin, PhotoRef
from fiducia.images import write_image
from fiducia.schemes.sets import get_scheme

SHAPE = np.array([[10.0, 10], [30, 10], [20, 20], [12, 30], [28, 30]], np.float32)
FIVE = get_scheme("five")


def faces(count: int = 2, name: str = "a.png") -> Faces:
    photo = PhotoRef(name, 64, 48)
    found = [
        Face(
            xy=SHAPE + i,
            confidence=np.linspace(0.5, 1, 5, dtype=np.float32),
            box=np.array([8, 8, 32, 32 + i], np.float32),
            scheme=FIVE,
            score=0.5,
            id=i,
            photo=photo,
        )
        for i in range(count)
    ]
    return Faces(found, scheme=FIVE, photo=photo, origin=Origin("fifa_tiny", "ab12"))


def test_it_is_a_list() -> None:
    both = faces()
    assert isinstance(both, list)
    assert faces(0) == []
    assert both[0].id == 0
    assert isinstance(both[1:], Faces)
    assert both[1:].photo is both.photo
    again = pickle.loads(pickle.dumps(both))
    assert [face.id for face in again] == [0, 1]
    assert again.origin == both.origin


def test_arrays_and_other_sets() -> None:
    np.testing.assert_array_equal(faces().to_numpy(), np.stack([SHAPE, SHAPE + 1]))
    assert faces(0).to_numpy().shape == (0, 5, 2)
    assert faces().to("five").scheme == FIVE


def test_plain_values_are_those_of_the_json_format() -> None:
    table = faces().to_dict()
    assert list(table) == ["image", "width", "height", "faces", "source", "weights", "weights_sha256"]
    assert table["faces"][1]["points"] == (SHAPE + 1).tolist()
    assert "measures" not in table["faces"][0]
    measured = faces().to_dict(measures=True)["faces"][0]["measures"]
    assert measured["eye_centre_right"] == [10.0, 10.0]
    assert faces(0).to_dict() == {**table, "faces": []}


def test_rows_of_faces_and_of_points() -> None:
    rows = faces().to_records(measures=True)
    assert [row["id"] for row in rows] == [0, 1]
    assert (rows[1]["nose_tip_x"], rows[1]["nose_tip_y"], rows[1]["box_y2"]) == (21, 21, 33)
    assert rows[0]["eye_centre_left_x"] == 30
    assert list(rows[0]) == list(rows[1])
    text = io.StringIO()
    csv.DictWriter(text, rows[0]).writerows(rows)
    points = faces().to_records("point")
    assert len(points) == 10
    assert points[7] == {
        **{"image": "a.png", "width": 64, "height": 48, "id": 1, "index": 2, "point": "nose_tip", "x": 21.0, "y": 21.0},
        "confidence": 0.75,
    }
    told = faces(1)
    calibrated = [replace(told[0], quality=0.75, sigma=np.full(5, 2.5, np.float32))]
    (row,) = Faces(calibrated, scheme=FIVE).to_records()
    assert (row["quality"], row["nose_tip_sigma"]) == (0.75, 2.5)
    assert Faces(calibrated, scheme=FIVE).to_records("point")[4]["sigma"] == 2.5
    with pytest.raises(UsageError, match="per = 'row'"):
        faces().to_records("row")


def test_coco_is_marked_and_whole() -> None:
    table = faces().to_coco()
    assert table["images"] == [{"id": 1, "file_name": "a.png", "width": 64, "height": 48}]
    assert [a["id"] for a in table["annotations"]] == [1, 2]
    assert table["annotations"][1]["keypoints"][:6] == [11, 11, 2, 31, 11, 2]
    assert table["annotations"][1]["bbox"] == [8, 8, 24, 25]
    assert {a["source"] for a in table["annotations"]} == {"auto"}
    assert table["info"]["weights_sha256"] == "ab12"
    assert table["categories"][0]["keypoints"] == list(FIVE.names)


@pytest.mark.parametrize(("form", "name"), [("cvat", "a.xml"), ("labelstudio", "a.json"), ("coco", "a.json")])
def test_pre_annotations_come_back_marked(form: str, name: str, tmp_path: Path) -> None:
    image = tmp_path / "a.png"
    write_image(image, np.zeros((48, 64, 3), np.uint8))
    label_writers[form](tmp_path / name, faces(2, str(image)).to_labels())
    records = load_records(f"{form}:{tmp_path / name}", "all")
    assert {r.tags["source"] for r in records} == {"auto"}
    assert {r.tags["weights_sha256"] for r in records} == {"ab12"}
    np.testing.assert_allclose(records[1].xy, SHAPE + 1, atol=1e-6)
    with pytest.raises(UsageError, match="do not know their image"):
        Faces([], scheme=FIVE).to_labels()


def test_key_points_of_supervision() -> None:
    supervision = pytest.importorskip("supervision")
    found = faces().to_supervision()
    assert isinstance(found, supervision.KeyPoints)
    np.testing.assert_array_equal(found.xy, faces().to_numpy())
    sure = getattr(found, "keypoint_confidence", None)
    assert sure is not None
    assert sure.shape == (2, 5)
    assert found.data["id"].tolist() == [0, 1]
    assert len(faces(0).to_supervision()) == 0
    edges = [(i + 1, j + 1) for i, j in FIVE.edges]
    picture = supervision.EdgeAnnotator(thickness=1, edges=edges).annotate(np.zeros((48, 64, 3), np.uint8), found)
    assert picture[10, 20].any() or picture[15, 15].any()


def test_supervision_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(UsageError, match=r"pip install 'fiducia\[interop\]'"):
        faces().to_supervision()
