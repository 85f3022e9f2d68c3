"""Results that are kept on disk while a run goes on: the journal, and tables that are written from it in pieces."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import FiduciaError, PlaceLost, UsageError
from ..files import open_output

if TYPE_CHECKING:
    from .outputs.base import LineWriter, Table

__all__ = ["JOURNAL", "Grown", "Journal", "Streams", "write_parts"]

JOURNAL = ".fiducia-detect.jsonl"
"""The file in the results' folder that says which photographs are done; it is removed when all are."""


class Journal:
    """One line of JSON for each photograph whose files are all written; a killed run can go on behind the last one.

    Args:
        folder: of the results.
        facts: what must be the same in a run that goes on, such as the weights and the formats.
        resume: go on with a journal that is there; else it is begun anew.

    Attributes:
        done: input → stem of the photographs that the journal holds.

    Raises:
        UsageError: a run of other weights or formats would go on.
        FiduciaError: the folder cannot be written into.
    """

    def __init__(self, folder: Path, facts: dict[str, Any], resume: bool = False) -> None:
        self.path = folder / JOURNAL
        self.done: dict[str, str] = {}
        try:
            kept = self._kept(facts) if resume and self.path.is_file() else 0
            # What was cut off by a kill goes; nothing else is written anew, so that a second kill loses nothing.
            self._file = self.path.open("r+b" if kept else "wb")
            self._file.truncate(kept)
            self._file.seek(kept)
        except OSError as error:
            raise FiduciaError(
                f"{folder}: cannot be written into ({error.strerror or error}); choose another --out"
            ) from None
        self._grown = Grown(self.path, self._file)
        if not kept:
            self._grown.add(_line(facts))

    def add(self, table: dict[str, Any]) -> None:
        """Keep the results of a photograph; ``table`` has its ``input`` and ``stem``.

        Raises:
            PlaceLost: the disk is full, or the folder is gone.
        """
        self._grown.add(_line(table))
        self.done[str(table["input"])] = str(table["stem"])

    def check(self) -> None:
        """Raise PlaceLost where the folder of results is no more; writing into it would make it anew, without its results."""
        self._grown.check()

    def tables(self) -> Iterator[dict[str, Any]]:
        """Yield the photographs that were kept, in their order; one is in memory at a time. Videos have files of their own."""
        self.check()
        with self.path.open("rb") as file:
            next(file)
            for line in file:
                table = json.loads(line)
                if "frames" not in table:
                    yield table

    def close(self, finished: bool) -> None:
        """Let go of the file; a finished run needs it no longer."""
        self._grown.close()
        if finished:
            self.path.unlink(missing_ok=True)

    def _kept(self, facts: dict[str, Any]) -> int:
        """Read which photographs are done; return the bytes of whole lines, without one that was cut off by a kill."""
        kept = 0
        try:
            with self.path.open("rb") as file:
                for number, line in enumerate(file):
                    if not line.endswith(b"\n"):
                        break
                    table = json.loads(line)
                    if number == 0:
                        self._same(table, facts)
                    else:
                        self.done[str(table["input"])] = str(table["stem"])
                    kept += len(line)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FiduciaError(f"{self.path}: cannot be read ({error}); remove it, or leave --resume out") from None
        return kept

    def _same(self, before: dict[str, Any], facts: dict[str, Any]) -> None:
        for key, value in facts.items():
            if before.get(key) != json.loads(json.dumps(value)):
                raise UsageError(
                    f"{self.path}: that run had {key} {before.get(key)!r}, this one has {value!r}; "
                    "repeat its options, or leave --resume out"
                )


class Grown:
    """A file that grows by whole lines while a run goes on.

    Args:
        path: of the file.
        file: open for writing, at its end; None = the file is begun anew.

    Raises:
        PlaceLost: as :meth:`add`.
    """

    def __init__(self, path: Path, file: BinaryIO | None = None) -> None:
        self.path = path
        try:
            self._file = file if file is not None else path.open("wb")
        except OSError as error:
            raise PlaceLost(f"{path}: cannot be written ({error.strerror or error}); choose another --out") from None

    def add(self, line: bytes) -> None:
        """Write a line through to the system.

        Raises:
            PlaceLost: the disk is full, or the file was removed.
        """
        self.check()
        try:
            self._file.write(line)
            self._file.flush()
        except OSError as error:
            raise PlaceLost(f"{self.path}: cannot be written ({error.strerror or error}); make room") from None

    def check(self) -> None:
        """Raise PlaceLost where the file was removed, as with its folder."""
        if os.fstat(self._file.fileno()).st_nlink == 0:
            raise PlaceLost(f"{self.path.parent}: was removed, or its files were, while results were written there")

    def close(self) -> None:
        """Let go of the file; what a full disk did not take is not tried again."""
        with contextlib.suppress(OSError):
            self._file.close()


class Streams:
    """The files that grow by a line a photograph while a run goes on, for every writer of lines.

    Args:
        folder: of the results.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open: list[tuple[LineWriter, Grown]] = []

    def begin(self, writers: Iterable[LineWriter], tables: Callable[[], Iterator[Table]]) -> None:
        """Open the files, with the lines of photographs that an earlier part of the run has done; ``tables`` gives them."""
        for writer in writers:
            file = Grown(self.folder / writer.stream)
            self._open.append((writer, file))
            for table in tables():
                file.add(writer.line(table))

    def add(self, table: Table) -> None:
        """Add a photograph's line to each.

        Raises:
            PlaceLost: the disk is full, or a file was removed.
        """
        for writer, file in self._open:
            file.add(writer.line(table))

    def close(self) -> None:
        """Let go of the files."""
        for _, file in self._open:
            file.close()


def write_parts(path: Path, parts: Iterable[str]) -> None:
    """Write a text that comes in parts, whole or not at all; it is not held in memory.

    Raises:
        FiduciaError: the place cannot be written.
    """
    with open_output(path) as file:
        for part in parts:
            file.write(part.encode("utf-8", "surrogateescape"))


def _line(table: dict[str, Any]) -> bytes:
    return (json.dumps(table, allow_nan=False) + "\n").encode()
