"""Label files with a wrong type, a missing key or an absurd number: one line that names the file and the place."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmark_files import photograph

from fiducia.data.check import check
from fiducia.data.formats.csv_table import write_csv
from fiducia.data.formats.cvat import write_cvat
from fiducia.data.source import load_records
from fiducia.errors import FiduciaError
from fiducia.structures import Record

XY = np.array([[10.0, 10], [30, 10], [20, 20], [12, 30], [28, 30]])
FACE = {
    "id": 1,
    "image_id": 1,
    "category_id": 1,
    "keypoints": [v for x, y in XY.tolist() for v in (x, y, 2)],
    "num_keypoints": 5,
    "bbox": [8, 8, 24, 24],
}
TABLE = {
    "images": [{"id": 1, "file_name": "a.png", "width": 60, "height": 40}],
    "annotations": [FACE],
    "categories": [{"id": 1, "name": "face", "keypoints": []}],
}


def put(*path_and_value: Any) -> Callable[[Any], Any]:
    """Return what sets one value deep in a table."""
    *path, last, value = path_and_value

    def change(table: Any) -> Any:
        inner = table
        for key in path:
            inner = inner[key]
        inner[last] = value
        return table

    return change


def add(key: str, **changes: Any) -> Callable[[Any], Any]:
    """Return what adds a second entry to a list, changed."""
    return lambda table: {**table, key: [*table[key], {**table[key][0], **changes}]}


A = ("annotations", 0)
BROKEN: dict[str, tuple[Callable[[Any], Any], str]] = {
    "top level is a list": (lambda t: [t], "the top level"),
    "images is null": (put("images", None), "images is null; expected a list"),
    "images is missing": (lambda t: {k: v for k, v in t.items() if k != "images"}, "images is null; expected a list"),
    "annotations is an object": (put("annotations", {"a": 1}), "annotations is {"),
    "annotation is a number": (put("annotations", 0, 7), "annotations[0] is 7; expected an object"),
    "image is a text": (put("images", 0, "x"), 'images[0] is "x"; expected an object'),
    "image id is a list": (put("images", 0, "id", [1]), "images[0]: id is [1]; expected a whole number or a text"),
    "image id is true": (put("images", 0, "id", True), "images[0]: id is true"),
    "image width is a word": (put("images", 0, "width", "wide"), 'images[0]: width and height is "wide"'),
    "image width is huge": (put("images", 0, "width", 10**400), "images[0]: width and height is"),
    "keypoints is a text": (put(*A, "keypoints", "abc"), "annotations[0]"),
    "keypoints hold texts": (put(*A, "keypoints", ["1"] * 15), 'keypoints[0] is "1"; expected a number'),
    "keypoints are nested": (put(*A, "keypoints", [[1, 2, 2]] * 5), "keypoints holds 5 numbers; expected 15"),
    "keypoints hold null": (put(*A, "keypoints", [None] * 15), "keypoints[0] is null"),
    "keypoints hold true": (put(*A, "keypoints", [True] * 15), "keypoints[0] is true"),
    "keypoints hold nan": (put(*A, "keypoints", [float("nan")] * 15), "keypoints[0] is NaN; expected a finite number"),
    "keypoints hold infinity": (put(*A, "keypoints", [float("inf")] * 15), "keypoints[0] is Infinity"),
    "keypoints are huge": (put(*A, "keypoints", [10**300] * 15), "keypoints[0] is 1000"),
    "visibility of 7": (put(*A, "keypoints", [1, 2, 7] * 5), "keypoints[2] is 7; expected v of 0, 1 or 2"),
    "visibility of -1": (put(*A, "keypoints", [1, 2, -1] * 5), "keypoints[2] is -1; expected v of 0, 1 or 2"),
    "bbox of three": (put(*A, "bbox", [1, 2, 3]), "bbox holds 3 numbers; expected 4"),
    "bbox is negative": (put(*A, "bbox", [0, 0, -5, 5]), "bbox is [0, 0, -5, 5]; expected x y width height"),
    "bbox is a text": (put(*A, "bbox", "big"), 'bbox is "big"; expected a list'),
    "file_name is a number": (put("images", 0, "file_name", 5), "images[0]: file_name is 5; expected a text"),
    "file_name is null": (put("images", 0, "file_name", None), "images[0]: file_name is null"),
    "file_name is empty": (put("images", 0, "file_name", " "), 'images[0]: file_name is " "'),
    "file_name holds NUL": (put("images", 0, "file_name", "a\0.png"), "images[0]: file_name is"),
    "file_name holds half a character": (put("images", 0, "file_name", "\ud800.png"), "images[0]: file_name is"),
    "tags is a list": (put(*A, "tags", [1]), "tags is [1]; expected an object"),
    "categories is a text": (put("categories", "face"), 'categories is "face"; expected a list'),
    "category is null": (put("categories", 0, None), "categories[0] is null; expected an object"),
    "names are numbers": (put("categories", 0, "keypoints", [1, 2, 3, 4, 5]), "categories[0]: keypoints[0] is 1"),
    "six names": (put("categories", 0, "keypoints", list("abcdef")), "names 6 points, but its faces have 5"),
    "category_id unknown": (put(*A, "category_id", 9), "category_id 9 is not in categories"),
    "image_id unknown": (put(*A, "image_id", 99), "the image 99 or its file_name is missing in images"),
    "image_id missing": (put(*A, "image_id", None), "image_id is null"),
    "num_keypoints is a text": (put(*A, "num_keypoints", "five"), 'num_keypoints is "five"; expected a number'),
    "width is negative": (put("images", 0, "width", -60), "the size is stated as -60 x 40; expected two positive"),
    "only the height is given": (put("images", 0, "width", 0), "the size is stated as 0 x 40; expected two positive"),
    "id of a face is a list": (put(*A, "tags", {"id": [1]}), "id is [1]; expected a text or a number"),
    "photo of a face is an object": (put(*A, "tags", {"photo": {}}), "photo is {}; expected a text or a number"),
    "two categories with one id": (add("categories", name="dog", keypoints=list("edcba")), "of another category"),
    "two images with one id": (add("images", file_name="b.png"), "images[1] (b.png) has the id 1 of a.png"),
}
REMARKED: dict[str, tuple[Callable[[Any], Any], str, str]] = {
    "num_keypoints lies": (put(*A, "num_keypoints", 3), "count", "num_keypoints says 3, but 5 points have v > 0"),
    "bbox without area": (put(*A, "bbox", [8, 8, 0, 24]), "empty-box", "bbox is [8, 8, 0, 24], which has no area"),
    "two faces with one id": (
        add("annotations", keypoints=[1, 1, 2] * 5),
        "id",
        "annotations[1] (id 1) has the id of annotations[0] (id 1)",
    ),
    "a face twice": (add("annotations", id=2), "twin", "are the same face"),
    "two faces with one own id": (
        lambda t: add("annotations", id=2, keypoints=[1, 1, 2] * 5, tags={"id": "a"})(put(*A, "tags", {"id": "a"})(t)),
        "id",
        "the id 'a' stands for 2 faces (a.png)",
    ),
    "an annotation without keypoints": (
        add("annotations", id=2, keypoints=[]),
        "unused",
        "1 annotations have no keypoints",
    ),
    "a point far outside": (
        put(*A, "keypoints", [200, 2, 2, *FACE["keypoints"][3:]]),
        "far",
        "has a point 140 px outside",
    ),
    "a box elsewhere": (put(*A, "bbox", [500, 8, 24, 24]), "far-box", "lies outside of the 60 x 40 photograph"),
}


def write(folder: Path, change: Callable[[Any], Any]) -> Path:
    photograph(folder / "a.png")
    path = folder / "f.json"
    path.write_text(json.dumps(change(copy.deepcopy(TABLE))))
    return path


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_coco_file_is_one_line_with_its_place(what: str, tmp_path: Path) -> None:
    change, message = BROKEN[what]
    path = write(tmp_path, change)
    with pytest.raises(FiduciaError) as caught:
        load_records(f"coco:{path}", "all", "five")
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    report = check(f"coco:{path}", "five")
    assert any(message in line for line in report.broken)
    assert not report.ok


@pytest.mark.parametrize("what", REMARKED)
def test_a_doubtful_coco_file_is_read_and_remarked(what: str, tmp_path: Path) -> None:
    change, kind, message = REMARKED[what]
    path = write(tmp_path, change)
    assert load_records(f"coco:{path}", "all", "five")
    report = check(f"coco:{path}", "five")
    assert report.ok
    (row,) = [row for row in report.kinds() if row["kind"] == kind]
    assert row["count"] == 1
    assert message in row["first"][0]
    text = "\n".join(report.lines())
    assert f"1 x {row['what']}" in text
    assert "0 broken" not in text
    assert "nothing broken, " in text


def test_a_face_wholly_outside_is_broken(tmp_path: Path) -> None:
    path = write(tmp_path, put(*A, "keypoints", [70 + v if i % 3 == 0 else v for i, v in enumerate(FACE["keypoints"])]))
    report = check(f"coco:{path}", "five")
    assert "the face a lies wholly outside of the 60 x 40 photograph" in report.broken[0]


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, lambda t: t)
    path.write_text(path.read_text().replace('"annotations":', '"annotations": [], "annotations":'))
    with pytest.raises(FiduciaError, match="the key 'annotations' stands twice in one object"):
        load_records(f"coco:{path}", "all", "five")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000 + "]" * 100_000, "is nested too deeply"),
        ("", "line 1, column 1"),
        ("\0\1\2", "NUL"),
        ('{"images": [\n{"id": 1,,', "line 2, column 10"),
        ('{"images": ' + "9" * 5000 + "}", "a number that is too long"),
    ],
)
def test_what_is_no_json_is_told_by_line_and_column(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    path.write_text(text)
    with pytest.raises(FiduciaError, match=message) as caught:
        load_records(f"coco:{path}", "all", "five")
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert len(check(f"coco:{path}", "five").broken) == 1


def record(folder: Path) -> Record:
    image = photograph(folder / "a.png")
    return Record(image=image, xy=XY, visible=np.full(5, 2, np.int8), scheme="five", tags={"id": "a"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda head, row: "", "no column image found in an empty file"),
        (lambda head, row: f"{head}\n", "holds no face"),
        (lambda head, row: f"{head}\n{row[: len(row) // 2]}\n", "line 2: is cut short before column"),
        (lambda head, row: f"{head},{head}\n{row},{row}\n", "the column 'image' stands twice"),
        (lambda head, row: f"{head},\n{row},7\n", "more cells than the 24 columns"),
        (lambda head, row: f",{head}\n7,{row}\n", "column 1 has no name"),
        (lambda head, row: f"{head}\n" + row.replace(",", "\0,", 1), "NUL byte at line 2"),
        (lambda head, row: f"{head}\n" + "x" * 1_000_000 + f"{row}\n", "line 2: field larger than field limit"),
        (lambda head, row: f'{head}\n"{row}\n', "line 2: unexpected end of data"),
        (lambda head, row: f"{head}\n{row.replace('10.0', '1e999', 1)}\n", "line 2: x0 is '1e999'"),
        (lambda head, row: f"{head}\n{row.replace('10.0', '1_0', 1)}\n", "line 2: x0 is '1_0'"),
        (lambda head, row: f"{head}\n{row.replace('10.0', '0x1F', 1)}\n", "line 2: x0 is '0x1F'"),
        (lambda head, row: f"{head}\n{row.replace('10.0', '99999999999', 1)}\n", "finite number of at most 10000000"),
        (lambda head, row: f"{head}\n{row.replace('60,40', 'wide,40')}\n", "line 2: width is 'wide'"),
        (lambda head, row: f"{head}\n{row[:-1]}7\n", "line 2: v4 is '7'; expected 0, 1 or 2"),
    ],
)
def test_a_broken_table_is_one_line_with_its_place(
    change: Callable[[str, str], str], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "f.csv"
    write_csv(path, [record(tmp_path)])
    head, row = path.read_text().splitlines()
    path.write_text(change(head, row))
    with pytest.raises(FiduciaError) as caught:
        load_records(f"csv:{path}", "all", "five")
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert len(check(f"csv:{path}", "five").broken) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: "", "is no XML"),
        (lambda text: text[: len(text) // 2], "is no XML"),
        (lambda text: text.replace('points="10.0,', 'points="a,b;', 1), "point right_eye_centre, x is 'a'"),
        (lambda text: text.replace('points="10.0,', 'points="inf,', 1), "point right_eye_centre, x is 'inf'"),
        (lambda text: text.replace(" name=", " nome=", 1), "name is null"),
        (lambda text: text.replace('width="', 'width="x', 1), "width and height is 'x60'"),
        (lambda text: "<a>" * 50_000, "is no XML"),
        (lambda text: "<annotations>" + "<a>" * 50_000 + "</a>" * 50_000 + "</annotations>", "no skeleton or points"),
    ],
)
def test_a_broken_xml_file_is_one_line_with_its_place(
    change: Callable[[str], str], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "f.xml"
    write_cvat(path, [record(tmp_path)])
    path.write_text(change(path.read_text()))
    with pytest.raises(FiduciaError) as caught:
        load_records(f"cvat:{path}", "all", "five")
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_many_faults_of_a_kind_are_counted_and_the_first_are_shown(tmp_path: Path) -> None:
    table = copy.deepcopy(TABLE)
    table["annotations"] = [{**FACE, "id": i, "keypoints": [1, 2, 7] * 5} for i in range(40)]
    path = write(tmp_path, lambda _: table)
    report = check(f"coco:{path}", "five")
    assert len(report.broken) == 40
    shown = report.examples(broken=True)
    assert len(shown) == 6
    assert shown[-1] == "… and 35 more visibility codes other than 0, 1 and 2 (--json lists all)"
    assert "40 x visibility codes other than 0, 1 and 2: use 0 unlabelled, 1 occluded, 2 visible" in report.lines()
    assert report.to_json()["kinds"][0]["count"] == 40
