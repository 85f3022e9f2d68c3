from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiducia.data.formats.folder import write_folder
from fiducia.data.formats.pts import parse_pts, pts_text, read_pts, write_pts
from fiducia.errors import FiduciaError
from fiducia.images import write_image
from fiducia.structures import Record

HEADERED = "version: 1\nn_points:  3\n{\n1 1\n2.5 3\n-0.25 1e2\n}\n"
POINTS = [[0.0, 0.0], [1.5, 2.0], [-1.25, 99.0]]


@pytest.mark.parametrize(
    "text",
    [
        HEADERED,
        "version:1\nn_points:3\n{\n1 1\n2.5 3\n-0.25 1e2\n}",
        "version : 1\nn_points : 3 {\n1 1\n2.5 3\n-0.25 1e2}",
        "Version: 1.0\r\nN_Points: 3\r\n{\r\n  1\t1 \r\n2.5   3\r\n\r\n-0.25 100\r\n}\r\n",
        "1 1\n2.5 3\n-0.25 100",
        "# drawn by hand\n1, 1\n\n2.5, 3 // nose\n-0.25, 100\n\n",
        "\ufeffversion: 1\nn_points: 3\n{\n1 1\n2.5 3\n-0.25 100\n}\n".removeprefix("\ufeff"),
    ],
)
def test_every_spelling_gives_the_same_points_counted_from_zero(text: str) -> None:
    assert parse_pts(text).tolist() == POINTS


def test_a_byte_order_mark_is_no_word(tmp_path: Path) -> None:
    path = tmp_path / "bom.pts"
    path.write_text(HEADERED, encoding="utf-8-sig")
    assert read_pts(path).tolist() == POINTS


def test_written_files_count_from_one_below_a_header(tmp_path: Path) -> None:
    path = tmp_path / "new" / "face.pts"
    write_pts(path, [[0.0, 0.5], [9.25, -1.0]])
    assert path.read_text() == "version: 1\nn_points: 2\n{\n1.0 1.5\n10.25 0.0\n}\n"


@given(st.lists(st.tuples(*[st.floats(-9e6, 9e6)] * 2), min_size=1, max_size=5))
def test_writing_and_reading_loses_nothing(points: list[tuple[float, float]]) -> None:
    assert (parse_pts(pts_text(points)) == np.array(points)).all()


@pytest.mark.parametrize(
    ("text", "expected", "message"),
    [
        ("version: 1\nn_points: 68\n{\n" + "1 2\n" * 67 + "}\n", 68, "n_points says 68, but 67 were found"),
        ("version: 1\nn_points: 3\n{\n" + "1 2\n" * 3 + "}\n", 68, "3 points found, 68 expected"),
        ("1 2\n" * 67, 68, "67 points found, 68 expected"),
        ("version: 1\nn_points: many\n{\n1 2\n}\n", None, "n_points: and a whole number"),
        ("1 2\nnan 3\n", None, "line 2 is 'nan 3'; expected two finite numbers"),
        ("1 2\n3 -inf\n", None, "line 2 is '3 -inf'"),
        ("1 2\n1e999 3\n", None, "line 2"),
        ("1 2\n1e-99999999999999999999 3\n1e99999999999999999999 3\n", None, "line 2"),
        (f"1 2\n{'9' * 400} 3\n", None, "line 2 is '999"),
        ("1 2\n2_000 3\n", None, "line 2 is '2_000 3'"),
        ("1 2\n٣ ٤\n", None, "line 2 is '٣ ٤'"),
        ("1,5 2,25\n", None, "are these decimal commas?"),
        ("version: 1\nn_points: ²\n{\n1 2\n}\n", None, "n_points: and a whole number"),
        ("1 2\nleft eye\n", None, "line 2 is 'left eye'"),
        ("1 2 3\n", None, "line 1 is '1 2 3'; expected two numbers"),
        ("1\n2\n", None, "line 1 is '1'"),
        ("", 68, "holds no points; expected 68 lines"),
        ("version: 1\nn_points: 68\n{\n}\n", None, "holds no points; expected 68 lines"),
        ("version: 1\nn_points: 0\n{\n}\n", None, "holds no points"),
    ],
)
def test_a_broken_file_is_one_line_with_its_name(tmp_path: Path, text: str, expected: int | None, message: str) -> None:
    path = tmp_path / "broken.pts"
    path.write_text(text)
    with pytest.raises(FiduciaError) as error:
        read_pts(path, expected)
    assert message in str(error.value)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_missing_and_binary_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FiduciaError, match=r"none\.pts: no such file"):
        read_pts(tmp_path / "none.pts")
    (tmp_path / "image.pts").write_bytes(b"\xff\xd8\xff\xe0 jpeg")
    with pytest.raises(FiduciaError, match=r"image\.pts: line 1, byte 1 holds the byte 0xff, which is not UTF-8"):
        read_pts(tmp_path / "image.pts")
    with pytest.raises(FiduciaError, match="is a folder"):
        read_pts(tmp_path)


def test_an_unlabelled_point_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(FiduciaError, match="unlabelled point 1"):
        write_pts(tmp_path / "x.pts", [[0.0, 0.0], [np.nan, np.nan]])
    assert not (tmp_path / "x.pts").exists()


@pytest.mark.shared
def test_files_as_found_in_the_wild(shared_data: Path) -> None:
    # One face, in a crop with a header and in the whole photograph without: the same shape at another place.
    bare = read_pts(shared_data / "pts_bare" / "1051618982_1.pts", 68)
    headered = read_pts(shared_data / "300w" / "afw" / "1051618982_1.pts", 68)
    assert bare[0].tolist() == [481.866335, 267.009351]
    assert headered[0].tolist() == [136.866335, 177.009351]
    # provenance.csv: the crop begins at column 345 and row 90, unscaled.
    assert np.abs(bare - headered - [345.0, 90.0]).max() < 1e-9


def test_a_folder_of_points_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", np.zeros((40, 60, 3), np.uint8))
    whole = Record(
        image=tmp_path / "a.png",
        xy=np.arange(10.0).reshape(5, 2),
        visible=np.full(5, 2, np.int8),
        scheme="five",
        tags={"id": "a_1", "photo": "a"},
    )
    absent = replace(whole, xy=np.where(np.arange(10).reshape(5, 2) < 2, np.nan, whole.xy), tags={"id": "a_2"})
    for second, says in (
        (absent, r"a_2: \.pts cannot hold the unlabelled point 0"),
        (replace(whole, tags={"id": "../b", "photo": "a"}), r"'\.\./b' would be written outside"),
    ):
        with pytest.raises(FiduciaError, match=says):
            write_folder(tmp_path / "out", [whole, second])
        assert not (tmp_path / "out").exists()
