from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmark_files import photograph

from fiducia.data import usable
from fiducia.data.check import check
from fiducia.data.source import load_records
from fiducia.data.usable import fault_of
from fiducia.geometry import box_to_crop, tight_box
from fiducia.structures import Record

GOOD = [[10.0, 10], [30, 10], [20, 20], [12, 30], [28, 30]]
NAN = [np.nan, np.nan]
BAD = {
    "no labelled point": [NAN] * 5,
    "a single labelled point": [GOOD[0], *[NAN] * 4],
    "all points in one place": [GOOD[0]] * 5,
    "all points on one horizontal or vertical line": [[x, 10.0] for x, _ in GOOD],
}


def face(name: str, xy: list, box: list[float] | None = None) -> Record:
    points = np.array(xy, dtype=np.float64)
    visible = np.where(np.isnan(points[:, 0]), 0, 2).astype(np.int8)
    own = None if box is None else np.array(box)
    return Record(image=Path("a.png"), xy=points, visible=visible, scheme="five", box=own, tags={"id": name})


@pytest.mark.parametrize(
    ("reason", "xy"),
    [
        ("all points on one line", [[10.0 + 3 * i, 5 + 2.0 * i] for i in range(5)]),
        (
            "all points within 1 pixel",
            [[10 + 0.1 * x, 10 + 0.1 * y] for x, y in ((0, 0), (5, 1), (2, 4), (1, 7), (4, 6))],
        ),
        ("all points outside its photograph", [[x + 60, y] for x, y in GOOD]),
        ("all points outside its photograph", [[x, y - 31] for x, y in GOOD]),
    ],
)
def test_faces_in_which_nothing_can_be_seen_are_left_out(reason: str, xy: list, tmp_path: Path) -> None:
    photograph(tmp_path / "a.png")  # 60 x 40
    there = [replace(face(name, points), image=tmp_path / "a.png") for name, points in (("good", GOOD), ("bad", xy))]
    kept, lines = usable(there)
    assert [record.id for record in kept] == ["good"]
    assert lines == [f"1 face is skipped: {reason} (bad); fiducia data check lists them"]


@pytest.mark.parametrize("reason", BAD)
def test_what_cannot_be_cropped_is_left_out_with_its_reason(reason: str) -> None:
    records = [face("good", GOOD), *[face(f"bad{i}", BAD[reason]) for i in range(5)]]
    kept, lines = usable(records)
    assert [record.id for record in kept] == ["good"]
    assert lines == [f"5 faces are skipped: {reason} (bad0, bad1, bad2, …); fiducia data check lists them"]
    with pytest.raises(ValueError, match=r"no labelled point|has x1 < x2"):
        box_to_crop(tight_box(records[1].xy), 64)


def test_every_kept_face_can_be_cropped() -> None:
    rng = np.random.default_rng(0)
    records = []
    for i in range(200):
        xy = rng.integers(0, 3, (5, 2)).astype(float)
        xy[rng.random(5) < 0.5] = np.nan
        records.append(face(str(i), xy.tolist()))
    kept, lines = usable(records)
    assert 0 < len(kept) < len(records)
    assert len(kept) + sum(int(line.split()[0]) for line in lines) == len(records)
    for record in kept:
        box_to_crop(tight_box(record.xy), 64)


def test_the_data_sets_own_box_counts_where_crops_come_from_it() -> None:
    on_a_line = BAD["all points on one horizontal or vertical line"]
    assert fault_of(face("a", on_a_line, [0, 0, 10, 10]), "dataset") is None
    assert fault_of(face("a", GOOD), "dataset") == "no box"
    assert fault_of(face("a", GOOD, [5, 5, 5, 10]), "dataset") == "a box without area"


def test_nothing_is_said_where_nothing_is_left_out() -> None:
    records = [face("a", GOOD)]
    assert usable(records) == (records, [])


@pytest.mark.parametrize("reason", BAD)
def test_one_such_face_stops_neither_the_check_nor_the_reading(reason: str, tmp_path: Path) -> None:
    photograph(tmp_path / "a.png")
    faces = []
    for number, xy in enumerate((GOOD, BAD[reason], GOOD[::-1])):
        flat = [v for x, y in xy for v in ((x, y, 2) if x == x else (0, 0, 0))]
        count = sum(x == x for x, _ in xy)
        sides = np.nan_to_num(np.array(xy))
        low, size = sides.min(axis=0), np.ptp(sides, axis=0)
        faces.append({"id": number, "image_id": 1, "keypoints": flat, "num_keypoints": count, "bbox": [*low, *size]})
    path = tmp_path / "f.json"
    path.write_text(json.dumps({"images": [{"id": 1, "file_name": "a.png"}], "annotations": faces}))
    records = load_records(f"coco:{path}", "all", "five")
    assert len(records) == 3
    kept, lines = usable(records)
    assert len(kept) == 2
    assert reason in lines[0]
    report = check(f"coco:{path}", "five")
    assert report.ok
    (row,) = [row for row in report.kinds() if row["kind"] == "unusable"]
    assert row["count"] == 1
    assert f"the face a_2 has {reason}" in row["first"][0]
    assert "1 x faces that cannot be cropped, which are skipped" in "\n".join(report.lines())
