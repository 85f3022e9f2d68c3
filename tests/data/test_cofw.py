from __future__ import annotations

import shutil
import stat
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from benchmark_files import picture, real_cofw, write_cofw
from scipy.io import savemat

from fiducia.data.check import check
from fiducia.data.source import load_records
from fiducia.errors import FiduciaError, UsageError
from fiducia.images import read_image

FACES = 3


def annotations(faces: int = FACES) -> tuple[np.ndarray, np.ndarray]:
    phis = np.zeros((faces, 87))
    for i in range(faces):
        phis[i, :29] = 10 + np.arange(29) + 0.25 * i
        phis[i, 29:58] = 5 + np.arange(29)
        phis[i, 58:] = np.arange(29) % 3 == i
    return phis, np.tile([8.0, 4.0, 40.0, 32.0], (faces, 1))


def pictures() -> list[np.ndarray]:
    return [picture(60, 40), picture(50, 45)[:, :, 0], picture(61, 41)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_cofw(tmp_path / "COFW_test_color.mat", "test", pictures(), *annotations())
    write_cofw(tmp_path / "COFW_train_color.mat", "train", pictures()[:2], *annotations(2))
    return tmp_path


def test_points_flags_and_boxes_come_out_of_the_transposed_file(root: Path) -> None:
    phis, _ = annotations()
    records = load_records(f"cofw:{root}", "test")
    assert [r.id for r in records] == ["test/0001", "test/0002", "test/0003"]
    for i, record in enumerate(records):
        assert record.xy.tolist() == [[phis[i, k], phis[i, 29 + k]] for k in range(29)]
        assert record.visible.tolist() == [1 if k % 3 == i else 2 for k in range(29)]
        assert record.box is not None
        assert record.box.tolist() == [8.0, 4.0, 48.0, 36.0]
        assert record.scheme == "cofw29"
    assert len(load_records(f"cofw:{root}", "train")) == 2


def test_colour_and_grey_pictures_stand_upright(root: Path) -> None:
    records = load_records(f"cofw:{root}", "test")
    for record, original in zip(records, pictures(), strict=True):
        expected = original if original.ndim == 3 else np.repeat(original[:, :, None], 3, axis=2)
        np.testing.assert_array_equal(read_image(record.image), expected)


def test_pictures_are_written_once_and_a_lost_one_again(root: Path) -> None:
    images = [r.image for r in load_records(f"cofw:{root}", "test")]
    before = [image.stat().st_mtime_ns for image in images]
    images[1].unlink()
    assert [r.image for r in load_records(f"cofw:{root}", "test")] == images
    assert [images[i].stat().st_mtime_ns == before[i] for i in (0, 2)] == [True, True]
    assert read_image(images[1]).shape == (45, 50, 3)
    assert not list(images[0].parent.glob(".*"))


def test_another_edition_of_the_file_has_pictures_of_its_own(root: Path) -> None:
    old = load_records(f"cofw:{root}", "test")[0].image
    phis, boxes = annotations()
    write_cofw(root / "COFW_test_color.mat", "test", [picture(33, 44)] * FACES, phis + 1 * (phis > 1), boxes)
    new = load_records(f"cofw:{root}", "test")[0].image
    assert new != old
    assert read_image(new).shape == (44, 33, 3)


@pytest.mark.skipif(sys.platform == "win32", reason="folders there have no such permissions")
def test_a_folder_that_cannot_be_written_leaves_the_cache(
    root: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    # root may write everywhere; so the question itself is answered.
    monkeypatch.setattr("fiducia.data.readers.cofw.os.access", lambda *_: False)
    root.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        image = load_records(f"cofw:{root}", "test")[0].image
    finally:
        root.chmod(stat.S_IRWXU)
    assert image.is_relative_to(cache / "fiducia")
    assert sorted(p.name for p in root.iterdir()) == ["COFW_test_color.mat", "COFW_train_color.mat"]


def broken(root: Path, message: str) -> None:
    with pytest.raises(FiduciaError, match=message) as caught:
        load_records(f"cofw:{root}", "test")
    assert "COFW_test_color.mat" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_of_another_kind_says_what_it_holds(root: Path) -> None:
    path = root / "COFW_test_color.mat"
    shutil.copyfile(root / "COFW_train_color.mat", path)
    broken(root, "has no variable IsT, but IsTr, bboxesTr, phisTr; expected")
    savemat(path, {"phisT": np.zeros((3, 87))})
    broken(root, "is no Matlab 7.3 .HDF5. file")
    path.write_bytes(b"")
    broken(root, "is no Matlab 7.3 .HDF5. file")


def test_a_file_cut_short_or_damaged_is_told(root: Path) -> None:
    path = root / "COFW_test_color.mat"
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    broken(root, "damaged HDF5 .*; download it again")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"phisT": np.zeros((86, FACES))}, "phisT is 3 x 86, expected N x 87"),
        ({"phisT": np.zeros((87, FACES - 1))}, "3 photographs, 2 faces and 3 boxes; expected as many of each"),
        ({"bboxesT": np.zeros((5, FACES))}, "bboxesT is 3 x 5, expected N x 4"),
        ({"IsT": np.zeros((1, FACES))}, "IsT is no cell array of photographs"),
        ({"phisT": np.full((87, FACES), np.nan)}, "phisT of row 1 holds nan"),
        ({"phisT": np.full((87, FACES), 3.0)}, "face 1: an occlusion flag is neither 0 nor 1"),
    ],
)
def test_contradictions_are_told_by_name(root: Path, change: dict[str, Any], message: str) -> None:
    with h5py.File(root / "COFW_test_color.mat", "r+") as file:
        for name, value in change.items():
            del file[name]
            file[name] = value
    broken(root, message)


