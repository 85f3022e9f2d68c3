"""Where a photograph lies that a label file names, and what its faces are called."""

from __future__ import annotations

import os
import posixpath
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import UsageError

__all__ = ["face_tags", "is_file", "photo_path", "relative_image", "slashed", "user_path"]

_DRIVE = re.compile(r"^[A-Za-z]:/")
_BELOW = ("", "images")
"""Folders below a label file's own in which its photographs are looked for."""


def is_file(path: Path) -> bool:
    """Tell whether a path is a file; False for a name that no file system takes."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def user_path(text: str) -> Path:
    """Return the path that a user gave, ``~`` resolved; there need not be anything.

    Raises:
        UsageError: it is too long for the file system, may not be looked at, or names a user whom nobody knows.
    """
    try:
        path = Path(text).expanduser()
        path.exists()
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{text[:80]!r}: cannot be looked at ({reason}); correct the path") from None
    return path


def slashed(name: str) -> str:
    r"""Return a file's name with forward slashes where it was written on Windows (``photos\one.jpg``)."""
    return name.strip().replace("\\", "/")


def photo_path(folder: Path, name: str) -> Path:
    r"""Return the photograph that a label file in ``folder`` names.

    It is looked for as it stands, below the file's folder and in ``images/`` there; then with ``\`` read as ``/``. Where
    there is none, the first place is returned, and reading it will say so.
    """
    names = dict.fromkeys((name, name.strip(), slashed(name)))
    places = [folder / below / n for n in names for below in _BELOW]
    return next((place for place in places if is_file(place)), folder / slashed(name))


def relative_image(image: Path, folder: Path) -> str:
    """Return a photograph's path as a label file in ``folder`` names it, with forward slashes."""
    try:
        return Path(os.path.relpath(image.resolve(), folder.resolve())).as_posix()
    except (OSError, ValueError):
        # Another drive on Windows: there is no relative path.
        return image.absolute().as_posix()


def face_tags(images: Sequence[str], tags: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Fill in ``id`` and ``photo`` where a file does not give them.

    ``photo`` is the photograph's path below the label file without its ending. What leads out of the file's folder
    (``/``, ``C:``, ``..``) is left out, so that a copy of the faces can be written below any folder. Photographs that
    would share a name keep their endings, or get a number. ``id`` is the same, with the face's number where a photograph
    has several.

    Given ids that count within each photograph (0, 1, … or 1, 2, …), as those of ``fiducia detect`` do, are put behind the
    photograph's name. Other ids stay as they are, even where one stands twice; ``data check`` tells that.

    Args:
        images: the photograph's name of each face, as the file has it.
        tags: what the file says of each face; may hold ``id`` and ``photo``.

    Returns:
        new tags, in the same order. Ids that are made here are unique.
    """
    images = [posixpath.normpath(slashed(image)) for image in images]
    names = _photo_names(list(dict.fromkeys(images)))
    counts = Counter(images)
    within = _count_within(images, tags)
    taken = {str(given["id"]) for given in tags if "id" in given and not within}
    seen: Counter[str] = Counter()
    filled = []
    for image, given in zip(images, tags, strict=True):
        seen[image] += 1
        photo = names[image]
        own = dict(given)
        if within:
            own["id"] = f"{photo}_{given['id']}"
        elif "id" not in given:
            first = f"{photo}_{seen[image]}" if counts[image] > 1 else photo
            own["id"] = _free(first, taken)
            taken.add(own["id"])
        filled.append({"id": own.pop("id"), "photo": photo, **own})
    return filled


def _photo_names(images: Sequence[str]) -> dict[str, str]:
    """Return a name for each different photograph: its path without ending, made unique."""
    paths = {image: _inner(image) for image in images}
    stems = Counter(_stem(path) for path in paths.values())
    names: dict[str, str] = {}
    taken: set[str] = set()
    for image, path in paths.items():
        stem = _stem(path)
        names[image] = _free(path.as_posix() if stems[stem] > 1 else stem, taken)
        taken.add(names[image])
    return names


def _inner(name: str) -> PurePosixPath:
    """Return a path without drive, root, ``.`` and ``..``; at least one part is left."""
    path = PurePosixPath(_DRIVE.sub("", slashed(name)))
    parts = [part for part in path.parts if part not in ("/", "//", ".", "..")]
    return PurePosixPath(*parts) if parts else PurePosixPath("photo")


def _stem(path: PurePosixPath) -> str:
    """Return a path without its ending, or with it where nothing but dots would be left."""
    return (path if set(path.stem) <= {"."} else path.with_name(path.stem)).as_posix()


def _free(name: str, taken: set[str]) -> str:
    """Return a name, with ``~2``, ``~3`` … behind it where it is taken."""
    chosen, number = name, 1
    while chosen in taken:
        number += 1
        chosen = f"{name}~{number}"
    return chosen


def _count_within(images: Sequence[str], tags: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether given ids number the faces of each photograph.

    They do where two photographs share some or all are machine-made, and no face says what its photograph is called:
    ``fiducia detect`` gives such ids, the writers of labels do not.
    """
    if any("photo" in given for given in tags):
        return False
    by_photo: dict[str, list[str]] = {}
    for image, given in zip(images, tags, strict=True):
        by_photo.setdefault(image, []).append(str(given.get("id", "")))
    every = [word for words in by_photo.values() for word in words]
    if len(set(every)) == len(every) and not all(given.get("source") == "auto" for given in tags):
        return False
    return any(all(_is_range(words, first) for words in by_photo.values()) for first in (0, 1))


def _is_range(words: Sequence[str], first: int) -> bool:
    return set(words) == {str(i) for i in range(first, first + len(words))}
