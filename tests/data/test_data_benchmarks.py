"""The smaller readers: MERL-RAV, AFLW2000-3D, LaPa, the 300-W test set and HRNet's tables."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from benchmark_files import photograph, real_lapa, real_merl
from scipy.io import savemat
from w300_faces import add_face

from fiducia.data.check import check
from fiducia.data.readers.lapa import read_points
from fiducia.data.readers.merl import three_states
from fiducia.data.source import load_records
from fiducia.errors import FiduciaError, UsageError


def merl_face(root: Path, name: str, first: str = "11 21") -> Path:
    path = root / f"{name}.pts"
    path.parent.mkdir(parents=True, exist_ok=True)
    points = [first, "-31.5 -12.25", "-1 -1", *("5 6" for _ in range(65))]
    path.write_text("\n".join(["version: 1", "n_points:  68", "{", *points, "}"]) + "\n")
    return path


def test_merl_has_three_states() -> None:
    xy, visible = three_states(np.array([[10.0, 20.0], [-32.5, -13.25], [-2.0, -2.0], [-1.5, 4.0]]))
    assert visible.tolist() == [2, 1, 0, 2]
    assert xy[[0, 1, 3]].tolist() == [[10.0, 20.0], [30.5, 11.25], [-1.5, 4.0]]
    assert np.isnan(xy[2]).all()


def test_merl_is_read_as_organised_and_as_published(tmp_path: Path) -> None:
    organised, published = tmp_path / "a", tmp_path / "b"
    merl_face(organised, "left/testset/image00001")
    photograph(organised / "left" / "testset" / "image00001.jpg")
    merl_face(published, "merl_rav_labels/left/testset/labels/image00001_2")
    photograph(published / "aflw" / "flickr" / "2" / "image00001.jpg")
    for root, name in ((organised, "image00001"), (published, "image00001_2")):
        (record,) = load_records(f"merl:{root}", "test")
        assert record.id == f"left/testset/{name}"
        assert (record.tags["part"], record.tags["photo"]) == ("left/testset", "image00001")
        assert record.xy[:2].tolist() == [[10.0, 20.0], [30.5, 11.25]]
        assert record.visible[:4].tolist() == [2, 1, 0, 2]
    with pytest.raises(FiduciaError, match=r"no face of split 'train'; expected .*https://github"):
        load_records(f"merl:{organised}", "train")
    (organised / "left" / "testset" / "image00001.jpg").unlink()
    merl_face(organised, "right/testset/image00002", first="x 2")
    photograph(organised / "right" / "testset" / "image00002.jpg")
    assert [Path(line.split(": ")[0]).name for line in check(f"merl:{organised}").broken] == [
        "image00001.pts",
        "image00002.pts",
    ]


def aflw2000_face(root: Path, stem: str, yaw: float = 0.0, shape: tuple[int, int] = (3, 68)) -> None:
    pose = np.array([[0.1, np.radians(yaw), 0, 0, 0, 0, 1]])
    savemat(
        root / f"{stem}.mat",
        {"pt3d_68": np.arange(204.0).reshape(-1)[: shape[0] * shape[1]].reshape(shape), "Pose_Para": pose},
    )
    photograph(root / f"{stem}.jpg")


def test_aflw2000_counts_from_1_and_knows_the_pose(tmp_path: Path) -> None:
    for i, yaw in enumerate((-29.0, 45.0, -88.0)):
        aflw2000_face(tmp_path, f"image0000{i}", yaw)
    records = load_records(f"aflw2000:{tmp_path}", "test")
    assert [r.id for r in records] == ["image00000", "image00001", "image00002"]
    assert records[0].xy[0].tolist() == [-1.0, 67.0]
    assert records[0].xy[67].tolist() == [66.0, 134.0]
    assert [[r.tags[k] for k in ("yaw_0_30", "yaw_30_60", "yaw_60_90")] for r in records] == np.eye(
        3, dtype=bool
    ).tolist()
    assert [r.tags["yaw"] for r in records] == [-29.0, 45.0, -88.0]


def test_aflw2000_tells_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(FiduciaError, match=r"no face found; expected a folder with imageNNNNN\.jpg"):
        load_records(f"aflw2000:{tmp_path}", "test")
    aflw2000_face(tmp_path, "image00001", shape=(3, 21))
    aflw2000_face(tmp_path, "image00002")
    (tmp_path / "image00002.jpg").unlink()
    aflw2000_face(tmp_path, "image00003")
    (tmp_path / "image00003.mat").unlink()
    savemat(tmp_path / "image00004.mat", {"pts": np.zeros((2, 21))})
    photograph(tmp_path / "image00004.jpg")
    report = check(f"aflw2000:{tmp_path}")
    assert len(report.broken) == 3
    assert "pt3d_68 is 3 x 21, expected 3 x 68" in report.broken[0]
    assert "no photograph image00002.jpg" in report.broken[1]
    assert "has no variable pt3d_68, but pts" in report.broken[2]
    assert "image00003.jpg: no image00003.mat" in report.remarks[0]


def lapa_face(root: Path, name: str, text: str | None = None) -> Path:
    split, stem = name.split("/")
    photograph(root / split / "images" / f"{stem}.jpg")
    path = root / split / "landmarks" / f"{stem}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text if text is not None else "106\n" + "".join(f"{i / 4} {i / 8}\n" for i in range(106)))
    return path


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_no_matlab_file(tmp_path: Path) -> None:
    photograph(tmp_path / "image00002.jpg")
    os.mkfifo(tmp_path / "image00002.mat")
    (fault,) = check(f"aflw2000:{tmp_path}").broken
    assert "image00002.mat: is no plain file; expected" in fault


def test_lapa_is_taken_as_it_stands(tmp_path: Path) -> None:
    lapa_face(tmp_path, "test/123_0")
    lapa_face(tmp_path, "test/123_1")
    lapa_face(tmp_path, "val/77_0")
    first, second = load_records(f"lapa:{tmp_path}", "test")
    assert (first.id, second.id, first.tags["photo"], second.tags["photo"]) == (
        "test/123_0",
        "test/123_1",
        "123",
        "123",
    )
    assert first.xy[5].tolist() == [1.25, 0.625]
    assert first.scheme == "lapa106"
    assert [r.id for r in load_records(f"lapa:{tmp_path}", "val")] == ["val/77_0"]
    with pytest.raises(FiduciaError, match="no face of split 'train'"):
        load_records(f"lapa:{tmp_path}", "train")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "begins with 'nothing'; expected the number 106"),
        ("68\n1 2\n", "begins with '68'; expected the number 106"),
        ("106\n" + "1 2\n" * 105, "105 points found, 106 expected"),
        ("106\n1 2 3\n", "line 2 is '1 2 3'; expected two finite numbers"),
        ("106\n1 inf\n", "line 2 is '1 inf'"),
    ],
)
def test_a_bad_file_of_lapa_is_told(tmp_path: Path, text: str, message: str) -> None:
    path = lapa_face(tmp_path, "test/1_0", text)
    with pytest.raises(FiduciaError, match=message) as caught:
        read_points(path)
    assert str(caught.value).startswith(f"{path}: ")
    lapa_face(tmp_path, "test/2_0")
    (tmp_path / "test" / "images" / "2_0.jpg").unlink()
    assert len(check(f"lapa:{tmp_path}").broken) == 2


def test_the_300w_test_set_has_two_halves(tmp_path: Path) -> None:
    add_face(tmp_path, "300W/01_Indoor/indoor_001", ".png")
    add_face(tmp_path, "300W/02_Outdoor/outdoor_001", ".png")
    records = load_records(f"300w-private:{tmp_path}", "full")
    assert [r.id for r in records] == ["indoor/indoor_001", "outdoor/outdoor_001"]
    assert records[0].xy[3].tolist() == [3.0, 3.0]
    assert [r.tags["part"] for r in load_records(f"300w-private:{tmp_path}", "outdoor")] == ["outdoor"]
    assert {p.part: (p.found, p.official) for p in check(f"300w-private:{tmp_path}").parts} == {
        "indoor": (1, 300),
        "outdoor": (1, 300),
    }
    shutil.rmtree(tmp_path / "300W" / "01_Indoor")
    with pytest.raises(FiduciaError, match="no folder of the indoor faces; expected the folders 01_Indoor"):
        load_records(f"300w-private:{tmp_path}", "full")


def hrnet(root: Path, rows: list[str], points: int = 98, sized: bool = False) -> Path:
    header = ["image_name", "scale", *(["box_size"] if sized else []), "center_w", "center_h"]
    header += [f"original_{i}_{axis}" for i in range(points) for axis in "xy"]
    path = root / "faces.csv"
    path.write_text("\n".join([",".join(header), *rows]) + "\n")
    photograph(root / "images" / "a.jpg")
    return path


def numbers(count: int) -> str:
    return ",".join(str(i / 2) for i in range(count))


def test_hrnets_tables_are_read_with_their_square_box(tmp_path: Path) -> None:
    path = hrnet(tmp_path, [f"a.jpg,0.25,30,20,{numbers(196)}", f"a.jpg,0.25,31,20,{numbers(196)}"])
    records = load_records(f"hrnet:{path}", "all")
    assert [r.id for r in records] == ["a_1", "a_2"]
    assert records[0].scheme == "wflw98"
    assert records[0].xy[1].tolist() == [1.0, 1.5]
    assert records[0].box is not None
    assert records[0].box.tolist() == [5.0, -5.0, 55.0, 45.0]
    path = hrnet(tmp_path, [f"a.jpg,0.25,24,30,20,{numbers(38)}"], points=19, sized=True)
    (record,) = load_records(f"hrnet:{path}", "all")
    assert record.scheme == "aflw19"
    assert record.xy[0].tolist() == [0.0, 0.5]
    assert record.box is not None
    assert record.box.tolist() == [18.0, 8.0, 42.0, 32.0]


def test_hrnets_table_of_300w_is_refused(tmp_path: Path) -> None:
    path = hrnet(tmp_path, [f"a.jpg,0.25,30,20,{numbers(136)}"], points=68)
    with pytest.raises(
        FiduciaError, match=r"table of 300-W, whose coordinates are two pixels off; read .* 300w:FOLDER"
    ):
        load_records(f"hrnet:{path}", "all")
    assert not check(f"hrnet:{path}").ok


def test_bad_lines_of_hrnets_tables_are_all_told(tmp_path: Path) -> None:
    good = f"a.jpg,0.25,30,20,{numbers(196)}"
    rows = [good, good + ",1", "b" + good[1:], good.replace("0.25", "x", 1), good, "a.jpg,nan" + good[10:]]
    path = hrnet(tmp_path, [*rows, good.replace("30,20", "30,", 1) + ",1"])
    report = check(f"hrnet:{path}")
    assert [line.split(": ")[1] for line in report.broken] == ["line 3", "line 4", "line 5", "line 7", "line 8"]
    assert "201 cells found, 200 expected" in report.broken[0]
    assert "center_h is empty, and a cell follows the last column" in report.broken[4], "no cell moves to the left"
    assert "line 2 and line 6 are the same face" in report.remarks[0]
    with pytest.raises(UsageError, match="has no split 'test'"):
        load_records(f"hrnet:{hrnet(tmp_path, [good])}", "test")
    path.write_text("image,x0,y0\n")
    with pytest.raises(FiduciaError, match="begins with image, x0, y0; expected image_name, scale"):
        load_records(f"hrnet:{path}", "all")


@pytest.mark.shared
def test_the_real_faces_of_aflw2000_and_merl_and_lapa(shared_data: Path, tmp_path: Path) -> None:
    real_merl(shared_data, tmp_path / "merl")
    real_lapa(shared_data, tmp_path / "lapa")
    counts = {
        f"aflw2000:{shared_data / 'aflw2000_sample'}": 16,
        f"merl:{tmp_path / 'merl'}": 2,
        f"lapa:{tmp_path / 'lapa'}": 2,
    }
    for source, faces in counts.items():
        report = check(source)
        assert report.ok
        assert (report.faces, report.outside) == (faces, 0)
    (record,) = load_records(f"merl:{tmp_path / 'merl'}", "test")
    assert record.visible[:3].tolist() == [1, 1, 2]
    np.testing.assert_allclose(record.xy[0], [300.7857142857143, 256.8571428571429], atol=1e-9)
