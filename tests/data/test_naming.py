"""Points mean what their names say; what a file does not say is assumed aloud, or refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from benchmark_files import photograph
from hypothesis import given
from hypothesis import strategies as st

from fiducia.data.check import check
from fiducia.data.formats.coco import write_coco
from fiducia.data.formats.csv_table import write_csv
from fiducia.data.formats.cvat import write_cvat
from fiducia.data.naming import assumed, meaning, tidy_name
from fiducia.data.source import load_records
from fiducia.errors import FiduciaError, UsageError
from fiducia.schemes.sets import former_names, get_scheme, scheme_names
from fiducia.structures import Record

FIVE = list(get_scheme("five").names)
SHORT = ["right_eye", "left_eye", "nose", "right_mouth", "left_mouth"]
PLACES = np.array([[10.0, 10], [30, 10], [20, 20], [12, 30], [28, 30]])
"""Where the five points are, in the order of the landmark set."""


def write_named(form: str, folder: Path, names: Sequence[str], places: np.ndarray) -> str:
    """Write one face with named points as other tools do, and return the source."""
    photograph(folder / "a.png")
    path = folder / f"faces.{form}"
    if form == "coco":
        flat = [v for x, y in places.tolist() for v in (x, y, 2)]
        annotation = {"id": 1, "image_id": 1, "category_id": 4, "keypoints": flat, "num_keypoints": len(places)}
        category = {"id": 4, "name": "face", "keypoints": list(names)}
        images = [{"id": 1, "file_name": "a.png", "width": 60, "height": 40}]
        path.write_text(json.dumps({"images": images, "annotations": [annotation], "categories": [category]}))
    elif form == "csv":
        header = ",".join(f"{name}_x,{name}_y" for name in names)
        path.write_text(f"image,{header}\na.png,{','.join(map(str, places.ravel().tolist()))}\n")
    else:
        points = "".join(
            f'<points label="{name}" points="{x},{y}"/>' for name, (x, y) in zip(names, places.tolist(), strict=True)
        )
        path.write_text(
            f'<annotations><image id="0" name="a.png"><skeleton label="face">{points}</skeleton></image></annotations>'
        )
    return f"{form}:{path}"


@pytest.mark.parametrize("scheme", [None, "five"])
@pytest.mark.parametrize("form", ["coco", "csv", "cvat"])
def test_points_are_mapped_by_name_whatever_their_order(form: str, scheme: str | None, tmp_path: Path) -> None:
    order = [4, 2, 1, 3, 0]
    source = write_named(form, tmp_path, [FIVE[i] for i in order], PLACES[order])
    records = load_records(source, "all", scheme)
    np.testing.assert_array_equal(records[0].xy, PLACES)
    assert records[0].scheme == "five"
    assert records.remarks == []


@pytest.mark.parametrize("form", ["coco", "csv", "cvat"])
def test_names_that_are_alike_are_mapped_and_told(form: str, tmp_path: Path) -> None:
    order = [4, 2, 1, 3, 0]
    source = write_named(form, tmp_path, [SHORT[i] for i in order], PLACES[order])
    records = load_records(source, "all", "five")
    np.testing.assert_array_equal(records[0].xy, PLACES)
    assert "right_eye = right_eye_centre, left_eye = left_eye_centre, nose = nose_tip" in records.remarks[0]


@pytest.mark.parametrize("scheme", [None, "five"])
@pytest.mark.parametrize("form", ["coco", "csv", "cvat"])
def test_other_names_are_refused_with_the_names(form: str, scheme: str | None, tmp_path: Path) -> None:
    source = write_named(form, tmp_path, ["ear", "horn", "nostril", "chin", "tongue"], PLACES)
    with pytest.raises(FiduciaError, match=r"called ear, horn, nostril, chin, tongue.*--scheme none"):
        load_records(source, "all", scheme)
    records = load_records(source, "all", "none")
    np.testing.assert_array_equal(records[0].xy, PLACES)
    assert records[0].scheme == "none:5"
    assert check(source).kinds()[0]["kind"] == "names"


@pytest.mark.parametrize("form", ["coco", "csv", "cvat"])
def test_a_mixture_is_refused_by_what_is_odd_and_what_is_missing(form: str, tmp_path: Path) -> None:
    source = write_named(form, tmp_path, [*FIVE[:3], "horn", "chin"], PLACES)
    with pytest.raises(
        FiduciaError, match="3 of the 5 are names of five: it has no horn, chin, and lacks right_mouth_corner"
    ):
        load_records(source, "all", "five")


@pytest.mark.parametrize("form", ["coco", "csv", "cvat"])
def test_an_own_set_is_mapped_by_its_own_names(form: str, tmp_path: Path) -> None:
    scheme = tmp_path / "muzzle.toml"
    scheme.write_text('names = ["right_ear", "left_ear", "nose"]\nmirror = [["right_ear", "left_ear"]]\n')
    source = write_named(form, tmp_path, ["Nose", "Left Ear", "right-ear"], PLACES[:3])
    (record,) = load_records(source, "all", str(scheme))
    np.testing.assert_array_equal(record.xy, PLACES[[2, 1, 0]])
    assert record.scheme == str(scheme)


def test_numbers_are_no_names_but_give_the_order(tmp_path: Path) -> None:
    for prefix, first in (("p", 0), ("kp_", 1), ("point ", 0), ("", 1)):
        names = [f"{prefix}{first + i}" for i in (4, 2, 1, 3, 0)]
        source = write_named("coco", tmp_path, names, PLACES[[4, 2, 1, 3, 0]])
        records = load_records(source, "all")
        np.testing.assert_array_equal(records[0].xy, PLACES)
        assert "taken for five and its mirror pairs (0 = right_eye_centre" in records.remarks[0]


@given(scheme=st.sampled_from(scheme_names()), data=st.data())
def test_every_set_is_found_by_its_names_in_any_order(scheme: str, data: st.DataObject) -> None:
    names = get_scheme(scheme).names
    order = data.draw(st.permutations(range(len(names))))
    found = meaning("f", len(names), [names[i].upper().replace("_", "-") for i in order])
    assert (found.scheme, found.how, found.renamed) == (scheme, "names", ())
    assert [order[i] for i in found.order] == list(range(len(names)))


@pytest.mark.parametrize("scheme", ["ibug68", "wflw98", "lapa106"])
def test_a_file_with_the_names_of_version_0_1_is_read_without_a_word(scheme: str) -> None:
    names = former_names(scheme)
    assert names is not None
    found = meaning("f", len(names), names[::-1])
    assert (found.scheme, found.how, found.renamed) == (scheme, "names", ())
    assert found.order == tuple(reversed(range(len(names))))


def test_what_is_assumed_is_said_and_what_was_said_is_not() -> None:
    line = assumed("f.csv", meaning("f.csv", 68))
    assert line is not None
    assert "its 68 points are taken for ibug68" in line
    assert "confirm with --scheme ibug68, or take bare points with --scheme none" in line
    assert assumed("f.csv", meaning("f.csv", 68, None, "ibug68")) is None
    assert assumed("f.csv", meaning("f.csv", 68, None, None, "ibug68")) is None


def test_a_contradiction_between_name_and_number_is_refused() -> None:
    with pytest.raises(FiduciaError, match="68 points found, but five has 5"):
        meaning("f", 68, None, None, "five")
    with pytest.raises(FiduciaError, match="names 5 points, but its faces have 6"):
        meaning("f", 6, FIVE)
    with pytest.raises(FiduciaError, match="'nose_tip' stands twice"):
        meaning("f", 5, [*FIVE[:4], "nose_tip"])
    with pytest.raises(UsageError, match="none:7 asked for"):
        meaning("f", 5, None, "none:7")
    with pytest.raises(UsageError, match=r"7 points a face found.*docs/schemes\.md"):
        meaning("f", 7)


def test_tidy_names() -> None:
    assert [tidy_name(n) for n in ("leftEyeOuter", " Left  Eye-outer ", "LEFT.EYE.OUTER")] == ["left_eye_outer"] * 3


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("image,x0,y0,nose_x,nose_y", "has columns by number .x0. and by name .nose_x.; use one kind"),
        ("image,nose_x,nose_y,chin_x", "the column chin_y is missing of 2 points"),
        ("image,x0,y0,x0,y0", "the column 'x0' stands twice"),
        ("image,x0,y0,x2,y2", "the column x1 is missing"),
    ],
)
def test_headers_that_cannot_be_meant(header: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_text(f"{header}\na.png{',1' * header.count(',')}\n")
    with pytest.raises(FiduciaError, match=message):
        load_records(f"csv:{path}", "all", "none")


@pytest.mark.parametrize("form", ["coco", "csv", "cvat"])
def test_an_own_scheme_file_is_found_again_from_the_label_file(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sets").mkdir()
    Path("sets/own.toml").write_text('names = ["right", "left", "top"]\nmirror = [[0, 1]]\n')
    image = photograph(tmp_path / "photos" / "a.png")
    record = Record(image=image, xy=PLACES[:3], visible=np.full(3, 2, np.int8), scheme="sets/own.toml")
    (tmp_path / "labels").mkdir()
    path = tmp_path / "labels" / "faces"
    {"coco": write_coco, "csv": write_csv, "cvat": write_cvat}[form](path, [record])
    monkeypatch.chdir("/")
    (again,) = load_records(f"{form}:{path}", "all")
    assert Path(again.scheme).resolve() == tmp_path / "sets" / "own.toml"
    np.testing.assert_array_equal(again.xy, record.xy)
