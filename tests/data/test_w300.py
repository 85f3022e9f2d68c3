from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest
from w300_faces import add_face

from fiducia.data.readers.w300 import read_w300
from fiducia.data.source import carve, describe_datasets, exclude, load_records
from fiducia.errors import FiduciaError, UsageError
from fiducia.schemes.sets import get_scheme

RECIPES = Path(__file__).resolve().parents[2] / "recipes"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, suffix in (
        ("afw/134212_1", ".jpg"),
        ("afw/134212_2", ".JPG"),
        ("helen/trainset/100_1", ".jpg"),
        ("helen/testset/200_1", ".jpg"),
        ("lfpw/trainset/image_0001", ".png"),
        ("lfpw/trainset/image_0002", ".PNG"),
        ("lfpw/testset/image_0001", ".png"),
        ("ibug/image_003_1", ".jpg"),
    ):
        add_face(tmp_path, name, suffix)
    add_face(tmp_path, "ibug/image_092 _01", ".jpg")
    return tmp_path


def ids(root: Path, split: str) -> list[str]:
    return [record.id for record in load_records(f"300w:{root}", split)]


def test_splits_are_the_parts_that_everybody_uses(root: Path) -> None:
    assert ids(root, "train") == [
        "afw/134212_1",
        "afw/134212_2",
        "helen/trainset/100_1",
        "lfpw/trainset/image_0001",
        "lfpw/trainset/image_0002",
    ]
    assert ids(root, "common") == ["helen/testset/200_1", "lfpw/testset/image_0001"]
    assert ids(root, "challenge") == ["ibug/image_003_1", "ibug/image_092_01"]
    assert ids(root, "full") == ids(root, "common") + ids(root, "challenge")
    assert ids(root, "lfpw/testset") == ["lfpw/testset/image_0001"]


def test_a_record_says_where_it_comes_from(root: Path) -> None:
    record = load_records(f"300w:{root}", "train")[1]
    assert record.image == root / "afw" / "134212_2.JPG"
    tags = {"id": "afw/134212_2", "part": "afw", "collection": "afw", "photo": "afw/134212"}
    assert record.tags == tags
    assert record.scheme == "ibug68"
    assert record.xy.dtype == np.float64
    assert record.xy[3].tolist() == [3.0, 3.0]
    assert record.visible.tolist() == [2] * 68
    assert record.box is None


def test_faces_of_one_photograph_share_it_and_others_do_not(root: Path) -> None:
    photo = {record.id: record.tags["photo"] for split in ("train", "full") for record in read_w300(str(root), split)}
    assert photo["afw/134212_1"] == photo["afw/134212_2"]
    assert photo["lfpw/trainset/image_0001"] != photo["lfpw/trainset/image_0002"]
    assert photo["lfpw/trainset/image_0001"] != photo["lfpw/testset/image_0001"]


def test_the_stray_blank_may_be_in_one_name_only(tmp_path: Path) -> None:
    add_face(tmp_path, "ibug/image_092 _01", points="ibug/image_092_01")
    assert ids(tmp_path, "challenge") == ["ibug/image_092_01"]


def test_absent_parts_are_no_error_but_an_absent_split_is(root: Path) -> None:
    for path in (root / "ibug").iterdir():
        path.unlink()
    assert len(ids(root, "full")) == 2
    with pytest.raises(FiduciaError, match=r"no face of split 'challenge'; looked for ibug .*https://"):
        ids(root, "challenge")


def test_a_wrong_root_says_what_was_looked_for_and_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(FiduciaError, match=r"none: no such file or folder; expected the folders afw"):
        load_records(f"300w:{tmp_path / 'none'}", "train")
    (tmp_path / "photos").mkdir()
    with pytest.raises(FiduciaError, match=r"looked for afw, helen/trainset, lfpw/trainset .* found photos; fetch"):
        load_records(f"300w:{tmp_path}", "train")
    with pytest.raises(UsageError, match="300w:PATH"):
        load_records("300w:", "train")


def test_a_broken_file_stops_the_reading_by_name(root: Path) -> None:
    broken = root / "lfpw" / "testset" / "image_0001.pts"
    broken.write_text("version: 1\nn_points: 68\n{\n1 1\n}\n")
    with pytest.raises(FiduciaError, match=r"image_0001\.pts: n_points says 68, but 1 were found"):
        load_records(f"300w:{root}", "common")


def test_the_official_counts_are_told() -> None:
    row = next(row for row in describe_datasets() if row["name"] == "300w")
    assert row["faces"] == "train 3148, common 554, challenge 135, full 689"
    assert "research" in row["licence"]


@pytest.mark.shared
def test_the_real_faces(shared_data: Path) -> None:
    source = f"300w:{shared_data / '300w'}"
    counts = {p: len(load_records(source, p)) for p in ("afw", "helen/trainset", "lfpw/trainset", "lfpw/testset")}
    assert counts == {"afw": 337, "helen/trainset": 870, "lfpw/trainset": 805, "lfpw/testset": 224}
    records = load_records(source, "train")
    assert len({record.id for record in records}) == len(records) == 2012
    patterns = tomllib.loads((RECIPES / "fifa_tiny.toml").read_text())["data"]["exclude"]
    kept = exclude(records, patterns)
    assert len(kept) == 1968
    training, validation = carve(kept, 0.08, 0)
    assert len(training) + len(validation) == 1968
    assert abs(len(validation) - 0.08 * 1968) <= 5
    assert not {r.tags["photo"] for r in training} & {r.tags["photo"] for r in validation}


@pytest.mark.shared
def test_the_mirror_maps_the_mean_face_onto_itself(shared_data: Path) -> None:
    shapes = np.stack([record.xy for record in load_records(f"300w:{shared_data / '300w'}", "lfpw/testset")])
    shapes = shapes - shapes.mean(axis=1, keepdims=True)
    mean = (shapes / np.linalg.norm(shapes, axis=(1, 2), keepdims=True)).mean(axis=0)
    mirrored = (mean * [-1.0, 1.0])[list(get_scheme("ibug68").mirror)]
    between_eyes = np.linalg.norm(mean[36] - mean[45])
    assert np.linalg.norm(mean - mirrored, axis=1).max() < 0.1 * between_eyes
