"""Faces that contradict their landmark set are told; real and drawn faces never are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmark_files import photograph

from fiducia.data.check import check
from fiducia.data.doubts import doubts, mirror_gap, side_gap, sides, upright
from fiducia.data.source import load_records
from fiducia.errors import FiduciaError
from fiducia.schemes.sets import get_scheme
from fiducia.structures import Record

MIDDLE = [8, 27, 30, 33, 51]
"""Five of 68 points down the middle of the face: no two of them are a pair."""


@pytest.fixture(scope="module")
def faces() -> list[Record]:
    return load_records("synthetic:60", "train")


def taken_for(records: list[Record], points: list[int], scheme: str) -> list[Record]:
    return [replace(r, xy=r.xy[points], visible=r.visible[points], scheme=scheme) for r in records]


@pytest.mark.parametrize("scheme", ["ibug68", "wflw98", "cofw29", "aflw19", "lapa106", "five"])
def test_every_set_agrees_with_its_own_faces(scheme: str, tmp_path: Path) -> None:
    own = load_records(f"synthetic:30@{tmp_path}", "train", scheme)
    assert doubts(own) == []
    assert all(doubts([record]) == [] for record in own)
    right, left = sides(get_scheme(scheme))
    assert len(right) == len(left) > 0


def test_own_points_taken_for_a_built_in_set(faces: list[Record]) -> None:
    found = doubts(taken_for(faces, MIDDLE, "five"))
    assert "the mirror pairs of five contradict these faces" in found[0].message
    assert all(doubt.sure for doubt in found)
    few = doubts(taken_for(faces[:3], MIDDLE, "five"))
    assert few
    assert not any(doubt.sure for doubt in few), "a few faces prove nothing"


def test_left_and_right_swapped(faces: list[Record]) -> None:
    mirror = list(get_scheme("ibug68").mirror)
    (doubt,) = doubts(taken_for(faces, mirror, "ibug68"))
    assert "points called left in ibug68 do not lie at the picture's right" in doubt.message
    assert doubt.sure


def test_points_in_another_order(faces: list[Record]) -> None:
    order = np.random.default_rng(0).permutation(68).tolist()
    assert any("another order" in doubt.message for doubt in doubts(taken_for(faces, order, "ibug68")))


def test_bare_points_and_unlabelled_faces_are_never_doubted(faces: list[Record]) -> None:
    assert doubts(taken_for(faces, MIDDLE, "none:5")) == []
    assert doubts([replace(face, xy=np.full((68, 2), np.nan)) for face in faces]) == []
    assert doubts([]) == []


def test_the_gaps_by_hand() -> None:
    square = np.array([[0.0, 0], [2, 0], [0, 2], [2, 2]])
    assert mirror_gap(square, (1, 0, 3, 2)) == pytest.approx(0)
    assert mirror_gap(square, (2, 1, 0, 3)) is not None
    assert mirror_gap(square, (0, 1, 2, 3)) is None, "nothing changes its place"
    assert mirror_gap(np.full((4, 2), np.nan), (1, 0, 3, 2)) is None
    assert mirror_gap(np.full((4, 2), 7.0), (1, 0, 3, 2)) is None, "all in one spot"
    five = get_scheme("five")
    shape = np.array([[0.0, 0], [4, 0], [2, 2], [1, 4], [3, 4]])
    assert side_gap(shape[None], five) == pytest.approx(3.0)
    assert upright(shape, five) == pytest.approx(0.0)
    assert upright(shape @ [[0.0, 1.0], [-1.0, 0.0]], five) == pytest.approx(90.0)
    assert upright(np.full((5, 2), np.nan), five) is None


def write_own(folder: Path, faces: list[Record], points: list[int]) -> Path:
    """Write faces as a COCO file that says nothing of its landmark set."""
    table: dict = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "face", "keypoints": []}]}
    for i, record in enumerate(faces):
        photograph(folder / f"{i}.png", 256, 256)
        table["images"].append({"id": i, "file_name": f"{i}.png", "width": 256, "height": 256})
        flat = [v for x, y in record.xy[points].tolist() for v in (x, y, 2)]
        table["annotations"].append({"id": i, "image_id": i, "category_id": 1, "keypoints": flat})
    path = folder / "own.json"
    path.write_text(json.dumps(table))
    return path


def test_a_contradicted_assumption_is_an_error_and_a_named_set_a_remark(faces: list[Record], tmp_path: Path) -> None:
    path = write_own(tmp_path, faces[:12], MIDDLE)
    with pytest.raises(FiduciaError, match=r"mirror pairs of five contradict.*confirm it with --scheme"):
        load_records(f"coco:{path}", "all")
    report = check(f"coco:{path}")
    assert not report.ok
    assert any("mirror pairs of five contradict" in line for line in report.broken)
    insisted = load_records(f"coco:{path}", "all", "five")
    assert any("mirror pairs of five contradict" in line for line in insisted.remarks)
    assert check(f"coco:{path}", "five").ok
    assert load_records(f"coco:{path}", "all", "none").remarks == []


def test_a_right_assumption_is_only_said(faces: list[Record], tmp_path: Path) -> None:
    path = write_own(tmp_path, faces[:12], [36, 45, 30, 48, 54])
    records = load_records(f"coco:{path}", "all")
    assert records.assumed
    (line,) = records.remarks
    assert "taken for five" in line
    report = check(f"coco:{path}")
    assert report.ok
    assert [row["kind"] for row in report.kinds()] == ["assumed"]


@pytest.mark.shared
def test_real_faces_are_not_doubted(shared_data: Path) -> None:
    records = load_records(f"300w:{shared_data / '300w'}", "lfpw/testset")
    assert doubts(records) == []
    assert sum(bool(doubts([record])) for record in records) == 0
    middle = taken_for(records, MIDDLE, "five")
    assert all(doubt.sure for doubt in doubts(middle))
