from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmark_files import photograph, real_aflw, write_aflw

from fiducia.data.check import check
from fiducia.data.source import find_dataset, load_records
from fiducia.errors import FiduciaError, UsageError


def shape(shift: float = 0.0) -> np.ndarray:
    return np.stack([10 + np.arange(19), 8 + np.arange(19) * 0.5], axis=1) + shift


def rows() -> list[dict[str, Any]]:
    hidden = np.ones(19)
    hidden[[0, 18]] = 0
    return [
        {"name": "0/image00002.jpg", "xy": shape(), "box": (5, 45, 6, 30)},
        {"name": "2/image00013.jpg", "xy": shape(1.0), "box": (7, 47, 8, 32), "mask": hidden},
        {"name": "0/image00002.jpg", "xy": shape(2.0), "box": (6, 46, 7, 31)},
    ]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("0/image00002.jpg", "2/image00013.jpg", "0/idle.jpg"):
        photograph(tmp_path / "data" / "flickr" / name)
    write_aflw(tmp_path / "AFLWinfo_release.mat", rows())
    return tmp_path


def test_the_test_faces_are_those_after_the_20000th_of_ra(root: Path) -> None:
    records = load_records(f"aflw:{root}", "full")
    assert [r.id for r in records] == ["0/image00002_3", "2/image00013_2", "0/image00002_1"]
    np.testing.assert_array_equal(records[1].xy, shape(1.0))
    assert records[1].box is not None
    assert records[1].box.tolist() == [7.0, 8.0, 47.0, 32.0]
    assert records[1].image == root / "data" / "flickr" / "2" / "image00013.jpg"
    assert [r.tags["photo"] for r in records] == ["0/image00002", "2/image00013", "0/image00002"]


def test_hidden_points_are_located_and_a_face_with_one_is_not_frontal(root: Path) -> None:
    record = load_records(f"aflw:{root}", "full")[1]
    assert np.flatnonzero(record.visible == 1).tolist() == [0, 18]
    assert np.isfinite(record.xy).all()
    assert record.tags["frontal"] is False
    assert [r.id for r in load_records(f"aflw:{root}", "frontal")] == ["0/image00002_3", "0/image00002_1"]


def test_the_other_20000_train(root: Path) -> None:
    records = load_records(f"aflw:{root}", "train")
    assert len(records) == 20_000
    assert len({r.id for r in records}) == 20_000
    assert records[0].tags["row"] == 20_003
    assert find_dataset("aflw:x")[0].counts == {"train": 20_000, "full": 4386, "frontal": 1314}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mask_new": None}, "has no variable mask_new, but .*bbox.*; expected AFLWinfo_release"),
        (
            {"data": np.zeros((20_003, 42))},
            "data is 20003 x 42, expected N x 38; is it a .mat file of another data set",
        ),
        ({"bbox": np.zeros((20_002, 4))}, "bbox is 20002 x 4, expected 20003 x 4"),
        ({"ra": np.arange(20_003.0)[None]}, "ra is no permutation of 1 to 20,003"),
        ({"mask_new": np.full((20_003, 19), 2.0)}, "mask_new of face 1 is neither 0 nor 1"),
        ({"nameList": np.empty((4, 1), dtype=object)}, "nameList has 0 names for 20,003 faces"),
        ({"data": "words"}, "data is no table of numbers"),
    ],
)
def test_a_table_of_another_kind_is_told_by_its_variable(root: Path, change: dict[str, Any], message: str) -> None:
    if "nameList" in change:
        change["nameList"][:] = ""
    write_aflw(root / "AFLWinfo_release.mat", rows(), **change)
    with pytest.raises(FiduciaError, match=message):
        load_records(f"aflw:{root}", "full")
    report = check(f"aflw:{root}")
    assert len(report.broken) == 1


def test_bad_faces_are_told_by_their_number(root: Path) -> None:
    faces = rows()
    faces[0]["box"] = (5, 6, 45, 30)
    faces[1]["name"] = "3/gone.jpg"
    faces[2]["box"] = (500, 545, 600, 630)
    write_aflw(root / "AFLWinfo_release.mat", faces)
    with pytest.raises(FiduciaError, match=r"face 3: the box 5 45 6 30 .x1 y1 x2 y2. has no area"):
        load_records(f"aflw:{root}", "full")
    found = list(find_dataset("aflw:x")[0].scan(str(root), "full", None))  # type: ignore[misc]
    lines = [f.message for f in found if hasattr(f, "message")]
    assert "face 2: no photograph" in lines[1]
    assert "does not meet the face's points" in lines[2]
    assert "lies outside of the 60 x 40 photograph" in lines[3]


def test_a_face_that_stands_twice_is_a_remark(root: Path) -> None:
    write_aflw(root / "AFLWinfo_release.mat", [rows()[0], rows()[1], rows()[0]], first=20_000)
    found = list(find_dataset("aflw:x")[0].scan(str(root), "full", None))  # type: ignore[misc]
    assert "face 3 and face 1 are the same face" in found[-1].message
    assert not found[-1].broken


def test_files_that_are_not_there_or_no_matlab(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = root / "AFLWinfo_release.mat"
    whole = path.read_bytes()
    path.write_bytes(whole[:4000])
    with pytest.raises(FiduciaError, match="cannot be read as a Matlab file"):
        load_records(f"aflw:{root}", "full")
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + b"\x89HDF\r\n\x1a\n" + bytes(600))
    with pytest.raises(FiduciaError, match=r"is a Matlab 7\.3 .HDF5. file"):
        load_records(f"aflw:{root}", "full")
    path.write_bytes(whole)
    (root / "data").rename(root / "elsewhere")
    with pytest.raises(FiduciaError, match=r"flickr: no such folder; expected the photographs of AFLW"):
        load_records(f"aflw:{root}", "full")
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(UsageError, match=r'needs scipy, which is not installed; run: pip install "fiducia\[data\]"'):
        load_records(f"aflw:{root}", "full")
    monkeypatch.undo()
    path.unlink()
    with pytest.raises(FiduciaError, match=r"AFLWinfo_release\.mat: no such file; .*tugraz"):
        load_records(f"aflw:{root}", "full")


@pytest.mark.shared
def test_the_real_faces(shared_data: Path, tmp_path: Path) -> None:
    real = real_aflw(shared_data, tmp_path)
    records = load_records(f"aflw:{tmp_path}", "full")
    assert [r.image.name for r in records] == [face["name"] for face in real]
    for record, face in zip(records, real, strict=True):
        np.testing.assert_allclose(record.xy, face["xy"], atol=1e-9)
        x, y, w, h = face["box"]
        assert record.box is not None
        np.testing.assert_allclose(record.box, [x, y, x + w, y + h], atol=1e-9)