def test_the_check_tells_every_bad_picture_and_box(root: Path) -> None:
    phis, boxes = annotations()
    boxes[0] = [8, 4, -40, 32]
    odd = [picture(60, 40).astype(np.float64), picture(30, 30), picture(20, 20)[:, :, :2]]
    write_cofw(root / "COFW_test_color.mat", "test", odd, phis, boxes)
    report = check(f"cofw:{root}")
    assert [line.split(": ")[1] for line in report.broken] == ["face 1", "face 3"]
    assert "float64 (3, 60, 40) found, uint8 (3, W, H) or (W, H) expected" in report.broken[0]
    boxes[1] = [900, 900, 10, 10]
    write_cofw(root / "COFW_test_color.mat", "test", pictures(), phis, boxes)
    remarks = check(f"cofw:{root}").remarks
    assert "face 1: the box 8 4 -32 36 (x1 y1 x2 y2) has no area" in remarks[0]
    assert "face 2: the box 900 900 10 10 (x y w h) does not meet the face's points" in remarks[1]


def test_nothing_there_and_h5py_missing(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(FiduciaError, match=r"no COFW_test_color\.mat found; .* fetch them from https"):
        load_records(f"cofw:{tmp_path / 'empty'}", "test")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UsageError, match=r'needs h5py, which is not installed; run: pip install "fiducia\[data\]"'):
        load_records(f"cofw:{root}", "test")
    with pytest.raises(UsageError, match=r"fiducia\[data\]"):
        check(f"cofw:{root}")


def cofw68(root: Path) -> Path:
    folder = root / "COFW68_Data" / "test_annotations"
    folder.mkdir(parents=True)
    for i in range(1, FACES + 1):
        occluded = (np.arange(68) == i).astype(np.uint8)[None]
        savemat(folder / f"{i}_points.mat", {"Points": np.arange(136.0).reshape(68, 2) / 4 + i, "Occ": occluded})
    boxes = np.tile(np.array([2, 3, 30, 31], dtype=np.int16), (FACES, 1))
    savemat(root / "COFW68_Data" / "cofw68_test_bboxes.mat", {"bboxes": boxes})
    return folder


def test_cofw68_joins_its_points_with_the_photographs_of_cofw(root: Path) -> None:
    cofw68(root)
    records = load_records(f"cofw68:{root}", "test")
    own = load_records(f"cofw:{root}", "test")
    assert [r.image for r in records] == [r.image for r in own]
    assert records[1].xy[0].tolist() == [2.0, 2.25]
    assert np.flatnonzero(records[1].visible == 1).tolist() == [2]
    assert records[1].box is not None
    assert records[1].box.tolist() == [2.0, 3.0, 32.0, 34.0]
    assert records[1].scheme == "ibug68"


def test_cofw68_tells_what_is_not_there(root: Path) -> None:
    with pytest.raises(FiduciaError, match="test_annotations/ is not there; expected"):
        load_records(f"cofw68:{root}", "test")
    folder = cofw68(root)
    (folder / "2_points.mat").unlink()
    (folder / "3_points.mat").write_bytes(b"no Matlab")
    broken68 = check(f"cofw68:{root}").broken
    assert [Path(line.split(": ")[0]).name for line in broken68] == ["2_points.mat", "3_points.mat"]
    savemat(folder / "1_points.mat", {"Points": np.zeros((29, 2)), "Occ": np.zeros((1, 29))})
    with pytest.raises(FiduciaError, match=r"1_points\.mat: Points is 29 x 2, expected 68 x 2"):
        load_records(f"cofw68:{root}", "test")


@pytest.mark.shared
def test_the_real_faces(shared_data: Path, tmp_path: Path) -> None:
    real = real_cofw(shared_data, tmp_path)
    shutil.copytree(shared_data / "cofw68", tmp_path / "COFW68_Data")
    for source, points in ((f"cofw:{tmp_path}", 29), (f"cofw68:{tmp_path}", 68)):
        records = load_records(source, "test")
        assert len(records) == 507
        for number, face in real.items():
            record = records[number - 1]
            assert record.id == f"test/{number:04d}"
            assert record.xy.shape == (points, 2)
            np.testing.assert_array_equal(read_image(record.image), read_image(face["path"]))
            low, high = record.xy.min(axis=0), record.xy.max(axis=0)
            height, width = read_image(record.image).shape[:2]
            assert (low >= 0).all()
            assert (high <= [width - 1, height - 1]).all()
            if points == 29:
                np.testing.assert_allclose(record.xy, face["xy"], atol=1e-9)
                np.testing.assert_array_equal(record.visible, face["v"])
    # Two annotations of one face by different people: the corners of the eyes all but coincide.
    both = [load_records(f"{name}:{tmp_path}", "test")[420] for name in ("cofw", "cofw68")]
    apart = np.linalg.norm(both[0].xy[[8, 9]] - both[1].xy[[36, 45]], axis=1)
    assert apart.max() < 0.1 * np.linalg.norm(both[1].xy[36] - both[1].xy[45])
