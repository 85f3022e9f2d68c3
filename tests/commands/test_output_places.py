"""A place where a result cannot stand is refused before the work, and so is a split that --exclude empties."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from drawn import drawn_records
from fiducia.cli import app
from fiducia.data.formats.pts import write_pts
from fiducia.errors import FiduciaError, UsageError
from fiducia.schemes.sets import get_scheme

ASSETS = Path(__file__).resolve().parents[2] / "assets"

WORDS = ["evaluate", "--weights", "no-such-weights", "--data", "synthetic:4"]


@pytest.mark.parametrize(
    ("option", "place", "says"),
    [
        ("--json", "file.txt/r.json", "nothing can be written there"),
        ("--faces", "file.txt/deep/er/f.csv", "nothing can be written there"),
        ("--report", "file.txt", "is a file; give a folder"),
        ("--json", ".", "is a directory; expected a file"),
    ],
)
def test_places_are_looked_at_before_the_weights_are(option: str, place: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("mine")
    result = CliRunner().invoke(app, [*WORDS, option, str(tmp_path / place)])
    assert isinstance(result.exception, UsageError)
    assert says in str(result.exception)
    assert (tmp_path / "file.txt").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]


def test_a_report_may_be_written_into_a_folder_that_is_there(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, [*WORDS, "--report", str(tmp_path)])
    assert "no-such-weights" in str(result.exception), "refused for its weights, not for its folder"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_no_place_for_an_export(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").mkdir()
    result = CliRunner().invoke(app, ["export", "--weights", "no-such-weights", "--out", str(tmp_path / "a.onnx")])
    assert isinstance(result.exception, UsageError)
    assert "is a directory; expected a file" in str(result.exception)


def test_an_exclude_that_leaves_nothing_is_blamed_on_itself(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, [*WORDS[:2], "fifa_tiny", *WORDS[3:], "--split", "train", "--exclude", "*"])
    assert isinstance(result.exception, FiduciaError)
    assert "--exclude leaves none of 4 faces" in str(result.exception)


@pytest.mark.parametrize("words", ["list schemes", "weights info fifa_tiny --json", "--help"])
def test_a_full_standard_output_is_one_line(words: str) -> None:
    command = f"{sys.executable} -m fiducia {words} > /dev/full"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=100)
    assert done.stderr == "fiducia: standard output: cannot be written (No space left on device)\n"
    assert done.returncode == 1


def test_names_in_no_encoding_stand_in_every_result(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    record = drawn_records(get_scheme("ibug68"), 1)[0]
    record = replace(record, xy=np.nan_to_num(record.xy, nan=30.0))
    for stem in (b"good", b"caf\xe9"):
        base = photos / os.fsdecode(stem)
        Path(f"{base}.jpg").write_bytes((ASSETS / "astronaut.jpg").read_bytes())
        write_pts(f"{base}.pts", record.xy)
    words = ["evaluate", "--weights", "fifa_tiny", "--data", f"pts:{photos}", "--split", "all", "--scheme", "ibug68"]
    words += ["--faces", f"{tmp_path}/faces.csv", "--report", f"{tmp_path}/report", "--json", f"{tmp_path}/r.json"]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0
    assert "caf\\xe9," in (tmp_path / "faces.csv").read_text()
    assert {"report.md", "report.html", "faces.csv"} <= {path.name for path in (tmp_path / "report").iterdir()}
