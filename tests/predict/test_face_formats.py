"""Formats for other programs: aligned crops, and pre-annotations of images with and without faces."""

from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fiducia.data.source import load_records
from fiducia.data.synthetic.source import synthetic_face
from fiducia.faces import Face, Faces, Origin
from fiducia.images import read_image, write_image
from fiducia.measures.align import align_matrix
from fiducia.measures.table import MEASURES
from fiducia.predict.batches import Found
from fiducia.predict.detect import detect_paths
from fiducia.predict.inputs import Photo
from fiducia.schemes.sets import get_scheme

SCHEME = get_scheme("ibug68")
ORIGIN = Origin("fifa_tiny", "ab12" * 16)


class Knows:
    """Finds the drawn face, twice, in a picture that is not black."""

    batch_size = 4

    class runtime:
        scheme = SCHEME

    def find(self, image: Photo) -> Found:
        return image, []

    def predict(self, photos: Sequence[Found]) -> list[Faces]:
        return [self.faces(photo) for photo, _ in photos]

    def faces(self, image: Photo) -> Faces:
        xy = synthetic_face(3)[1].astype(np.float32)
        box = np.r_[xy.min(axis=0), xy.max(axis=0)].astype(np.float32)
        sure = np.ones(68, np.float32)
        faces = [
            Face(xy=xy, confidence=sure, box=box, scheme=SCHEME, score=0.5 - i / 10, id=i, quality=quality)
            for i, quality in enumerate((0.75, None))
        ]
        return Faces(faces if image.image.any() else [], scheme=SCHEME)


def run(tmp_path: Path, *formats: str) -> Path:
    write_image(tmp_path / "a.png", synthetic_face(3)[0])
    write_image(tmp_path / "black.png", np.zeros((40, 50, 3), np.uint8))
    report = detect_paths(
        Knows(), [tmp_path / "a.png", tmp_path / "black.png"], tmp_path / "out", formats, origin=ORIGIN
    )
    assert report.failed == []
    return tmp_path / "out"


def test_a_crop_a_face_in_a_folder_of_its_own(tmp_path: Path) -> None:
    out = run(tmp_path, "aligned", "png")
    assert sorted(p.relative_to(out).as_posix() for p in out.rglob("*.png")) == [
        *("a.png", "aligned/a.png", "aligned/a_1.png", "black.png"),
    ]
    image, xy, _ = synthetic_face(3)
    crop = read_image(out / "aligned/a.png")
    assert crop.shape == (112, 112, 3)
    # The nose tip's colour is where the matrix puts it.
    matrix = align_matrix(xy, SCHEME)
    x, y = np.rint(matrix[:, :2] @ xy[30] + matrix[:, 2]).astype(int)
    column, row = np.rint(xy[30]).astype(int)
    assert np.abs(crop[y, x].astype(int) - image[row, column]).max() < 40


def test_cvat_holds_every_image_and_marks_machine_labels(tmp_path: Path) -> None:
    top = ET.parse(run(tmp_path, "cvat") / "cvat.xml").getroot()
    images = list(top.iter("image"))
    assert [(i.get("name", "")[-9:], i.get("width"), i.get("height")) for i in images][1] == ("black.png", "50", "40")
    skeletons = images[0].findall("skeleton")
    assert [s.get("source") for s in skeletons] == ["auto", "auto"]
    assert [s.get("group_id") for s in skeletons] == ["1", "2"]
    assert [p.get("label") for p in skeletons[0].findall("points")] == list(SCHEME.names)
    assert ORIGIN.sha256 in ET.tostring(skeletons[0], encoding="unicode")
    assert images[1].findall("skeleton") == []


def test_label_studio_has_a_task_an_image_with_a_prediction(tmp_path: Path) -> None:
    tasks = json.loads((run(tmp_path, "labelstudio") / "labelstudio.json").read_text())
    assert [task["id"] for task in tasks] == [1, 2]
    (prediction,) = tasks[0]["predictions"]
    assert prediction["model_version"] == "fifa_tiny@ab12ab12ab12"
    assert prediction["score"] == 0.4
    kinds = [region["type"] for region in prediction["result"]]
    assert (kinds.count("rectanglelabels"), kinds.count("keypointlabels")) == (2, 136)
    assert tasks[1]["predictions"][0]["result"] == []


def test_measures_stand_in_json_and_csv(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", synthetic_face(3)[0])
    detect_paths(Knows(), [tmp_path / "a.png"], tmp_path / "out", ["json", "csv"], measures=True)
    face = json.loads((tmp_path / "out/a.json").read_text())["faces"][1]
    assert list(face)[-1] == "measures"
    with (tmp_path / "out/faces.csv").open(newline="") as file:
        row = list(csv.DictReader(file))[1]
    assert [float(row[name]) for name in ("yaw", "inter_ocular")] == [
        face["measures"][n] for n in ("yaw", "inter_ocular")
    ]
    assert [float(row[f"eye_centre_left_{axis}"]) for axis in "xy"] == face["measures"]["eye_centre_left"]
    assert set(MEASURES) <= set(row)
    detect_paths(Knows(), [tmp_path / "a.png"], tmp_path / "plain", ["csv"])
    assert "yaw" not in (tmp_path / "plain/faces.csv").read_text()
    # Both are read back as labels.
    assert len(load_records(f"csv:{tmp_path / 'out/faces.csv'}", "all")) == 2
    assert len(load_records(f"json:{tmp_path / 'out'}", "all")) == 2


def test_every_table_tells_the_quality_where_it_is_known(tmp_path: Path) -> None:
    out = run(tmp_path, "csv", "coco", "json", "jsonl")
    with (out / "faces.csv").open(newline="") as file:
        assert [row["quality"] for row in csv.DictReader(file)] == ["0.75", ""]
    lines = [json.loads(line) for line in (out / "faces.jsonl").read_text().splitlines()]
    tables = [json.loads((out / "a.json").read_text())["faces"], lines[0]["faces"]]
    for faces in [*tables, json.loads((out / "coco.json").read_text())["annotations"]]:
        assert [face.get("quality") for face in faces] == [0.75, None]
