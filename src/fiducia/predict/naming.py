"""What the files of a run are called: no two inputs share a name, and no table is written over an input."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from ..errors import UsageError
from ..video.frames import camera_number
from .inputs import identity

__all__ = ["check_tables", "result_stems"]

_OWN_SUFFIXES = (".json", ".png", ".pts", ".svg")
"""Endings of files that hold the results of one photograph."""
_VIDEO_SUFFIXES = (".jsonl", ".mp4", ".csv")
"""Endings of files that hold the results of one video."""


def check_tables(folder: Path, names: Iterable[str], originals: Collection[str]) -> None:
    """Refuse a file for all photographs that is an input itself, such as the contact sheet of an earlier run.

    Args:
        folder: of the results.
        names: of these files; ``NAME~2.jpg`` and so on may follow ``NAME.jpg``.
        originals: :func:`fiducia.predict.inputs.identity` of the inputs.

    Raises:
        UsageError: one of them would be replaced.
    """
    beside = {Path(path).name for path in originals if Path(path).parent == Path(identity(str(folder)))}
    for name in map(Path, names):
        follows = re.compile(rf"{re.escape(name.stem)}(~\d+)?{re.escape(name.suffix)}")
        for lost in sorted(filter(follows.fullmatch, beside)):
            raise UsageError(f"{folder / lost}: is an input, and the results would replace it; choose another --out")


def result_stems(
    sources: Sequence[str], tables: Sequence[str], done: Mapping[str, str], videos: frozenset[str] = frozenset()
) -> dict[str, str]:
    """Return source → stem of its results; no two are alike, even where the file system ignores case.

    Args:
        sources: the photographs.
        tables: names of files that hold the results of all.
        done: source → stem of those that an earlier part of the run has written.
        videos: those of the sources that are videos.
    """
    names = {source: _stem(source) for source in sources if source not in done}
    own = _OWN_SUFFIXES + (_VIDEO_SUFFIXES if videos else ())
    taken = {Path(name).stem.casefold() for name in tables if Path(name).suffix in own}
    taken |= {stem.casefold() for stem in done.values()}
    reserved = {name.casefold() for name in names.values()}
    stems = dict(done)
    last: dict[str, int] = {}  # where the search for a free number goes on: ten thousand of one stem take no longer
    for source, name in names.items():
        number = last.get(name.casefold(), 1)
        stem = name if number == 1 else f"{name}~{number}"
        while stem.casefold() in taken or (number > 1 and stem.casefold() in reserved):
            number += 1
            stem = f"{name}~{number}"
        last[name.casefold()] = number
        taken.add(stem.casefold())
        stems[source] = stem
    return stems


def _stem(source: str) -> str:
    number = camera_number(source)
    return Path(source).stem if number is None else f"camera{number}"
