"""SRC as a user writes it (folders, globs, braces, shards, tables, videos) → the photographs and videos in it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from glob import glob, has_magic
from pathlib import Path

from ..errors import FiduciaError, UsageError
from ..predict.inputs import expand
from ..video.frames import is_video
from . import shards, tables
from .units import FAULT, FILE, VIDEO, Unit

__all__ = ["collect"]

_REMOTE = re.compile(r"(?:[a-z][a-z0-9+.-]*://|pipe:)", re.IGNORECASE)
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")


def collect(inputs: Sequence[str], out: Path, column: str = "image") -> list[Unit]:
    """Return everything to annotate, in a fixed order; what cannot be used is a unit that says why.

    Args:
        inputs: folders (searched to any depth), files, globs such as ``photos/**/*.jpg``, and braces such as
            ``shard-{000..099}.tar``. Files that end in ``.tar``, ``.tar.gz`` or ``.tgz`` are shards, in ``.parquet`` tables.
        out: folder of the results; nothing in it is read.
        column: of Parquet files, holds the image bytes.

    Raises:
        UsageError: an address of a network, a glob without a match, or a Parquet file without the column.
        FiduciaError: nothing can be used at all.
    """
    names = [name for word in inputs for name in _names(os.fspath(word))]
    sources, complaints = expand(names, out, shards.SUFFIXES | tables.SUFFIXES)
    named = set(names)
    units: list[Unit] = []
    for source in sources:
        if source in named or not source.lower().endswith(".gz") or shards.is_shard(source):
            units += _units(source, column)
    units += [Unit(name, FAULT, str(Path(name).absolute()), error=text) for name, text in complaints]
    faults = [unit.error for unit in units if unit.kind == FAULT]
    if len(faults) == len(units):
        more = f" (and {len(faults) - 1:,} more)" if len(faults) > 1 else ""
        raise FiduciaError(f"{faults[0]}{more}" if faults else "no photographs; expected a folder, a glob or files")
    return units


def _units(source: str, column: str) -> list[Unit]:
    """Return what one file holds."""
    path = str(Path(source).absolute())
    if not os.path.lexists(source):
        return [Unit(source, FAULT, path, error=f"{source}: no such file or folder")]
    if shards.is_shard(source):
        return shards.members(source, path)
    if tables.is_table(source):
        return tables.rows(source, path, column)
    return [Unit(source, VIDEO if is_video(source) else FILE, path, size=_size(path))]


def _size(path: str) -> int:
    """Return the bytes of a file; 0 where that cannot be told, which its reading says."""
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0


def _names(word: str) -> list[str]:
    """Return the paths that a word stands for."""
    if _REMOTE.match(word):
        raise UsageError(f"{word}: an address; expected files of this machine; download them or mount their folder")
    if os.path.lexists(word):
        return [word]
    names = list(_braces(word))
    if has_magic(word):
        found = [path for name in names for path in sorted(glob(name, recursive=True))]  # noqa: PTH207
        if not found:
            raise UsageError(f"{word}: no file matches; expected a folder, a glob such as 'photos/**/*.jpg' or files")
        return found
    return names


def _braces(word: str) -> Iterator[str]:
    """Yield the words that braces stand for, as a shell does: ``{a,b}`` and ``{000..012}``."""
    found = _BRACES.search(word)
    if not found:
        yield word
        return
    inner = found.group(1)
    span = _RANGE.fullmatch(inner)
    if span:
        first, last = span.groups()
        step = 1 if int(last) >= int(first) else -1
        width = len(first) if first.startswith("0") or len(first) == len(last) else 0
        parts = [str(n).zfill(width) for n in range(int(first), int(last) + step, step)]
    else:
        parts = inner.split(",")
    if len(parts) == 1 and not span:
        for rest in _braces(word[found.end() :]):
            yield word[: found.end()] + rest
        return
    for part in parts:
        yield from _braces(word[: found.start()] + part + word[found.end() :])
