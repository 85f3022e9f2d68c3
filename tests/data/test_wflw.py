from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmark_files import coco_faces, photograph, wflw_line, write_wflw

from fiducia.data.check import check
from fiducia.data.readers.wflw import ATTRIBUTES
from fiducia.data.source import carve, find_dataset, load_records
from fiducia.errors import FiduciaError, UsageError

ONE = "0--Parade/0_Parade_marchingband_1_1.jpg"
TWO = "1--Handshaking/1_Handshaking_Handshaking_1_2.jpg"


def face(shift: float = 0.0) -> np.ndarray:
    return np.stack([5 + np.arange(98) * 0.4, 3 + np.arange(98) * 0.3], axis=1) + shift


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in (ONE, TWO):
        photograph(tmp_path / "WFLW_images" / name)
    test = [
        wflw_line(ONE, face(), (1, 2, 50, 35), "1 0 0 0 0 1"),
        wflw_line(TWO, face(), (3, 4, 40, 30), "0 1 0 0 0 0"),
        wflw_line(ONE, face(0.5), (2, 3, 51, 36), "0 0 1 1 1 0"),
    ]
    write_wflw(tmp_path, "test", test)
    write_wflw(tmp_path, "train", [wflw_line(TWO, face(1.0))])
    return tmp_path


def test_a_face_is_what_its_line_says(root: Path) -> None:
    record = load_records(f"wflw:{root}", "test")[2]
    np.testing.assert_allclose(record.xy, face(0.5), atol=1e-6)
    assert record.image == root / "WFLW_images" / ONE
    assert record.box is not None
    assert record.box.tolist() == [2.0, 3.0, 51.0, 36.0]
    assert (record.visible == 2).all()
    assert record.scheme == "wflw98"
    assert {key: record.tags[key] for key in ATTRIBUTES} == {
        "largepose": False,
        "expression": False,
        "illumination": True,
        "makeup": True,
        "occlusion": True,
        "blur": False,
    }


def test_several_faces_of_a_photograph_have_names_of_their_own_and_stay_together(root: Path) -> None:
    records = load_records(f"wflw:{root}", "test")
    stem = ONE.removesuffix(".jpg")
    assert [r.id for r in records] == [f"test/{stem}_1", f"test/{TWO.removesuffix('.jpg')}_1", f"test/{stem}_2"]
    for seed in range(6):
        training, validation = carve(records, 0.4, seed)
        assert not {r.tags["photo"] for r in training} & {r.tags["photo"] for r in validation}


def test_the_subsets_are_the_columns_in_their_official_order(root: Path) -> None:
    lines = {split: [r.tags["line"] for r in load_records(f"wflw:{root}", split)] for split in ATTRIBUTES}
    assert lines == {
        "largepose": [1],
        "expression": [2],
        "illumination": [3],
        "makeup": [3],
        "occlusion": [3],
        "blur": [1],
    }
    assert [r.tags["part"] for r in load_records(f"wflw:{root}", "train")] == ["train"]


def test_the_official_counts() -> None:
    spec, _ = find_dataset("wflw:x")
    assert spec.counts == {
        "train": 7500,
        "test": 2500,
        "largepose": 326,
        "expression": 314,
        "illumination": 698,
        "makeup": 206,
        "occlusion": 736,
        "blur": 773,
    }


def test_a_misspelt_subset_is_put_right(root: Path) -> None:
    with pytest.raises(UsageError, match="no split is called 'make-up'; did you mean 'makeup'"):
        load_records(f"wflw:{root}", "make-up")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (wflw_line(ONE, face()).replace(" ", " 7 ", 1), "line 2: 208 columns found, 207 expected"),
        (wflw_line(ONE, face()).split(" ", 1)[1], "line 2: 206 columns found, 207 expected"),
        (" ".join([*wflw_line(ONE, face()).split()[:196], ONE]), r"197 columns found, 207 expected .a subset list"),
        (wflw_line(ONE, face()).replace("5.000000", "five", 1), "line 2: column 1 is 'five'; expected a finite number"),
        (wflw_line(ONE, face()).replace("5.000000", "nan", 1), "line 2: column 1 is 'nan'; expected a finite number"),
        (wflw_line(ONE, face(), flags="0 0 0 0 0 2"), "line 2: the attributes are 0 0 0 0 0 2; expected six times"),
        (wflw_line("0--Parade/none.jpg", face()), r"line 2: no photograph .*none\.jpg; extract WFLW_images"),
    ],
)
def test_a_bad_line_is_told_by_its_number(root: Path, line: str, message: str) -> None:
    path = write_wflw(root, "train", [wflw_line(TWO, face()), line])
    with pytest.raises(FiduciaError, match=message) as caught:
        load_records(f"wflw:{root}", "train")
    assert str(caught.value).startswith(f"{path}: line 2: ")


def test_the_check_lists_every_fault_at_once_and_each_once(root: Path) -> None:
    write_wflw(root, "test", ["1 2 3", wflw_line("no.jpg", face()), wflw_line(ONE, face(), flags="1 1 1 1 1 1")])
    report = check(f"wflw:{root}")
    assert [line.split(": ")[1] for line in report.broken] == ["line 1", "line 2"]
    assert {p.part: p.found for p in report.parts} == {"train": 1, "test": 1, **dict.fromkeys(ATTRIBUTES, 1)}
    assert report.faces == 2


def test_boxes_and_twins_are_remarks(root: Path) -> None:
    twice = wflw_line(TWO, face())
    lines = [
        twice,
        twice,
        wflw_line(ONE, face(), (50, 2, 1, 35)),
        wflw_line(ONE, face(1.0), (500, 500, 520, 520)),
        wflw_line(ONE, face(200.0), (100, 100, 240, 240)),
    ]
    write_wflw(root, "train", lines)
    records = load_records(f"wflw:{root}", "train")
    assert [r.box is None for r in records] == [False, False, True, True, False]
    remarks = "\n".join(check(f"wflw:{root}").remarks)
    assert "line 3: the box 50 2 1 35 (x1 y1 x2 y2) has no area; are its columns in another order?" in remarks
    assert "line 4: the rectangle 500 500 520 520 does not meet the face's points" in remarks
    assert (
        "the box 100 100 240 240 of train/0--Parade/0_Parade_marchingband_1_1_3 lies outside of the 60 x 40" in remarks
    )
    assert "line 1 and line 2 are the same face" in remarks


def test_absent_files_are_told_with_the_place_to_fetch_them(root: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(FiduciaError, match=r"list_98pt_rect_attr_test\.txt: no such file; .*https://wywu"):
        load_records(f"wflw:{tmp_path / 'empty'}", "test")
    (root / "WFLW_images").rename(root / "pictures")
    with pytest.raises(FiduciaError, match=r"WFLW_images: no such folder; expected the photographs"):
        load_records(f"wflw:{root}", "test")


@pytest.mark.shared
def test_the_real_faces(shared_data: Path) -> None:
    source = f"wflw:{shared_data / 'wflw_sample'}"
    records = load_records(source, "test")
    assert len({r.id for r in records}) == len(records) == 4
    report = check(source)
    assert report.ok
    assert (report.photographs, report.outside, report.remarks) == (2, 0, [])
    # The same faces in another source: COCO JSON, made by other hands.
    for known in coco_faces(shared_data / "coco_style" / "wflw"):
        near = min(float(np.abs(r.xy - known["xy"]).max()) for r in records if r.image.name == known["name"])
        assert near < 1e-3
