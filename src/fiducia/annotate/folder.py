"""The folder of results: of which run it holds the parts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import FiduciaError, UsageError
from ..files import write_atomic
from .parts import FACES, PHOTOGRAPHS

__all__ = ["DIGEST", "FACTS", "read_facts", "settle"]

FACTS = "annotate.json"
DIGEST = "photographs_digest"
"""The fact that is the same only for the same images."""


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
        told = "; ".join(_told(name, before.get(name), wanted.get(name)) for name in names if _says(name, names))
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


def _says(name: str, names: list[str]) -> bool:
    """Whether a difference tells the user something: other images have another digest, whatever else is told of them."""
    return name != DIGEST or not {"photographs", "form"} & set(names)


def _told(name: str, before: Any, now: Any) -> str:
    if name == DIGEST:
        return "the images have other names, another order or other sizes"
    return f"{name} was {_short(before)}, now {_short(now)}"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
