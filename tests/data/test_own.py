from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from w300_faces import add_face

from fiducia.data.check import check
from fiducia.data.formats.coco import read_coco, write_coco
from fiducia.data.formats.csv_table import read_csv, write_csv
from fiducia.data.formats.folder import read_folder, write_folder
from fiducia.data.formats.pts import write_pts
from fiducia.data.source import carve, label_writers, load_records
from fiducia.errors import FiduciaError, UsageError
from fiducia.structures import Record

WAYS = [pytest.param(write_coco, read_coco, "f.json", id="coco"), pytest.param(write_csv, read_csv, "f.csv", id="csv")]
Write = Callable[[Path, list[Record]], None]
Read = Callable[..., list[Record]]


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", np.full((30, 40, 3), 7, np.uint8))[1].tobytes())
    return path


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return picture(tmp_path_factory.mktemp("photos") / "sub" / "a face, with a comma.png")


numbers = st.floats(-1e6, 1e6, allow_nan=False)
points = st.lists(
    st.one_of(st.just((np.nan, np.nan, 0)), st.tuples(numbers, numbers, st.sampled_from([1, 2]))),
    min_size=5,
    max_size=5,
)
sides = st.floats(0.5, 1e6)
boxes = st.builds(lambda x, y, w, h: (x, y, x + w, y + h), numbers, numbers, sides, sides)
tags = st.fixed_dictionaries(
    {"id": st.sampled_from(["a", "b/c", "äö"]), "photo": st.just("p")},
    optional={"part": st.just("x/y"), "pose": st.booleans(), "yaw": numbers},
)


