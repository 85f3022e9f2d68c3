"""A review without a page: order, edits, verdicts, undo, journal, two reviewers."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fiducia.data.source import exclude, load_records
from fiducia.errors import FiduciaError, UsageError
from fiducia.review.journal import Journal
from fiducia.review.session import Refused, Review, open_review
from fiducia.structures import Record

from .conftest import NAMES, PLANTED, SWAPPED, guess, planted, written


def started(path: Path, form: str, drawn: list[Record], **options: Any) -> Review:
    return open_review(f"{form}:{path}", guess(drawn), who="anna", **options)


class Full(io.FileIO):
    """A disk that takes ten bytes more."""

    taken = False

    def write(self, data: Any) -> int:
        if not self.taken:
            self.taken = True
            return super().write(bytes(data[:10]))
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def entries(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("form", list(NAMES))
def test_a_planted_error_comes_first_and_is_mended_in_its_bytes_alone(
    tmp_path: Path, drawn: list[Record], form: str
) -> None:
    path = written(tmp_path, form, planted(drawn))
    review = started(path, form, drawn)
    first, face = review.face(0)
    assert face.record.id == drawn[PLANTED].id
    assert set(first.points) == set(SWAPPED)
    assert first.score > 10 * review.face(1)[0].score
    before = face.path.read_bytes()
    right = drawn[PLANTED].xy
    review.edit(0, {k: (*right[k].tolist(), 2) for k in SWAPPED})
    review.close()

    again = load_records(f"{form}:{path}", "all")
    for one, wanted in zip(again, drawn, strict=True):
        np.testing.assert_allclose(one.xy, wanted.xy, rtol=0, atol=1e-9 if form == "labelstudio" else 0)
    assert face.path.with_name(face.path.name + ".orig").read_bytes() == before
    (line,) = entries(review.journal.path)
    assert (line["event"], line["face"], line["who"]) == ("edit", drawn[PLANTED].id, "anna")
    assert [point["point"] for point in line["points"]] == list(SWAPPED)
    assert [point["name"] for point in line["points"]] == ["right_eye_outer", "right_mouth_corner"]
    assert line["points"][0]["new"] == pytest.approx([*right[36].tolist(), 2])
    assert line["points"][0]["old"][:2] == pytest.approx(right[48].tolist())
    # What the journal tells is enough to undo it by hand.
    data = face.path.read_bytes()
    for patch in reversed(line["patches"]):
        assert face.path.parent / Path(patch["file"]).name == face.path
    assert data != before


def test_undo_goes_back_byte_by_byte_and_over_a_restart(tmp_path: Path, drawn: list[Record]) -> None:
    path = written(tmp_path, "coco", planted(drawn))
    states = [path.read_bytes()]
    review = started(path, "coco", drawn)
    review.edit(0, {3: (10.5, 11.25, 1)})
    states.append(path.read_bytes())
    review.judge(2, "reject")
    review.edit(1, {5: (0.0, 0.0, 0), 6: (1.0, 2.0, 2)})
    states.append(path.read_bytes())
    review.judge(0, "accept")
    review.close()

    review = started(path, "coco", drawn)
    assert review.counts() == {"open": 4, "accepted": 1, "rejected": 1, "edited": 2}
    assert review.undo() == 0
    assert review.state(review.faces[PLANTED]) == "open"
    assert path.read_bytes() == states[2]
    # The order is by the labels as they are now; the face is found by its id.
    rank = review.undo()
    assert rank is not None
    assert path.read_bytes() == states[1]
    assert np.isfinite(review.face(rank)[1].record.xy).all()
    rejected = [name for name, state in review.journal.states.items() if state == "rejected"]
    assert review.rejected.read_text().splitlines() == rejected
    review.undo()
    assert review.rejected.read_text() == ""
    review.undo()
    assert path.read_bytes() == states[0]
    assert review.undo() is None
    assert review.counts() == {"open": 6, "accepted": 0, "rejected": 0, "edited": 0}
    review.close()
    assert [line["event"] for line in entries(review.journal.path)] == [
        *("edit", "reject", "edit", "accept"),
        *("undo",) * 4,
    ]


def test_a_journal_names_no_files_of_others(tmp_path: Path, drawn: list[Record]) -> None:
    path = written(tmp_path, "csv", drawn)
    review = started(path, "csv", drawn)
    review.edit(0, {0: (1.0, 1.0, 2)})
    review.close()
    (tmp_path / "other").write_bytes(path.read_bytes())
    text = review.journal.path.read_text()
    review.journal.path.write_text(text.replace('"file": "faces.csv"', '"file": "other"'))
    before = path.read_bytes()
    review = started(path, "csv", drawn)
    with pytest.raises(FiduciaError, match="a file that is not of this data set"):
        review.undo()
    review.close()
    assert (tmp_path / "other").read_bytes() == path.read_bytes() == before


def test_rejected_faces_are_left_out_by_the_file(tmp_path: Path, drawn: list[Record]) -> None:
    faces = [replace(r, tags={**r.tags, "id": f"a[{i}]*é", "photo": str(i)}) for i, r in enumerate(drawn)]
    path = written(tmp_path, "csv", faces)
    review = open_review(f"csv:{path}", guess(faces))
    review.judge(0, "reject")
    name = review.face(0)[1].record.id
    review.close()
    assert (tmp_path / "faces.csv.rejected.txt").read_text() == f"{name}\n"
    left = exclude(load_records(f"csv:{path}", "all"), [f"@{tmp_path / 'faces.csv.rejected.txt'}"])
    assert [r.id for r in left] == [r.id for r in faces if r.id != name]
    with pytest.raises(FiduciaError, match="no such file; expected a file of ids"):
        exclude(left, [f"@{tmp_path / 'none.txt'}"])


def test_a_second_reviewer_is_refused(tmp_path: Path, drawn: list[Record]) -> None:
    path = written(tmp_path, "csv", drawn)
    review = started(path, "csv", drawn)
    with pytest.raises(FiduciaError, match="another process reviews this data set"):
        started(path, "csv", drawn)
    review.close()
    started(path, "csv", drawn).close()
    assert not review.journal.path.exists(), "nothing was done, so nothing is left"


def test_a_page_that_shows_older_labels_is_refused(tmp_path: Path, drawn: list[Record]) -> None:
    path = written(tmp_path, "pts", drawn)
    review = started(path, "pts", drawn)
    was = (*review.face(0)[1].record.xy[7].tolist(), 2)
    review.edit(0, {7: (1.5, 2.5, 2)}, {7: was})
    with pytest.raises(Refused, match="has changed since it was shown"):
        review.edit(0, {7: (3.5, 2.5, 2)}, {7: was})
    for wanted, told in (({99: (1.0, 1.0, 2)}, "no point 99"), ({0: (float("nan"), 1.0, 2)}, "no place in an image")):
        with pytest.raises(Refused, match=told):
            review.edit(0, wanted)
    with pytest.raises(Refused, match="no face 17"):
        review.edit(17, {})
    with pytest.raises(Refused, match="no verdict"):
        review.judge(0, "burn")
    review.edit(0, {7: (1.5, 2.5, 2)})
    assert len(entries(review.journal.path)) == 1, "what does not change is not written"
    review.close()


@contextlib.contextmanager
def full_disk(review: Review, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The journal cannot be written, and what is done in the block says so."""
    with Full(review.journal.path, "ab") as full, monkeypatch.context() as patched:
        patched.setattr(review.journal, "_file", full)
        with pytest.raises(FiduciaError, match="No space left on device"):
            yield


