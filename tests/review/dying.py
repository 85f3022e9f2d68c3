"""Reviews that are killed (SIGKILL) at a certain place, each in a process of its own: one forks them all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fiducia.data.editing import save
from fiducia.review import journal as journals
from fiducia.review.session import Review, open_review


def opened(source: str) -> tuple[Review, int]:
    """Return a review without a network, and the rank of the data set's first face."""
    review = open_review(source, lambda records: (None, {}), who="anna")
    return review, next(rank for rank, one in enumerate(review.order) if one.index == 0)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def run(source: str, action: str, place: str) -> None:
    """Do something to the first face and die on the way."""
    review, rank = opened(source)
    journal: Any = review.journal
    saving: Any = save
    write = saving.write_atomic
    written: list[Path] = []

    def write_and_die(path: Path, data: bytes) -> None:
        # Copies that are checked and originals that are kept are no labels.
        label = not path.name.startswith(".") and path.suffix != ".orig"
        if label and place == ("between two label files" if written else "before the label file"):
            die()
        write(path, data)
        if label:
            written.append(path)

    saving.write_atomic = write_and_die
    if place == "list":
        listing: Any = journals
        listing.write_atomic = lambda path, data: die()
    if place == "inside the journal":
        file = journal._file

        class Half:
            def __getattr__(self, name: str) -> Any:
                return getattr(file, name)

            def write(self, data: memoryview) -> int:
                file.write(data[: len(data) // 2])
                die()
                return 0

        journal._file = Half()
    if place == "after the label files":
        # The entry is taken for done once the files are written.
        type(journal)._take = lambda self, entry: die()
    act: dict[str, Callable[[], object]] = {
        "edit": lambda: review.edit(rank, {1: (11.5, 12.25, 1)}),
        "undo": review.undo,
        "reject": lambda: review.judge(rank, "reject"),
        "reopen": lambda: review.judge(rank, "reopen"),
    }
    act[action]()
    raise AssertionError(f"{action} did not die {place}")


def kill_all(cases: Sequence[tuple[str, str, str]]) -> None:
    """Run cases of source, action and place, and see that each was killed."""
    words = [word for case in cases for word in case]
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run(
        [sys.executable, __file__, *words],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr


if __name__ == "__main__":
    words = sys.argv[1:]
    for case in zip(words[::3], words[1::3], words[2::3], strict=True):
        child = os.fork()
        if not child:
            try:
                run(*case)
            except BaseException:
                traceback.print_exc()
            os._exit(1)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
            sys.exit(f"{case}: ended with {status}")
