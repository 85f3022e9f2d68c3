"""Results that are kept on disk while a run goes on: the journal, and tables that are written from it in pieces."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ..errors import FiduciaError, UsageError
from ..files import open_output

__all__ = ["JOURNAL", "Journal", "write_parts"]

JOURNAL = ".fiducia-detect.jsonl"
"""The file in the results' folder that says which photographs are done; it is removed when all are."""


class Journal:
    """One line of JSON for each photograph whose files are all written; a killed run can go on behind the last one.

    Args:
        folder: of the results.
        facts: what must be the same in a run that goes on, such as the weights and the formats.
        resume: go on with a journal that is there; else it is begun anew.

    Attributes:
        done: source → stem of the photographs that the journal holds.

    Raises:
        UsageError: a run of other weights or formats would go on.
        FiduciaError: the folder cannot be written into.
    """

    def __init__(self, folder: Path, facts: dict[str, Any], resume: bool = False) -> None:
        self.path = folder / JOURNAL
        self.done: dict[str, str] = {}
        kept = self._kept(facts) if resume and self.path.is_file() else b""
        try:
            self.path.write_bytes(kept or _line(facts))
            self._file = self.path.open("ab")
        except OSError as error:
            raise FiduciaError(
                f"{folder}: cannot be written into ({error.strerror or error}); choose another --out"
            ) from None

    def add(self, table: dict[str, Any]) -> None:
        """Keep the results of a photograph; ``table`` has its ``source`` and ``stem``."""
        self._file.write(_line(table))
        self._file.flush()
        self.done[str(table["source"])] = str(table["stem"])

    def tables(self) -> Iterator[dict[str, Any]]:
        """Yield the photographs that were kept, in their order; one is in memory at a time. Videos have files of their own."""
        with self.path.open("rb") as file:
            next(file)
            for line in file:
                table = json.loads(line)
                if "frames" not in table:
                    yield table

    def close(self, finished: bool) -> None:
        """Let go of the file; a finished run needs it no longer."""
        self._file.close()
        if finished:
            self.path.unlink(missing_ok=True)

    def _kept(self, facts: dict[str, Any]) -> bytes:
        """Return the journal's whole lines; a line that was cut off by a kill is left out."""
        try:
            lines = self.path.read_bytes().splitlines(keepends=True)
            whole = [line for line in lines if line.endswith(b"\n")]
            tables = [json.loads(line) for line in whole]
            self.done = {str(table["source"]): str(table["stem"]) for table in tables[1:]}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FiduciaError(f"{self.path}: cannot be read ({error}); remove it, or leave --resume out") from None
        if not tables:
            return b""
        for key, value in facts.items():
            if tables[0].get(key) != json.loads(json.dumps(value)):
                raise UsageError(
                    f"{self.path}: that run had {key} {tables[0].get(key)!r}, this one has {value!r}; "
                    "repeat its options, or leave --resume out"
                )
        return b"".join(whole)


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
