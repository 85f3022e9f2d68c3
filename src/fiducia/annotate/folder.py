"""The folder of results: who may write into it, and of which run it holds the parts."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import FiduciaError, UsageError
from ..files import write_atomic
from .parts import FACES, PHOTOGRAPHS

__all__ = ["FACTS", "held", "read_facts", "settle"]

FACTS = "annotate.json"
_LOCK = ".lock"


@contextlib.contextmanager
def held(out: Path) -> Iterator[None]:
    """Hold the folder for one run; it is made where it is missing.

    The system lets go of the lock when the program ends, however it ends: a killed run leaves none.

    Raises:
        FiduciaError: another run writes into it.
        UsageError: it cannot be a folder.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        file = os.open(out / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise UsageError(f"--out {out}: cannot be written into ({error.strerror}); choose another") from None
    try:
        if not _locked(file):
            who = os.pread(file, 200, 0).decode(errors="replace").strip() or "another process"
            raise FiduciaError(f"--out {out}: {who} is writing into it; wait until it ends, or choose another")
        os.ftruncate(file, 0)
        os.pwrite(file, f"fiducia annotate (process {os.getpid()} on {socket.gethostname()})\n".encode(), 0)
        yield
        os.ftruncate(file, 0)
    finally:
        os.close(file)


def _locked(file: int) -> bool:
    """Take the lock of an open file; False where another process has it."""
    try:
        import fcntl
    except ImportError:  # Windows has no such locks
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def settle(out: Path, facts: Mapping[str, Any]) -> bool:
    """Write what the run is, or compare with what is there; return whether a run goes on.

    Raises:
        UsageError: a run of other photographs, weights or options, or other files, are there.
        FiduciaError: it cannot be read or written.
    """
    path = out / FACTS
    begun = any(any((out / table).glob("part-*")) for table in (FACES, PHOTOGRAPHS))
    if begun and not path.exists():
        raise UsageError(f"--out {out}: holds results without {FACTS}; choose another folder")
    if not begun:
        # A run that wrote nothing, such as one with a detector that does not exist, binds nobody.
        write_atomic(path, (json.dumps(dict(facts), indent=2) + "\n").encode())
        return False
    before = read_facts(out)
    wanted = json.loads(json.dumps(dict(facts)))
    names = [name for name in sorted({*before, *wanted}) if before.get(name) != wanted.get(name)]
    if names:
        told = "; ".join(f"{name} was {_short(before.get(name))}, now {_short(wanted.get(name))}" for name in names)
        raise UsageError(f"--out {out}: holds another run: {told}; repeat its options, or choose another folder")
    return True


def read_facts(out: Path) -> dict[str, Any]:
    """Return what the run in a folder is.

    Raises:
        FiduciaError: it cannot be read.
    """
    try:
        found = json.loads((out / FACTS).read_bytes())
        if not isinstance(found, dict):
            raise ValueError("no object")
    except (OSError, ValueError) as error:
        raise FiduciaError(f"{out / FACTS}: cannot be read ({error}); choose another folder") from None
    return found


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
