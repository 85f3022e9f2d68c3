"""A review that is killed at any place: the journal knows each change of the label files, and undo works."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fiducia.structures import Record

from .conftest import written
from .dying import kill_all, opened

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork, which Windows has not")

BETWEEN = "between two label files"
EDITS = ("inside the journal", "before the label file", BETWEEN, "after the label files")


def labels(path: Path) -> dict[Path, bytes]:
    """Return the label files of a data set."""
    files = [path] if path.is_file() else [*path.rglob("*.pts"), path / "pts.json"]
    return {file: file.read_bytes() for file in files}


def start(folder: Path, form: str, drawn: list[Record]) -> Path:
    folder.mkdir()
    return written(folder, form, [replace(record, tags={"id": record.id}) for record in drawn[:2]])


Case = tuple[str, str, str]


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory, drawn: list[Record]) -> dict[Case, tuple[Path, Any, Any]]:
    """Kill reviews: format, action, place → the data set, its label files before all, and before the kill."""
    folder = tmp_path_factory.mktemp("killed")
    found: dict[Case, tuple[Path, Any, Any]] = {}
    # Occluded in .pts is a change of two files: the points, and pts.json.
    cases = [(form, action, place) for form in ("coco", "pts") for action in ("edit", "undo") for place in EDITS]
    cases = [case for case in cases if case[0] == "pts" or case[2] != BETWEEN]
    for form, action, place in [*cases, ("csv", "reject", "list"), ("csv", "reopen", "list")]:
        path = start(folder / f"{form}-{action}-{place}".replace(" ", "_"), form, drawn)
        first = labels(path)
        if action in ("undo", "reopen"):
            review, rank = opened(f"{form}:{path}")
            if action == "undo":
                review.edit(rank, {1: (11.5, 12.25, 1)})
            else:
                review.judge(rank, "reject")
            review.close()
        found[form, action, place] = path, first, labels(path)
    kill_all([(f"{form}:{path}", action, place) for (form, action, place), (path, *_) in found.items()])
    return found


@pytest.mark.parametrize("form", ["coco", "pts"])
def test_a_kill_leaves_no_change_that_undo_does_not_know(killed: dict[Case, tuple[Path, Any, Any]], form: str) -> None:
    cases = {case[1:]: value for case, value in killed.items() if case[0] == form}
    for case, (path, first, before) in cases.items():
        left = labels(path)
        review, rank = opened(f"{form}:{path}")
        now = labels(path)
        face = review.face(rank)[1]
        stands = review.journal.edited.get(face.record.id, 0)
        assert stands == int(now != first), case
        if case[1] == BETWEEN:
            assert left not in (first, before), "the kill came between the two files"
            assert now == first, case
            assert any("was written in part" in line for line in review.remarks), case
        else:
            assert now == left, "the label files are as the kill left them"
            assert (now == first) == (case in (("edit", EDITS[0]), ("edit", EDITS[1]), ("undo", EDITS[3]))), case
        told = [line for line in review.remarks if "last" in line]
        assert len(told) == (case[1] != "after the label files"), case
        # A second start has nothing more to say.
        review.close()
        review, rank = opened(f"{form}:{path}")
        assert [line for line in review.remarks if "last" in line] == []
        assert labels(path) == now
        # Work goes on, and all of it can be undone.
        review.edit(rank, {2: (5.5, 6.25, 2)})
        assert review.undo() == rank
        assert labels(path) == now
        if stands:
            assert review.undo() == rank
        assert labels(path) == first, case
        assert review.undo() is None
        assert review.counts()["edited"] == 0
        review.close()
        lines = review.journal.path.read_text().splitlines()
        assert {json.loads(line)["event"] for line in lines} == {"edit", "undo"}


def test_a_kill_before_the_list_of_rejected_faces_is_made_up_for(killed: dict[Case, tuple[Path, Any, Any]]) -> None:
    for action in ("reject", "reopen"):
        path = killed["csv", action, "list"][0]
        listed = path.with_name(f"{path.name}.rejected.txt")
        assert listed.exists() == (action == "reopen")
        review, rank = opened(f"csv:{path}")
        name = review.face(rank)[1].record.id
        assert review.counts()["rejected"] == int(action == "reject")
        review.close()
        assert listed.read_text() == ("" if action == "reopen" else f"{name}\n")


def test_a_label_file_that_was_put_back_by_hand_stays(tmp_path: Path, drawn: list[Record]) -> None:
    path = start(tmp_path / "one", "csv", drawn)
    first = path.read_bytes()
    review, rank = opened(f"csv:{path}")
    review.edit(rank, {1: (11.5, 12.25, 1)})
    review.close()
    path.write_bytes(first)
    review, _ = opened(f"csv:{path}")
    assert path.read_bytes() == first
    assert "the last change is not in the file; the journal now says so" in review.remarks[0]
    assert review.undo() is None
    review.close()


@pytest.mark.parametrize(
    ("end", "told"),
    [('{"time": "2026-01-01T', "its last line was cut short"), ('{"ti', "its last line was cut short"), ("", "")],
)
def test_a_journal_whose_last_line_was_cut_short_goes_on(
    tmp_path: Path, drawn: list[Record], end: str, told: str
) -> None:
    path = start(tmp_path / "one", "csv", drawn)
    first = path.read_bytes()
    review, rank = opened(f"csv:{path}")
    review.edit(rank, {1: (11.5, 12.25, 1)})
    review.close()
    whole = review.journal.path.read_text()
    review.journal.path.write_text(whole + end if end else whole.rstrip("\n"))
    review, rank = opened(f"csv:{path}")
    assert [line for line in review.remarks if "last line" in line] == [
        f"{review.journal.path}: {told}, and was taken out"
    ][: bool(told)]
    assert review.journal.path.read_text() == whole
    assert review.undo() == rank
    assert path.read_bytes() == first
    review.close()
