"""People's own faces: ``coco:FILE.json``, ``csv:FILE.csv`` and ``pts:FOLDER``; what the three have in common.

An own landmark set is named with ``scheme`` (a TOML file); without it the file's own word counts, then the number of
points, where that tells the set.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import FiduciaError, UsageError
from ...schemes.sets import SchemeError, get_scheme, scheme_names
from ...structures import Record
from ..readers.official import boxes_outside, duplicates
from ..source import Fault

__all__ = ["Placed", "choose_scheme", "choose_split", "face_tags", "relative_image", "scan_list", "whole_list"]

Placed = tuple[str, Record | FiduciaError]
"""Where a face stands in its file, such as ``line 3``, and the face or what is wrong with it."""


def choose_scheme(origin: str, points: int, wanted: str | None, declared: str | None = None) -> str:
    """Return the landmark set that a file's points are in.

    Args:
        origin: the file, for errors.
        points: K, as the file has it.
        wanted: what the user asked for; taken where its count fits, else the points are converted to it later.
        declared: what the file says of itself.

    Raises:
        UsageError: nothing tells which set it is, or what tells it has another number of points.
    """
    if wanted is not None and get_scheme(wanted).num_points == points:
        return wanted
    if declared is not None:
        try:
            scheme = get_scheme(declared)
        except SchemeError as error:
            raise UsageError(f"{origin}: says that it is in {declared!r}; {error}; name its file as scheme") from error
        if scheme.num_points != points:
            raise FiduciaError(f"{origin}: {points} points found, but {declared} has {scheme.num_points}; correct one")
        return declared
    known = [name for name in scheme_names() if get_scheme(name).num_points == points]
    if known:
        return known[0]
    what = (
        f"{wanted} has {get_scheme(wanted).num_points}" if wanted is not None else "no known landmark set has so many"
    )
    raise UsageError(
        f"{origin}: {points} points a face found; {what}; describe yours in a scheme file "
        "(docs/schemes.md) and name it with --scheme, or in a recipe as data.scheme"
    )


def choose_split(origin: str, records: Sequence[Record], split: str) -> list[Record]:
    """Return the faces of a split: those whose ``split`` tag says so; a file without such tags is one split.

    Raises:
        UsageError: the file has no such split. A file without splits is ``all`` and ``train``, never a test set by
            accident.
    """
    if split == "all":
        return list(records)
    names = sorted({str(record.tags["split"]) for record in records if "split" in record.tags})
    if not names and split == "train":
        return list(records)
    chosen = [record for record in records if record.tags.get("split") == split]
    if not chosen:
        there = f"its splits are {', '.join(names)}" if names else "it names no splits"
        raise UsageError(f"{origin}: has no split {split!r}; {there}; use --split all for the whole file")
    return chosen


def face_tags(images: Sequence[str], tags: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Fill in ``id`` and ``photo`` where a file does not give them.

    The photograph is its path below the root without its ending; so is a face's id, with its number where a
    photograph has several.
    """
    counts = Counter(images)
    seen: Counter[str] = Counter()
    filled = []
    for image, given in zip(images, tags, strict=True):
        seen[image] += 1
        path = Path(image)
        stem = (path.parent / path.stem).as_posix()
        number = f"_{seen[image]}" if counts[image] > 1 else ""
        filled.append({"id": f"{stem}{number}", "photo": stem, **given})
    return filled


def whole_list(faces: Iterable[Placed]) -> list[Record]:
    """Return the faces of a file in which nothing is wrong.

    Raises:
        FiduciaError: the first fault.
    """
    records = []
    for _, face in faces:
        if isinstance(face, FiduciaError):
            raise face
        records.append(face)
    return records


def scan_list(origin: str, faces: Iterable[Placed]) -> Iterator[Record | Fault]:
    """Yield the faces of a file and every fault in it; then remarks on boxes elsewhere and faces that stand twice.

    Args:
        origin: the file.
        faces: its faces; what it raises is a fault of the whole file.
    """
    places: dict[str, Record] = {}

    def found() -> Iterator[Record | Fault]:
        try:
            for place, face in faces:
                if isinstance(face, FiduciaError):
                    yield Fault(str(face), broken=True)
                    continue
                places[place] = face
                yield face
        except FiduciaError as error:
            yield Fault(str(error), broken=True)

    yield from boxes_outside(found())
    yield from duplicates(places, origin)


def relative_image(image: Path, folder: Path) -> str:
    """Return a photograph's path as an annotation file in ``folder`` names it, with forward slashes."""
    try:
        return Path(os.path.relpath(image.resolve(), folder.resolve())).as_posix()
    except ValueError:
        # Another drive on Windows: there is no relative path.
        return image.resolve().as_posix()