@pytest.mark.parametrize(("write", "read", "name"), WAYS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(faces=st.lists(st.tuples(points, st.one_of(st.none(), boxes), tags), min_size=1, max_size=3))
def test_writing_and_reading_loses_nothing(
    tmp_path: Path, photo: Path, write: Write, read: Read, name: str, faces: list
) -> None:
    records = [
        Record(
            image=photo,
            xy=np.array(p)[:, :2],
            visible=np.array(p)[:, 2].astype(np.int8),
            scheme="five",
            box=None if box is None else np.array(box),
            tags=given_tags,
        )
        for p, box, given_tags in faces
    ]
    write(tmp_path / name, records)
    again = read(str(tmp_path / name), "all")
    assert len(again) == len(records)
    for a, b in zip(records, again, strict=True):
        assert np.array_equal(a.xy, b.xy, equal_nan=True)
        assert a.visible.tolist() == b.visible.tolist()
        assert (a.box is None and b.box is None) or np.array_equal(a.box, b.box)
        assert a.scheme == b.scheme
        assert dict(a.tags) == dict(b.tags)
        assert b.image.resolve() == photo.resolve()


def test_coco_as_others_write_it(tmp_path: Path) -> None:
    image = {"id": 9, "file_name": "a/b.png", "split": "test"}
    face = {
        "id": 1,
        "image_id": 9,
        "keypoints": [1, 2, 2, 3, 4, 1, 0, 0, 0, 7, 8, 2.0, 9, 9, 2],
        "bbox": [10, 20, 5, 6],
    }
    other = {"id": 2, "image_id": 9, "bbox": [0, 0, 1, 1]}
    path = tmp_path / "f.json"
    path.write_text(json.dumps({"images": [image], "annotations": [face, other], "categories": []}))
    (record,) = read_coco(str(path), "test")
    assert record.image == tmp_path / "a" / "b.png"
    assert record.scheme == "five"
    assert record.visible.tolist() == [2, 1, 0, 2, 2]
    assert np.isnan(record.xy[2]).all()
    assert record.xy[1].tolist() == [3.0, 4.0]
    assert record.box is not None
    assert record.box.tolist() == [10.0, 20.0, 15.0, 26.0]
    assert record.tags == {"id": "a/b", "photo": "a/b", "split": "test"}


def test_csv_by_hand(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text('names = ["nose", "chin"]\nmirror = []\n')
    path = tmp_path / "f.csv"
    path.write_text("image;nose_x;nose_y;chin_x;chin_y\nb.png;1.5;2;3;4\nb.png;5;6;;\nc.png;1;1;2;2\n")
    records = load_records(f"csv:{path}", "train", str(tmp_path / "own.toml"))
    assert [r.id for r in records] == ["b_1", "b_2", "c"]
    assert [r.tags["photo"] for r in records] == ["b", "b", "c"]
    assert records[0].xy.tolist() == [[1.5, 2.0], [3.0, 4.0]]
    assert records[1].visible.tolist() == [2, 0]
    assert records[0].scheme == str(tmp_path / "own.toml")


def test_splits_are_the_files_own_and_never_a_test_set_by_accident(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    header = "image,split," + ",".join(f"x{i},y{i}" for i in range(5))
    path.write_text(f"{header}\na.png,train,{','.join('12345' * 2)}\nb.png,test,{','.join('12345' * 2)}\n")
    assert [r.id for r in read_csv(str(path), "test")] == ["b"]
    assert [r.id for r in read_csv(str(path), "train")] == ["a"]
    assert len(read_csv(str(path), "all")) == 2
    with pytest.raises(UsageError, match=r"no split 'val'; its splits are test, train"):
        read_csv(str(path), "val")
    path.write_text(path.read_text().replace(",train,", ",,").replace(",test,", ",,"))
    assert len(read_csv(str(path), "train")) == 2
    with pytest.raises(UsageError, match="names no splits; use --split all"):
        read_csv(str(path), "test")


def test_own_points_are_converted_where_they_can_be(tmp_path: Path) -> None:
    add_face(tmp_path, "a")
    assert load_records(f"pts:{tmp_path}", "train", "five")[0].xy.shape == (5, 2)
    with pytest.raises(UsageError, match="ibug68 cannot be converted to cofw29"):
        load_records(f"pts:{tmp_path}", "train", "cofw29")


def test_an_unknown_number_of_points_asks_for_a_scheme(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    write_pts(tmp_path / "a.pts", np.zeros((7, 2)))
    with pytest.raises(UsageError, match=r"7 points a face found; .*scheme file"):
        read_folder(str(tmp_path))
    (tmp_path / "own.toml").write_text("points = 7\nmirror = []\n")
    assert load_records(f"pts:{tmp_path}", "all", str(tmp_path / "own.toml"))[0].xy.shape == (7, 2)


def test_a_folder_of_several_faces_a_photograph(tmp_path: Path) -> None:
    for name in ("group_1", "group_2", "group_10"):
        add_face(tmp_path, "x/group", points=f"x/{name}")
    add_face(tmp_path, "x/v1.2 final")
    records = read_folder(str(tmp_path))
    assert [r.id for r in records] == ["x/group_1", "x/group_10", "x/group_2", "x/v1.2 final"]
    assert [r.tags["photo"] for r in records] == ["x/group"] * 3 + ["x/v1.2 final"]
    training, validation = carve(records, 0.3, 1)
    assert sorted([len(training), len(validation)]) == [1, 3]


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(FiduciaError, match=r"no face found; expected photographs with a \.pts file"):
        read_folder(str(tmp_path))
    add_face(tmp_path, "a")
    add_face(tmp_path, "b")
    write_pts(tmp_path / "b.pts", np.zeros((5, 2)))
    with pytest.raises(FiduciaError, match=r"b\.pts: 5 points found, 68 expected"):
        read_folder(str(tmp_path))
    (tmp_path / "c.pts").write_text("")
    report = check(f"pts:{tmp_path}")
    assert [Path(line.split(": ")[0]).name for line in report.broken] == ["b.pts", "c.pts"]
    assert report.faces == 1


def test_a_written_folder_reads_back(tmp_path: Path) -> None:
    add_face(tmp_path / "in", "x/a")
    add_face(tmp_path / "in", "b", ".png")
    records = read_folder(str(tmp_path / "in"))
    write_folder(tmp_path / "out", records)
    again = read_folder(str(tmp_path / "out"))
    assert [r.id for r in again] == [r.id for r in records] == ["b", "x/a"]
    assert all((a.xy == b.xy).all() for a, b in zip(records, again, strict=True))
    assert (tmp_path / "out" / "x" / "a.jpg").read_bytes() == (tmp_path / "in" / "x" / "a.jpg").read_bytes()


def test_a_face_is_never_written_outside_the_folder(tmp_path: Path) -> None:
    add_face(tmp_path / "in", "a")
    (record,) = read_folder(str(tmp_path / "in"))
    evil = Record(image=record.image, xy=record.xy, visible=record.visible, scheme="ibug68", tags={"id": "../../evil"})
    with pytest.raises(UsageError, match="outside of it"):
        write_folder(tmp_path / "out", [evil])
    assert not list(tmp_path.rglob("evil*"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column image"),
        ("file,x0,y0\na.png,1,2\n", "no column image"),
        ("image,a,b\na.png,1,2\n", "no columns x0, y0"),
        ("image,x0,y0\n", "holds no face"),
        ("image,x1,y1\na.png,1,2\n", "the column x0 is missing"),
        ("image,x0\na.png,1\n", "the column y0 is missing"),
        ("image,x0,y0\na.png,1,two\n", "line 2: y0 is 'two'"),
        ("image,x0,y0\na.png,1,nan\n", "line 2: y0 is 'nan'"),
        ("image,x0,y0\na.png,1,\n", "line 2: point 0 has only one of x0 and y0"),
        ("image,x0,y0\na.png,1\n", "line 2: is cut short before column y0"),
        ("image,x0,y0\na.png,1,2,3\n", "line 2: more cells than the 3 columns"),
        ("image,x0,y0,v0\na.png,1,2,5\n", "line 2: v0 is '5'"),
        ("image,x0,y0,v0\na.png,,,2\n", "line 2: a point without x and y"),
        ("image,x0,y0,box_x1,box_y1,box_x2,box_y2\na.png,1,2,3,4,5,\n", "line 2: a box is four numbers"),
        ("image,x0,y0,scheme\na.png,1,2,ibug68\n", "1 points found, but ibug68 has 68"),
        ("image,x0,y0,scheme\na.png,1,2,mine\n", "says that it is in 'mine'"),
        ("image,x0,y0,tags\na.png,1,2,{\n", "tags is '{'; expected a JSON object"),
    ],
)
def test_a_broken_table_is_one_line_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "f.csv"
    path.write_text(text)
    one = tmp_path / "one.toml"
    one.write_text("points = 1\nmirror = []\n")
    scheme = None if "scheme" in text else str(one)
    with pytest.raises(FiduciaError) as error:
        read_csv(str(path), "all", scheme)
    assert message in str(error.value)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: "{", "cannot be read as JSON"),
        (lambda t: "[]", "expected images and annotations"),
        (lambda t: json.dumps({**t, "images": []}), "is missing"),
        (lambda t: json.dumps({**t, "annotations": []}), "no annotation has keypoints"),
        (lambda t: json.dumps(t).replace("[1, 2, 2,", "[1, 2, 2, 0, 0, 0,"), "no known landmark set"),
        (lambda t: json.dumps(t).replace("[1, 2, 2,", "[1, 2, 7,"), "v of 0, 1 or 2"),
        (lambda t: json.dumps(t).replace("[1, 2, 2,", "[NaN, 2, 2,"), "finite"),
        (lambda t: json.dumps(t).replace("[1, 2, 2,", '["a", 2, 2,'), 'keypoints[0] is "a"; expected a number'),
        (
            lambda t: json.dumps({**t, "annotations": [{**t["annotations"][0], "bbox": [1]}]}),
            "bbox holds 1 numbers; expected 4",
        ),
    ],
)
def test_a_broken_json_is_one_line_with_its_name(tmp_path: Path, change: Callable, message: str) -> None:
    face = {"id": 3, "image_id": 1, "keypoints": [1, 2, 2, *[5, 5, 2] * 4]}
    path = tmp_path / "f.json"
    path.write_text(change({"images": [{"id": 1, "file_name": "a.png"}], "annotations": [face]}))
    with pytest.raises(FiduciaError) as error:
        read_coco(str(path))
    assert message in str(error.value)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_mixed_landmark_sets_are_not_written(tmp_path: Path, photo: Path) -> None:
    def face(scheme: str, k: int) -> Record:
        return Record(image=photo, xy=np.ones((k, 2)), visible=np.full(k, 2, np.int8), scheme=scheme)

    for write in (write_coco, write_csv):
        with pytest.raises(FiduciaError, match="one landmark set; found cofw29, five"):
            write(tmp_path / "x", [face("five", 5), face("cofw29", 29)])
        with pytest.raises(FiduciaError, match="no face"):
            write(tmp_path / "x", [])
    assert not (tmp_path / "x").exists()


@pytest.mark.shared
@pytest.mark.parametrize(("name", "scheme", "faces"), [("300w", "ibug68", 2), ("wflw", "wflw98", 4), ("cofw", "cofw29", 2),
                                                       ("aflw", "aflw19", 2), ("lapa", "lapa106", 2)])  # fmt: skip
def test_published_coco_files(shared_data: Path, name: str, scheme: str, faces: int) -> None:
    file = shared_data / "coco_style" / name / f"test_{name}.json"
    records = load_records(f"coco:{file}", "all")
    assert len(records) == faces
    assert {r.scheme for r in records} == {scheme}
    report = check(f"coco:{file}")
    assert report.ok
    assert report.outside == 0
    for record in records:
        # Read as x y w h, the box's middle lies among the points; taken for x1 y1 x2 y2 it would not.
        assert record.box is not None
        middle = (record.box[:2] + record.box[2:]) / 2
        assert (record.xy.min(axis=0) < middle).all()
        assert (middle < record.xy.max(axis=0)).all()


@pytest.mark.shared
def test_untouched_afw_photographs_with_many_faces(shared_data: Path, tmp_path: Path) -> None:
    records = load_records(f"pts:{shared_data / 'multi_face'}", "all")
    assert len(records) == 41
    assert len({r.tags["photo"] for r in records}) == 5
    shutil.copytree(shared_data / "multi_face", tmp_path / "m")
    write_coco(tmp_path / "m" / "all.json", read_folder(str(tmp_path / "m")))
    again = load_records(f"coco:{tmp_path / 'm' / 'all.json'}", "all")
    assert [r.id for r in again] == [r.id for r in records]
    assert all((a.xy == b.xy).all() for a, b in zip(records, again, strict=True))


@pytest.mark.parametrize("form", ["csv", "coco", "pts"])
def test_points_that_stand_for_absent_ones_are_told(form: str, tmp_path: Path) -> None:
    """Many programs write (0, 0) or (-1, -1) for a point that is not there; as labels they would spoil the face's crop."""
    picture(tmp_path / "a.png")
    xy = np.array([[20.0, 20], [40, 20], [30, 30], [22, 38], [38, 38]])
    for at, shown in ((-2.0, "(-2, -2)"), (0.0, "(0, 0)"), (None, "")):
        points = xy if at is None else np.concatenate([xy[:4], [[at, at]]])
        face = Record(
            image=tmp_path / "a.png", xy=points, visible=np.full(5, 2, np.int8), scheme="five", tags={"id": "a"}
        )
        path = tmp_path / f"{form}_{at}"
        label_writers[form](path, [face])
        told = [line for line in load_records(f"{form}:{path}", "all").remarks if "stand for absent" in line]
        assert len(told) == (at is not None)
        assert all(
            f"1 face with points at exactly {shown}" in line and line.endswith("the first is a") for line in told
        )
        assert all(check(f"{form}:{path}").ok for _ in told)