def test_a_journal_that_cannot_be_written_leaves_the_labels(
    tmp_path: Path, drawn: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, "csv", drawn)
    review = started(path, "csv", drawn)
    review.judge(0, "accept")
    before, told = path.read_bytes(), review.journal.path.read_bytes()

    with full_disk(review, monkeypatch):
        review.edit(0, {0: (1.0, 1.0, 2)})
    assert path.read_bytes() == before
    assert review.journal.path.read_bytes() == told
    review.edit(0, {0: (1.0, 1.0, 2)})
    review.close()
    assert [line["event"] for line in entries(review.journal.path)] == ["accept", "edit"]


def test_an_undo_that_the_journal_cannot_hold_leaves_the_edit(
    tmp_path: Path, drawn: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, "csv", drawn)
    review, first = started(path, "csv", drawn), path.read_bytes()
    review.edit(0, {0: (1.0, 1.0, 2)})
    edited, told = path.read_bytes(), review.journal.path.read_bytes()
    with full_disk(review, monkeypatch):
        review.undo()
    assert (path.read_bytes(), review.journal.path.read_bytes()) == (edited, told)
    assert review.face(0)[1].record.xy[0].tolist() == [1.0, 1.0]
    assert review.undo() == 0
    assert path.read_bytes() == first
    review.close()


def test_a_list_of_rejected_faces_that_failed_is_written_by_the_next_verdict(
    tmp_path: Path, drawn: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, "csv", drawn)
    review = started(path, "csv", drawn)
    with monkeypatch.context() as patched:
        patched.setattr(review.journal, "write_rejected", lambda place: (_ for _ in ()).throw(FiduciaError("full")))
        with pytest.raises(FiduciaError, match="full"):
            review.judge(0, "reject")
    review.judge(0, "reject")
    name = review.face(0)[1].record.id
    assert review.rejected.read_text() == f"{name}\n"
    review.close()
    review.journal.path.unlink()
    with pytest.raises(FiduciaError, match=f"lists '{name}', which .* does not reject"):
        started(path, "csv", drawn)
    assert review.rejected.read_text() == f"{name}\n"


def test_a_journal_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "review.jsonl"
    path.write_text('{"event": "edit"}\n')
    with pytest.raises(FiduciaError, match="line 1 is no entry of a review"):
        Journal.open(path, "me")
    path.unlink()
    Journal.open(path, "me").close()


def test_data_that_cannot_be_reviewed(tmp_path: Path, drawn: list[Record]) -> None:
    with pytest.raises(UsageError, match="fiducia data convert synthetic:2@"):
        open_review(f"synthetic:2@{tmp_path}", guess(drawn))
    (tmp_path / "empty").mkdir()
    with pytest.raises(FiduciaError, match="no face found"):
        open_review(f"pts:{tmp_path / 'empty'}", guess(drawn))
    path = written(tmp_path, "csv", drawn)
    with pytest.raises(UsageError, match="labels are changed in their own set"):
        open_review(f"csv:{path}", guess(drawn), scheme="five")
    path.chmod(0o444)
    with pytest.raises(FiduciaError, match="is read-only"):
        open_review(f"csv:{path}", guess(drawn))
    path.chmod(0o644)
    lines = path.read_text().replace("train/00001,train/00001", "train/00000,train/00001")
    path.write_text(lines)
    with pytest.raises(FiduciaError, match="'train/00000' stands for two faces"):
        open_review(f"csv:{path}", guess(drawn))
    assert not (tmp_path / "faces.csv.review.jsonl").exists()
