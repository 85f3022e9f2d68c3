"""What ``fiducia detect --format json`` and ``jsonl`` write, read as labels: ``json:FOLDER``, ``json:FILE.json``, ``jsonl:FILE``.

One file, or one line, holds the faces of one photograph: ``image``, ``width``, ``height``, and for each face ``points``, ``box``,
``scheme``, ``id``. ``source``, ``weights`` and ``weights_sha256`` say what made them, and become tags.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import FiduciaError
from ...structures import Record
from ...text import read_text
from ..kinds import LabelError
from ..naming import Meaning, find_declared, meaning
from ..places import face_tags, photo_path
from ..sizes import Size
from ..source import DatasetSpec, Faces, Fault, datasets
from ..values import as_list, as_number, as_numbers, as_table, as_text, parse_json, read_json
from .boxes import used_box
from .folder import SIDECAR
from .own import Notes, Placed, at_real_size, marks, read_all, scan_all

__all__ = ["read_results", "scan_results"]

_WHAT = "a result of fiducia detect, or a folder of them"
_LINES = "a faces.jsonl of fiducia detect"
Result = tuple[str, Path, "dict[str, Any] | FiduciaError"]
"""Where a photograph's object stands, the folder that its name counts from, and the object or what is wrong with it."""


def read_results(root: str, split: str = "all", scheme: str | None = None) -> Faces:
    """Read the faces of results, by the files' names.

    Args:
        root: a folder, searched to any depth, or one file.
        split: ``all`` or ``train``.
        scheme: the landmark set, by name or TOML file.

    Raises:
        FiduciaError: no face, no JSON, or a value of a wrong type; the line gives its place.
        UsageError: an unknown landmark set or split.
    """
    return read_all("json", root, _WHAT, _faces, split, scheme)


def _is_tasks(value: object) -> bool:
    """Tell whether a file is Label Studio's, which may lie in the same folder."""
    return isinstance(value, list) and all(isinstance(task, dict) and "data" in task for task in value)


def scan_results(root: str, split: str = "all", scheme: str | None = None) -> Iterator[Record | Fault]:
    """Yield the faces of results, and a fault for each file or face that gives none."""
    return scan_all("json", root, _WHAT, _faces, scheme)


def _of_macos(file: Path) -> bool:
    """Whether a file is one that macOS puts beside another on a foreign disk, ``._NAME``; a photograph may be called so too."""
    if not file.name.startswith("._"):
        return False
    try:
        with file.open("rb") as stream:
            return stream.read(4) == b"\x00\x05\x16\x07"
    except OSError:
        return False  # reading it tells why


def _faces(path: Path, scheme: str | None, notes: Notes) -> Iterator[Placed]:
    """Yield the faces of a file of one photograph, or of a folder of such files."""

    def tables() -> Iterator[Result]:
        found = (file for file in path.rglob("*.json") if not _of_macos(file))
        for file in sorted(found) if path.is_dir() else [path]:
            try:
                value = read_json(file, _WHAT)
                if path.is_dir() and _is_tasks(value):
                    continue
                table = as_table(value, f"{file}: the top level")
            except FiduciaError as error:
                yield str(file), file.parent, error
                continue
            if not path.is_dir() or {"image", "faces"} <= set(table):
                yield str(file), file.parent, table
            elif "annotations" not in table and file.name != SIDECAR:
                # Results of other formats may lie in the same folder.
                notes.say("unused", f"{file}: holds no image and faces; it is not used")

    yield from faces_of(path, tables(), scheme, notes, _WHAT)


