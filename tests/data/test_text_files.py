"""Label files from other systems: byte-order marks, line ends, separators, encodings, paths with backslashes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from benchmark_files import photograph, wflw_line, write_wflw

from fiducia.data.check import check
from fiducia.data.formats.coco import write_coco
from fiducia.data.formats.csv_table import write_csv
from fiducia.data.formats.cvat import write_cvat
from fiducia.data.formats.folder import write_folder
from fiducia.data.source import load_records
from fiducia.errors import FiduciaError
from fiducia.structures import Record
from fiducia.text import decode_text, read_text

BOM = b"\xef\xbb\xbf"
XY = np.array([[10.0, 10], [30, 10], [20, 20], [12, 30], [28, 30]])


def record(image: Path) -> Record:
    return Record(image=photograph(image), xy=XY, visible=np.full(5, 2, np.int8), scheme="five", tags={"id": "a"})


def as_folder(path: Path, records: list[Record]) -> None:
    write_folder(path.parent / "pts", records)


FORMS: dict[str, tuple[Callable[..., None], str, str]] = {
    "coco": (write_coco, "f.json", "f.json"),
    "csv": (write_csv, "f.csv", "f.csv"),
    "cvat": (write_cvat, "f.xml", "f.xml"),
    "pts": (as_folder, "pts", "pts/a.pts"),
}
"""Format → its writer, what is read, and the text file in it."""


@pytest.fixture(params=FORMS)
def written(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """A source with one face, and its text file."""
    write, read, text = FORMS[request.param]
    write(tmp_path / read, [record(tmp_path / "photos" / "a.png")])
    return f"{request.param}:{tmp_path / read}", tmp_path / text


def same(source: str) -> None:
    (found,) = load_records(source, "all", "five")
    np.testing.assert_array_equal(found.xy, XY)
    assert check(source, "five").ok


def test_a_byte_order_mark_changes_nothing(written: tuple[str, Path]) -> None:
    source, path = written
    path.write_bytes(BOM + path.read_bytes())
    same(source)


def test_windows_line_ends_change_nothing(written: tuple[str, Path]) -> None:
    source, path = written
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    same(source)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_other_encodings_are_refused_by_name(written: tuple[str, Path], encoding: str) -> None:
    source, path = written
    path.write_bytes(path.read_text().encode(encoding))
    name = "UTF-32" if encoding == "utf-32" else "UTF-16"
    with pytest.raises(FiduciaError, match=f"is {name} text.*save it as UTF-8"):
        load_records(source, "all", "five")
    assert len(check(source, "five").broken) == 1


def test_a_byte_that_is_no_text_is_told_by_line_and_byte(written: tuple[str, Path]) -> None:
    source, path = written
    # An XML file declares its encoding; its parser tells the place.
    if path.suffix == ".xml":
        path.write_bytes(path.read_bytes().replace(b"face", b"f\xffce", 1))
    else:
        path.write_bytes(b"  \n \xff" + path.read_bytes())
    says = (
        "is no XML .*line 5, column 20"
        if path.suffix == ".xml"
        else "line 2, byte 2 holds the byte 0xff, which is not UTF-8"
    )
    with pytest.raises(FiduciaError, match=says):
        load_records(source, "all", "five")


@pytest.mark.parametrize("form", ["coco", "csv", "cvat"])
def test_paths_written_on_windows_are_found(form: str, tmp_path: Path) -> None:
    write, read, _ = FORMS[form]
    write(tmp_path / read, [record(tmp_path / "photos" / "deep" / "a.png")])
    path = tmp_path / read
    path.write_text(
        path.read_text().replace(
            "photos/deep/a.png", "photos\\\\deep\\\\a.png" if form == "coco" else "photos\\deep\\a.png"
        )
    )
    (found,) = load_records(f"{form}:{path}", "all", "five")
    assert found.image == tmp_path / "photos" / "deep" / "a.png"
    report = check(f"{form}:{path}", "five")
    assert report.ok
    assert "0 broken" in "\n".join(report.lines())


def test_paths_written_on_windows_are_found_in_benchmarks_too(tmp_path: Path) -> None:
    photograph(tmp_path / "WFLW_images" / "0--Parade" / "a.png")
    xy = np.stack([np.linspace(5, 40, 98), np.linspace(5, 30, 98)], axis=1)
    write_wflw(tmp_path, "test", [wflw_line("0--Parade\\a.png", xy)])
    assert load_records(f"wflw:{tmp_path}", "test")[0].id == "test/0--Parade/a_1"
    head = "image_name,scale,center_w,center_h," + ",".join(f"original_{i}_{a}" for i in range(98) for a in "xy")
    (tmp_path / "f.csv").write_bytes(
        BOM + f"{head}\r\n0--Parade\\a.png,0.2,20,20,{','.join(map(str, xy.ravel()))}\r\n".encode()
    )
    assert load_records(f"hrnet:{tmp_path / 'f.csv'}", "all")[0].id == "0--Parade/a"


@pytest.mark.parametrize(("separator", "word"), [(";", "semicolons"), ("\t", "tabs")])
def test_other_separators_are_detected_and_told(separator: str, word: str, tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    write_csv(path, [record(tmp_path / "a.png")])
    path.write_text(path.read_text().replace(",", separator))
    same(f"csv:{path}")
    assert any(f"separated by {word}" in line for line in load_records(f"csv:{path}", "all").remarks)
    path.write_text(f"sep={separator}\n" + path.read_text())
    same(f"csv:{path}")
    path.write_text(path.read_text().replace("10.0", "ten"))
    with pytest.raises(FiduciaError, match="line 3: x0 is 'ten'"):
        load_records(f"csv:{path}", "all")


def test_decimal_commas_are_refused_by_name(tmp_path: Path) -> None:
    photograph(tmp_path / "a.png")
    path = tmp_path / "f.csv"
    path.write_text("image;x0;y0;x1;y1\na.png;1,5;2;3;4\n")
    with pytest.raises(FiduciaError, match=r"line 2: x0 is '1,5', with a decimal comma; write 1\.5"):
        load_records(f"csv:{path}", "all", "none")
    path.write_text('image,x0,y0,x1,y1\na.png,"1,5",2,3,4\n')
    with pytest.raises(FiduciaError, match="with a decimal comma"):
        load_records(f"csv:{path}", "all", "none")
    path.write_text("image,x0,y0,x1,y1\na.png,1,5,2,5,3,4\n")
    with pytest.raises(
        FiduciaError, match="more cells than the 5 columns; is a comma unquoted, or do numbers have decimal"
    ):
        load_records(f"csv:{path}", "all", "none")
    xml = tmp_path / "f.xml"
    xml.write_text('<annotations><image name="a.png"><points points="1,5,2,5;3,1,4,2"/></image></annotations>')
    with pytest.raises(FiduciaError, match=r"is it written with decimal commas\?"):
        load_records(f"cvat:{xml}", "all", "none")
    pts = tmp_path / "a.pts"
    pts.write_text("1,5 2,5\n3 4\n")
    with pytest.raises(FiduciaError, match=r"are these decimal commas\?"):
        load_records(f"pts:{tmp_path}", "all", "none")


@pytest.mark.parametrize("form", ["coco", "csv", "cvat", "hrnet"])
def test_what_is_no_file_is_told(form: str, tmp_path: Path) -> None:
    for source in (f"{form}:{tmp_path}", f"{form}:/dev/null"):
        with pytest.raises(FiduciaError, match=r"is a folder|is a pipe or device"):
            load_records(source, "all")
        assert len(check(source).broken) == 1
    with pytest.raises(FiduciaError, match="no such file"):
        load_records(f"{form}:{tmp_path / 'none'}", "all")


def test_photographs_lie_below_images_too(tmp_path: Path) -> None:
    write_csv(tmp_path / "f.csv", [record(tmp_path / "a.png")])
    (tmp_path / "images").mkdir()
    shutil.move(tmp_path / "a.png", tmp_path / "images" / "a.png")
    assert load_records(f"csv:{tmp_path / 'f.csv'}", "all")[0].image == tmp_path / "images" / "a.png"


def test_text_keeps_its_line_ends_and_loses_its_mark(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(BOM + b"a\r\nb\n")
    assert read_text(tmp_path / "a.txt", "a text") == "a\r\nb\n"
    with pytest.raises(FiduciaError, match="line 2, byte 1"):
        decode_text(b"some plain words\n\0 and more of them", "f", "a text")
