"""``data check`` of people's own files tells every fault at once, each by its place, and each is an error when read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from benchmark_files import photograph

from fiducia.data.check import check
from fiducia.data.formats.coco import write_coco
from fiducia.data.formats.csv_table import write_csv
from fiducia.data.formats.cvat import write_cvat
from fiducia.data.source import load_records
from fiducia.errors import FiduciaError
from fiducia.structures import Record

WRITERS: dict[str, Callable[..., None]] = {"csv": write_csv, "coco": write_coco, "cvat": write_cvat}


def five(root: Path, name: str, shift: float = 0.0, box: tuple[float, ...] | None = None) -> Record:
    """Return a face of five points in a photograph of 60 x 40."""
    xy = np.array([[10.0, 10], [30, 10], [20, 20], [12, 30], [28, 30]]) + shift
    return Record(
        image=photograph(root / name),
        xy=xy,
        visible=np.full(5, 2, np.int8),
        scheme="five",
        box=None if box is None else np.array(box),
        tags={"id": f"{Path(name).stem}@{shift:g}", "photo": Path(name).stem},
    )


def test_every_bad_row_of_a_table(tmp_path: Path) -> None:
    photograph(tmp_path / "a.png")
    table = tmp_path / "faces.csv"
    good = "a.png,1,2,3,4,5,6,7,8,9,10"
    rows = [
        good,
        good + ",11",
        good[: good.rindex(",")],
        good.replace("7", "seven"),
        good.replace(",4,", ",,"),
        good.replace("a.png", ""),
        good.replace("a.png", "gone.png"),
    ]
    table.write_text("\n".join(["image,x0,y0,x1,y1,x2,y2,x3,y3,x4,y4", *rows]) + "\n")
    broken = check(f"csv:{table}").broken
    says = [
        "line 3: more cells than the 11 columns",
        "line 4: is cut short before column y4",
        "line 5: x3 is 'seven'; expected a finite number",
        "line 6: point 1 has only one of x1 and y1",
        "line 7: names no image",
        "gone.png: ",
    ]
    assert len(broken) == len(says)
    for line, part in zip(broken, says, strict=True):
        assert part in line
        assert "\n" not in line
    with pytest.raises(FiduciaError, match="line 3: more cells") as caught:
        load_records(f"csv:{table}", "all")
    assert str(caught.value) == broken[0]


def test_every_bad_annotation_of_a_coco_file(tmp_path: Path) -> None:
    path = tmp_path / "faces.json"
    write_coco(path, [five(tmp_path, f"{i}.png") for i in range(5)])
    table = json.loads(path.read_text())
    faces = table["annotations"]
    faces[1]["keypoints"].pop()
    faces[2]["image_id"] = 77
    faces[3]["keypoints"][2] = 5
    faces[4]["box"] = [1, 2]
    path.write_text(json.dumps(table))
    report = check(f"coco:{path}")
    assert (report.faces, report.photographs) == (1, 1)
    says = [
        "annotations[1] (id 2) in 1.png: keypoints holds 14 numbers; expected 15",
        "annotations[2] (id 3): the image 77 or its file_name is missing",
        "annotations[3] (id 4) in 3.png: keypoints[2] is 5; expected v of 0, 1 or 2",
        "annotations[4] (id 5) in 4.png: box holds 2 numbers; expected 4",
    ]
    assert len(report.broken) == len(says)
    assert all(part in line for line, part in zip(report.broken, says, strict=True))
    with pytest.raises(FiduciaError, match=r"annotations\[1\]"):
        load_records(f"coco:{path}", "all")


def test_every_bad_shape_of_a_cvat_file(tmp_path: Path) -> None:
    path = tmp_path / "faces.xml"
    write_cvat(path, [five(tmp_path, f"{i}.png") for i in range(4)])
    text = path.read_text()
    blocks = text.split("<image ")
    blocks[2] = blocks[2].replace('points="10.0,10.0"', 'points="10.0;10.0"')
    blocks[3] = blocks[3].replace('"tags">{', '"tags">')
    path.write_text("<image ".join(blocks))
    report = check(f"cvat:{path}")
    assert report.faces == 2
    assert len(report.broken) == 2
    assert "image '1.png', face 1: point " in report.broken[0]
    assert "image '2.png', face 1: the attribute tags is no JSON object" in report.broken[1]
    with pytest.raises(FiduciaError, match=r"1\.png"):
        load_records(f"cvat:{path}", "all")


@pytest.mark.parametrize("form", WRITERS)
def test_twins_and_boxes_elsewhere_are_remarks_in_every_format(form: str, tmp_path: Path) -> None:
    path = tmp_path / "faces.file"
    once, away = five(tmp_path, "a.png"), five(tmp_path, "b.png", 1.0, (500.0, 500.0, 540.0, 540.0))
    WRITERS[form](path, [once, away, once])
    report = check(f"{form}:{path}")
    assert report.ok
    remarks = "\n".join(report.remarks)
    assert "the box 500 500 540 540 of b@1 lies outside of the 60 x 40 photograph" in remarks
    twins = next(line for line in report.remarks if "are the same face" in line)
    assert twins.startswith(f"{path}: ")
    assert "a.png" in twins


def test_points_outside_are_told_by_face_and_distance(tmp_path: Path) -> None:
    path = tmp_path / "faces.csv"
    write_csv(path, [five(tmp_path, "a.png"), five(tmp_path, "b.png", -30.0), five(tmp_path, "c.png", -12.0)])
    report = check(f"csv:{path}")
    assert report.outside == 2
    # b: (-20, -20) is 19.5 px off both borders of [-0.5, 59.5] x [-0.5, 39.5]; c: (-2, -2).
    listed = report.to_json()["outside"]["listed"]
    assert [row["id"] for row in listed] == ["b@-30", "c@-12"]
    assert [row["px"] for row in listed] == pytest.approx([19.5 * 2**0.5, 1.5 * 2**0.5], abs=1e-3)
    assert [row["point"] for row in listed] == ["right_eye_centre"] * 2
    text = "\n".join(report.lines())
    assert "b@-30 (27.6 px, right_eye_centre)" in text
    assert "c@-12 (2.1 px, right_eye_centre)" in text


def test_two_landmark_sets_in_one_file_are_refused_by_name(tmp_path: Path) -> None:
    photograph(tmp_path / "a.png")
    points = "1,2,3,4,5,6,7,8,9,10"
    twin = tmp_path / "twin5.toml"
    twin.write_text("points = 5\nmirror = []\n")
    table = tmp_path / "faces.csv"
    table.write_text(f"image,scheme,x0,y0,x1,y1,x2,y2,x3,y3,x4,y4\na.png,five,{points}\na.png,{twin},{points}\n")
    (line,) = check(f"csv:{table}").broken
    assert "line 3: says " in line
    assert "but line 2 'five'; a CSV file holds one landmark set" in line
    shapes = ["1,2;3,4;5,6;7,8;9,10", ";".join(["4,5"] * 29)]
    drawn = "".join(f'<points points="{shape}"/>' for shape in shapes)
    xml = tmp_path / "faces.xml"
    xml.write_text(f'<annotations><image id="0" name="a.png">{drawn}</image></annotations>')
    (line,) = check(f"cvat:{xml}").broken
    assert "faces of several landmark sets: cofw29 (as a_2), five (as a_1); put each into a file" in line
    with pytest.raises(FiduciaError, match="several landmark sets"):
        load_records(f"cvat:{xml}", "all")
    coco = tmp_path / "faces.json"
    write_coco(coco, [five(tmp_path, "a.png")])
    content = json.loads(coco.read_text())
    content["categories"].append({"id": 2, "name": "other", "scheme": "cofw29"})
    content["annotations"].append({**content["annotations"][0], "id": 2, "category_id": 2})
    coco.write_text(json.dumps(content))
    (line,) = check(f"coco:{coco}").broken
    assert "categories are of several landmark sets, five, cofw29" in line
