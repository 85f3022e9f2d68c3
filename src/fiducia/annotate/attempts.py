"""What a worker is at, kept on disk while a chunk is in work: after its death the photograph that killed it is known.

The marks are a small file for each chunk in work, so every engine narrows a deadly chunk down in the same way. A photograph
during which two workers ended is given up. If two ended while a batch of faces was computed, the faces are computed one
photograph at a time, which tells the photograph. Three deaths while the parts were written end the run: no photograph is
to blame, and the next attempt would end alike. What was in work when the whole run was stopped or killed does not count.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from ..errors import FiduciaError, PlaceLost

__all__ = ["BATCH", "FOLDER", "WRITING", "Attempt"]

FOLDER = ".work"
BATCH = -1
"""The mark of a batch of faces."""
WRITING = -2
"""The mark of the parts that are written."""
_TWICE = 2
_THRICE = 3


class Attempt:
    """One attempt at a chunk.

    Args:
        out: folder of the results.
        number: of the chunk.
        run: tells this run of the program from earlier ones.

    Attributes:
        deadly: units that are given up: place in the chunk → number of workers that ended.
        singly: faces are computed one photograph at a time.

    Raises:
        PlaceLost: the mark cannot be written.
        FiduciaError: three workers ended while they wrote the parts.
    """

    def __init__(self, out: Path, number: int, run: str) -> None:
        self.path, self.run = out / FOLDER / f"{number:06d}.json", run
        self._deaths: dict[int, int] = _deaths(self.path, run)
        self.deadly = {place: count for place, count in self._deaths.items() if place >= 0 and count >= _TWICE}
        self.singly = self._deaths.get(BATCH, 0) >= _TWICE
        if self._deaths.get(WRITING, 0) >= _THRICE:
            self.path.unlink(missing_ok=True)
            raise FiduciaError(
                f"part {number:06d}: {_THRICE} workers ended while they wrote it; use fewer --workers, or a smaller --chunk"
            )
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o644)
            # Blanks fill the mark up to one length, in place of cutting the file: a worker may end between the two.
            self._width = max(os.fstat(self._file).st_size, 96 + 16 * len(self._deaths))
        except OSError as error:
            raise PlaceLost(f"{self.path}: cannot be written ({error.strerror or error}); make room") from None
        self.at(None)

    def at(self, place: int | None) -> None:
        """Mark the unit that is in work, :data:`BATCH`, :data:`WRITING` or nothing.

        Raises:
            PlaceLost: the disk is full.
        """
        data = json.dumps({"run": self.run, "at": place, "deaths": list(self._deaths.items())}).encode()
        try:
            os.pwrite(self._file, data.ljust(self._width), 0)
        except OSError as error:
            raise PlaceLost(f"{self.path}: cannot be written ({error.strerror or error}); make room") from None

    def end(self) -> None:
        """Remove the mark: the chunk is written, or the work was stopped by the user."""
        with contextlib.suppress(OSError):
            os.close(self._file)
        self.path.unlink(missing_ok=True)


def _deaths(path: Path, run: str) -> dict[int, int]:
    """Return how many workers ended at each unit of a chunk, by the mark that they left."""
    try:
        table: dict[str, Any] = json.loads(path.read_bytes())
        deaths = {int(place): int(count) for place, count in table["deaths"]}
        if table["at"] is not None and table["run"] == run:
            deaths[int(table["at"])] = deaths.get(int(table["at"]), 0) + 1
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return deaths
