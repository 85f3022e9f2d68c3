from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner
from w300_faces import add_face

from fiducia.commands.data import app
from fiducia.data.check import check
from fiducia.data.formats.pts import read_pts, write_pts
from fiducia.data.source import DatasetSpec, datasets
from fiducia.errors import FiduciaError, UsageError
from fiducia.structures import Record

run = CliRunner().invoke


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("afw/1_1", "afw/1_2", "afw/2_1", "lfpw/testset/image_0001"):
        add_face(tmp_path, name)
    return tmp_path


def test_a_whole_subset_is_fine_and_absent_parts_are_told(root: Path) -> None:
    report = check(f"300w:{root}")
    assert report.ok
    assert {p.part: (p.found, p.official) for p in report.parts} == {
        "afw": (3, 337),
        "helen/trainset": (0, 2000),
        "helen/testset": (0, 330),
        "lfpw/trainset": (0, 811),
        "lfpw/testset": (1, 224),
        "ibug": (0, 135),
    }
    assert (report.faces, report.photographs, report.outside) == (4, 4, 0)
    text = "\n".join(report.lines())
    assert "334 missing" in text
    assert "absent" in text
    assert "what is missing: https://ibug" in text
    result = run(app, ["check", f"300w:{root}"])
    assert result.exit_code == 0
    assert result.stdout.strip() == text


def test_a_truncated_photograph_is_broken_and_the_others_are_still_counted(root: Path) -> None:
    path = root / "afw" / "1_2.jpg"
    path.write_bytes(path.read_bytes()[:-40])
    report = check(f"300w:{root}")
    assert not report.ok
    assert len(report.broken) == 1
    assert str(path) in report.broken[0]
    assert (report.faces, report.photographs) == (4, 3)
    result = run(app, ["check", f"300w:{root}", "--json"])
    assert result.exit_code == 1
    assert str(path) in result.stderr
    assert json.loads(result.stdout)["broken"] == report.broken


def test_every_broken_points_file_is_named_not_the_first_only(root: Path) -> None:
    (root / "afw" / "1_1.pts").write_text("")
    (root / "lfpw" / "testset" / "image_0001.pts").write_text("1 2\n" * 67)
    report = check(f"300w:{root}")
    assert [Path(line.split(": ")[0]).name for line in report.broken] == ["1_1.pts", "image_0001.pts"]
    assert report.faces == 2


def test_files_without_their_partner_are_told(root: Path) -> None:
    (root / "afw" / "1_1.jpg").unlink()
    (root / "afw" / "2_1.pts").unlink()
    report = check(f"300w:{root}")
    assert report.ok
    assert [Path(line.split(": ")[0]).name for line in report.remarks] == ["1_1.pts", "2_1.jpg"]
    assert report.faces == 2


def test_points_outside_their_photograph_are_measured(root: Path) -> None:
    # The photograph is 50 x 40: it covers [-0.5, 49.5] x [-0.5, 39.5].
    path = root / "afw" / "1_1.pts"
    xy = read_pts(path)
    xy[0], xy[1] = [-3.5, 43.5], [49.5, 39.5]
    write_pts(path, xy)
    report = check(f"300w:{root}")
    assert (report.outside, report.worst_px, report.worst_id) == (1, 5.0, "afw/1_1")
    assert report.ok
    assert "1 faces have points outside their photograph, by at most 5.0 px (afw/1_1)" in report.lines()


def test_an_empty_root_says_what_to_fetch(tmp_path: Path) -> None:
    with pytest.raises(FiduciaError, match=r"looked for afw.*found nothing; fetch them from https"):
        check(f"300w:{tmp_path}")


def test_progress_reaches_its_end(root: Path) -> None:
    steps: list[tuple[int, int]] = []
    check(f"300w:{root}", on_progress=lambda done, total: steps.append((done, total)))
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.shared
def test_the_real_faces_are_all_readable(shared_data: Path) -> None:
    report = check(f"300w:{shared_data / '300w'}")
    assert report.ok
    assert (report.faces, report.photographs, report.outside) == (2236, 2236, 0)
    assert report.absent == ["helen/testset", "ibug"]


def test_own_points_are_checked_in_their_own_set(tmp_path: Path) -> None:
    add_face(tmp_path, "afw/1_1")
    table = tmp_path / "faces.csv"
    table.write_text("image,x0,y0,x1,y1,x2,y2\nafw/1_1.jpg,1,2,3,4,5,6\n")
    own = tmp_path / "ears3.toml"
    own.write_text('name = "ears3"\npoints = 3\nmirror = [[0, 1]]\nedges = []\n')
    without = run(app, ["check", f"csv:{table}"])
    assert without.exit_code == 1
    assert "--scheme" in without.stderr
    assert run(app, ["check", f"csv:{table}", "--scheme", str(own)]).exit_code == 0
    with pytest.raises(UsageError, match="no landmark set is called 'ibug86'"):
        check(f"csv:{table}", "ibug86")
    with pytest.raises(UsageError, match="leave --scheme out"):
        check(f"300w:{tmp_path}", "wflw98")


def test_a_data_set_of_several_landmark_sets_is_checked_in_the_one_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str | None] = []

    def read(root: str, split: str, scheme: str | None) -> list[Record]:
        asked.append(scheme)
        return []

    several = DatasetSpec(name="several", summary="", splits=("train",), read=read, schemes=("ibug68", "five"))
    monkeypatch.setitem(datasets._items, "several", several)
    for scheme in ("five", None, "none"):
        with pytest.raises(FiduciaError, match="holds no face"):
            check("several:", scheme)
    assert asked[::2] == ["five", None, None]
