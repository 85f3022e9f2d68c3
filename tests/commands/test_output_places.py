"""A place where a result cannot stand is refused before the work, and so is a split that --exclude empties."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from fiducia.cli import app
from fiducia.errors import FiduciaError, UsageError

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


def test_an_exclude_that_leaves_nothing_is_blamed_on_itself(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, [*WORDS[:2], "fifa_tiny", *WORDS[3:], "--split", "train", "--exclude", "*"])
    assert isinstance(result.exception, FiduciaError)
    assert "--exclude leaves none of 4 faces" in str(result.exception)
