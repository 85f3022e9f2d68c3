"""The journal of a review: what was changed, when and by whom, one JSON object a line; and the list of rejected faces."""

from __future__ import annotations

import contextlib
import datetime
import errno
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from ..data.editing.base import Patch
from ..errors import FiduciaError
from ..files import text_bytes, write_atomic
from ..locks import take
from ..text import read_text

__all__ = ["Entry", "Journal", "journal_path", "rejected_path"]

VERDICTS = {"accept": "accepted", "reject": "rejected", "reopen": "open"}
"""Event → the state that a face has after it."""

_START = '{"time": "'
"""How each line begins."""


def journal_path(root: Path) -> Path:
    """Return where the journal of a data set lies: beside its file, or in its directory."""
    return root / "review.jsonl" if root.is_dir() else root.with_name(f"{root.name}.review.jsonl")


def rejected_path(root: Path) -> Path:
    """Return where the ids of rejected faces lie."""
    return root / "rejected.txt" if root.is_dir() else root.with_name(f"{root.name}.rejected.txt")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line.

    Attributes:
        event: ``edit``, ``accept``, ``reject``, ``reopen``, or ``undo`` of the last event that was not undone.
        face: the face's id.
        points: of an edit, each with its name, and its place and visibility before and after.
        patches: of an edit, what was replaced in which file.
        digests: of an edit, the SHA-256 of each file after it.
        before: of a verdict, the state before it.
        time: UTC, ISO 8601.
        who: whose review it is.
    """

    event: str
    face: str
    points: Sequence[Mapping[str, Any]] = ()
    patches: Sequence[Patch] = ()
    digests: Mapping[Path, str] = field(default_factory=dict)
    before: str = ""
    time: str = ""
    who: str = ""

    def line(self, folder: Path) -> str:
        """Return the entry as a line; files are named from ``folder``."""
        table: dict[str, Any] = {"time": self.time, "who": self.who, "event": self.event, "face": self.face}
        if self.points:
            table["points"] = list(self.points)
        if self.patches:
            table["patches"] = [
                {
                    "file": Path(os.path.relpath(one.path, folder)).as_posix(),
                    "sha256": self.digests[one.path],
                    "at": one.start,
                    "old": one.old.decode("utf-8", "surrogateescape"),
                    "new": one.new.decode("utf-8", "surrogateescape"),
                }
                for one in self.patches
            ]
        if self.before:
            table["before"] = self.before
        return json.dumps(table) + "\n"


@dataclass
class Journal:
    """A journal that one process holds, and what it says.

    Attributes:
        path: the file.
        who: is noted with each entry.
        states: face → ``accepted`` or ``rejected``.
        done: entries that can be undone, the last one at the end.
        edited: how many edits of each face stand.
        last: the last entry, and what it undid.
        remarks: what was wrong with the file and was mended.
    """

    path: Path
    who: str = ""
    states: dict[str, str] = field(default_factory=dict)
    done: list[Entry] = field(default_factory=list)
    edited: dict[str, int] = field(default_factory=dict)
    last: tuple[Entry, Entry | None] | None = None
    remarks: list[str] = field(default_factory=list)
    _rejected: set[str] = field(default_factory=set)
    _torn: int | None = None
    _file: BinaryIO | None = None

    @classmethod
    def open(cls, path: Path, who: str) -> Journal:
        """Open a journal, take it for this process alone, and read what was done before.

        Raises:
            FiduciaError: another process has it, it cannot be written, or a line is none of a journal.
        """
        journal = cls(path, who)
        try:
            file = path.open("ab", buffering=0)
        except OSError as error:
            raise FiduciaError(
                f"{path}: cannot be written ({error.strerror}); the journal of a review lies there"
            ) from None
        if not take(file.fileno()):
            file.close()
            raise FiduciaError(f"{path}: another process reviews this data set; end that review first") from None
        journal._file = file
        try:
            journal._read()
        except FiduciaError:
            journal.close()
            raise
        return journal

    def close(self) -> None:
        """Let others have it; a journal in which nothing was written leaves no file."""
        if self._file is None:
            return
        empty = os.fstat(self._file.fileno()).st_size == 0
        if empty:
            with contextlib.suppress(OSError):
                self.path.unlink()
        self._file.close()
        self._file = None

    def write(self, entry: Entry) -> None:
        """Add an entry to the file and to what is known.

        Raises:
            FiduciaError: it cannot be written; then the file is as it was.
        """
        with self.around(entry):
            pass

    @contextlib.contextmanager
    def around(self, entry: Entry) -> Iterator[None]:
        """Add an entry, and then do what it says, in a ``with`` block: a block that fails takes the entry back.

        The entry is on the disk before the block begins. A process that is killed in the block so leaves a journal that
        knows more than was done, never less; :mod:`fiducia.review.recovery` sets it right.

        Raises:
            FiduciaError: the entry cannot be written, and the block does not begin; or what the block raises.
        """
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        entry = Entry(**{**vars(entry), "time": now, "who": self.who})
        size = self._append(text_bytes(entry.line(self.path.parent)))
        try:
            yield
        except FiduciaError:
            self._cut(size)
            raise
        except BaseException:
            # Nobody knows what was done; the next review finds out.
            self._take(entry)
            raise
        self._take(entry)

    def _append(self, line: bytes) -> int:
        """Write a line to the disk, and return the size of the file before it."""
        assert self._file is not None
        if self._torn is not None:
            self._cut(self._torn)
        size = os.fstat(self._file.fileno()).st_size
        data = memoryview(line)
        try:
            if self._torn is not None:
                raise OSError(errno.EIO, "its last line could not be taken back")
            while data:
                data = data[self._file.write(data) or 0 :]
            os.fsync(self._file.fileno())
        except OSError as error:
            self._cut(size if self._torn is None else self._torn)
            raise FiduciaError(f"{self.path}: cannot be written ({error.strerror}); nothing was changed") from None
        return size

    def _cut(self, size: int) -> None:
        """Take the end of the file away; where the disk refuses, before the next line is written."""
        assert self._file is not None
        try:
            self._file.truncate(size)
            self._torn = None
        except OSError:
            self._torn = size

    def require_own(self, path: Path) -> None:
        """Refuse a file of rejected faces that lists others than this journal: it would be overwritten.

        Raises:
            FiduciaError: it does.
        """
        if not path.exists():
            return
        listed = {line.strip() for line in read_text(path, "a list of rejected faces").splitlines()} - {""}
        # A review that was killed may have left the list as it was before its last verdict.
        strange = sorted(listed - self._rejected)
        if strange:
            raise FiduciaError(
                f"{path}: lists {strange[0]!r}, which {self.path.name} does not reject; a review writes its own list there, "
                "so move the file away"
            )

    def write_rejected(self, path: Path) -> None:
        """Write the ids of the rejected faces, one a line; no file where there is none and never was one.

        Raises:
            FiduciaError: the file cannot be written.
        """
        ids = sorted(face for face, state in self.states.items() if state == "rejected")
        data = text_bytes("".join(f"{one}\n" for one in ids))
        there = path.read_bytes() if path.is_file() else None
        if data != (there or b"") or (ids and there is None):
            write_atomic(path, data)

    def _read(self) -> None:
        assert self._file is not None
        lines = read_text(self.path, "the journal of a review").split("\n")
        for number, line in enumerate(lines, 1):
            if not line:
                continue
            try:
                self._take(_entry(json.loads(line), self.path.parent))
            except (ValueError, KeyError, TypeError, AttributeError, IndexError):
                if number == len(lines) and line[: len(_START)] == _START[: len(line)]:
                    # It was being written when the review was killed, and nothing else was done yet.
                    self._cut(os.fstat(self._file.fileno()).st_size - len(text_bytes(line)))
                    self.remarks.append(f"{self.path}: its last line was cut short, and was taken out")
                    return
                raise FiduciaError(
                    f"{self.path}: line {number} is no entry of a review; move the file away to start a new journal"
                ) from None
        if lines[-1]:
            self._append(b"\n")

    def _take(self, entry: Entry) -> None:
        """Change what is known by an entry."""
        if entry.event == "undo":
            last = self.done.pop()
            self.last = entry, last
            if last.event == "edit":
                self.edited[last.face] -= 1
            else:
                self._set(last.face, last.before)
            return
        if entry.event == "edit":
            self.edited[entry.face] = self.edited.get(entry.face, 0) + 1
        else:
            self._set(entry.face, VERDICTS[entry.event])
            if entry.event == "reject":
                self._rejected.add(entry.face)
        self.done.append(entry)
        self.last = entry, None

    def _set(self, face: str, state: str) -> None:
        if state in ("", "open"):
            self.states.pop(face, None)
        else:
            self.states[face] = state


def _entry(table: Any, folder: Path) -> Entry:
    """Return the entry of a line; its files are named from ``folder``."""
    stored = table.get("patches", ())
    patches = [
        Patch(
            folder / one["file"],
            int(one["at"]),
            one["old"].encode("utf-8", "surrogateescape"),
            one["new"].encode("utf-8", "surrogateescape"),
        )
        for one in stored
    ]
    return Entry(
        event=str(table["event"]),
        face=str(table["face"]),
        points=table.get("points", ()),
        patches=patches,
        digests={patch.path: str(one["sha256"]) for patch, one in zip(patches, stored, strict=True)},
        before=str(table.get("before", "")),
        time=str(table["time"]),
        who=str(table["who"]),
    )