def faces_of(path: Path, tables: Iterable[Result], scheme: str | None, notes: Notes, what: str) -> Iterator[Placed]:
    """Yield the faces of results.

    Args:
        path: what the user named.
        tables: the object of each photograph, or what is wrong with it.
        scheme: the landmark set, by name or TOML file.
        notes: takes what is to be said of them.
        what: what was expected, for errors.

    Raises:
        LabelError: there is no face.
    """
    found: list[tuple[str, Path, str, dict[str, Any], dict[str, Any], Size | None]] = []
    faulty = False
    for file, folder, table in tables:
        try:
            if isinstance(table, FiduciaError):
                raise table
            name = as_text(table.get("image"), f"{file}: image")
            size = _size(file, table)
            for i, value in enumerate(as_list(table.get("faces"), f"{file}: faces")):
                found.append((file, folder, name, table, as_table(value, f"{file}: faces[{i}]"), size))
        except FiduciaError as error:
            faulty = True
            yield file, error
    if not found and not faulty:
        raise LabelError("file", f"{path}: no face found; expected {what}")
    # A photograph is named from its result's folder; results of two folders may name two photographs alike.
    names = [photo_path(folder, name).as_posix() for _, folder, name, *_ in found]
    below = [Path(name).relative_to(path).as_posix() if Path(name).is_relative_to(path) else name for name in names]
    given = [
        {**({"id": str(face["id"])} if isinstance(face.get("id"), int) else {}), **marks({**table, **face})}
        for _, _, _, table, face, _ in found
    ]
    chosen: dict[tuple[int, str], Meaning] = {}
    numbers: dict[str, int] = {}
    for (file, folder, name, _, face, size), tags in zip(found, face_tags(below, given), strict=True):
        numbers[file] = numbers.get(file, -1) + 1
        place = f"{file}: faces[{numbers[file]}]"
        try:
            points = as_list(face.get("points"), f"{place}.points")
            xy = np.array([as_numbers(point, f"{place}.points[{k}]", 2) for k, point in enumerate(points)])
            said = as_text(face["scheme"], f"{place}.scheme") if face.get("scheme") else ""
            key = (len(xy), said)
            if key not in chosen:
                declared = find_declared(said, folder) if said else None
                chosen[key] = meaning(place, len(xy), None, scheme, declared)
                notes.meaning(str(path), chosen[key])
            record = Record(
                image=photo_path(folder, name),
                xy=xy,
                visible=np.full(len(xy), 2, dtype=np.int8),
                scheme=chosen[key].scheme,
                box=_box(place, face, notes),
                tags=tags,
            )
            yield place, at_real_size(place, record, size, notes)
        except FiduciaError as error:
            yield place, error


def _size(file: str, table: dict[str, Any]) -> Size | None:
    sides = [as_number(table[key], f"{file}: {key}") for key in ("width", "height") if table.get(key) is not None]
    return (int(sides[0]), int(sides[1])) if len(sides) == 2 else None


def _box(place: str, face: dict[str, Any], notes: Notes) -> Any:
    if face.get("box") is None:
        return None
    box = as_numbers(face["box"], f"{place}.box", 4)
    return used_box(box, f"{place}.box is {face['box']}", "x1 y1 x2 y2", notes)


def _lines(path: Path, scheme: str | None, notes: Notes) -> Iterator[Placed]:
    """Yield the faces of a file of one object a line."""

    def tables() -> Iterator[Result]:
        for number, line in enumerate(read_text(path, _LINES).split("\n"), 1):
            place = f"{path}: line {number}"
            if line.strip():
                try:
                    yield place, path.parent, as_table(parse_json(line, place, _LINES), place)
                except FiduciaError as error:
                    yield place, path.parent, error

    yield from faces_of(path, tables(), scheme, notes, _LINES)


def _read_lines(root: str, split: str = "all", scheme: str | None = None) -> Faces:
    return read_all("jsonl", root, _LINES, _lines, split, scheme)


def _scan_lines(root: str, split: str = "all", scheme: str | None = None) -> Iterator[Record | Fault]:
    return scan_all("jsonl", root, _LINES, _lines, scheme)


datasets.register("json")(
    DatasetSpec(
        name="json",
        summary="results of fiducia detect: a folder of STEM.json, or one such file",
        splits=(),
        read=read_results,
        scan=scan_results,
        parts=("all",),
        fetch="your own results: fiducia detect --format json",
    )
)

datasets.register("jsonl")(
    DatasetSpec(
        name="jsonl",
        summary="results of fiducia detect: one file, a line for each image",
        splits=(),
        read=_read_lines,
        scan=_scan_lines,
        parts=("all",),
        fetch="your own results: fiducia detect --format jsonl",
    )
)
