"""A folder of photographs and ``.pts`` files, read (``pts:FOLDER``) and written.

``STEM.pts`` belongs to the photograph ``STEM`` beside it; where there is none, ``STEM_1.pts``, ``STEM_2.pts`` … are the
faces of one photograph ``STEM``. Folders may be nested.

``.pts`` holds nothing but points. What else is known of the faces stands in ``pts.json`` in the folder, which is written
with them and read where it is there: for each ``.pts`` file its photograph, id, box, visibility, tags and landmark set.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import FiduciaError, UsageError
from ...files import open_output, read_bytes, write_atomic
from ...structures import Record
from ...tars import member_of
from ..blocks import LARGEST
from ..kinds import LabelError
from ..naming import find_declared, meaning
from ..places import is_file, photo_path, relative_image
from ..source import DatasetSpec, Faces, Fault, datasets, existing_root, label_writers
from ..values import as_numbers, as_table, as_text, read_json
from .own import Notes, at_real_size, choose_split, first_of, kind_of, one_scheme
from .pts import pts_text, read_pts

__all__ = ["SIDECAR", "folder_faces", "read_folder", "scan_folder", "sidecar_text", "write_folder"]

SIDECAR = "pts.json"
"""What is known of the faces of a folder besides their points."""
_IMAGES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
_WHAT = "a folder of photographs and .pts files"


def scan_folder(root: str, split: str = "all", scheme: str | None = None) -> Iterator[Record | Fault]:
    """Yield the faces of a folder in the order of their paths, and a fault for each file that gives none."""
    yield from folder_faces(existing_root("pts", root, _WHAT), scheme, Notes())


def read_folder(root: str, split: str = "all", scheme: str | None = None) -> Faces:
    """Read every face of a folder.

    Raises:
        FiduciaError: no face, a broken ``.pts``, or faces of different numbers of points.
        UsageError: an unknown landmark set, or a split other than ``all`` and ``train``.
    """
    base = existing_root("pts", root, _WHAT)
    notes = Notes()
    records: list[Record] = []
    remarks: list[str] = []
    for found in folder_faces(base, scheme, notes):
        if isinstance(found, Record):
            records.append(found)
        elif found.broken:
            raise (UsageError if found.kind == "scheme" else FiduciaError)(found.message)
        elif found.kind != "unused":
            remarks.append(found.message)
    if not records:
        raise FiduciaError(f"{root}: no face found; expected photographs with a .pts file of the same name beside each")
    return Faces(choose_split(root, records, split), remarks, notes.assumed)


def folder_faces(base: Path, scheme: str | None, notes: Notes) -> Iterator[Record | Fault]:
    """Yield the faces of a folder, and what cannot be used of it."""
    if not base.is_dir():
        yield Fault(f"{base}: is a file; expected {_WHAT}", broken=True, kind="file")
        return
    # By their paths without endings: with_suffix("") would cut "a.b" down to "a".
    images = {p.parent / p.stem: p for p in sorted(base.rglob("*")) if p.suffix.lower() in _IMAGES}
    try:
        known = _sidecar(base)
    except FiduciaError as error:
        yield Fault(str(error), broken=True, kind=kind_of(error, "file"))
        return
    # Hidden files are another system's (._a.pts of macOS), unless the folder's JSON names them.
    paths = sorted(
        p
        for p in base.rglob("*")
        if p.suffix.lower() == ".pts" and (p.name[0] != "." or p.relative_to(base).as_posix() in known)
    )
    used: set[Path] = set()
    points: dict[Path, Any] = {}
    broken: list[Fault] = []
    for path in paths:
        try:
            points[path] = read_pts(path)
        except FiduciaError as error:
            broken.append(Fault(str(error), broken=True, kind=kind_of(error)))
    # The most frequent number of points is the folder's; a file with another one is the odd one.
    count = first_of(len(xy) for xy in points.values()) if points else 0
    records: list[Record] = []
    chosen: dict[str, Any] = {}
    for path, xy in points.items():
        facts = known.get(path.relative_to(base).as_posix(), {})
        image = _image(base, path, facts, images)
        if image is None:
            yield Fault(
                f"{path}: no photograph {path.stem}.jpg or .png beside it; restore it", broken=False, kind="photo"
            )
            continue
        used.add(image.resolve())
        try:
            if len(xy) != count:
                raise LabelError(
                    "form",
                    f"{path}: {len(xy)} points found, {count} expected as in most of the folder; is it of another "
                    "landmark set? put it into a folder of its own",
                )
            declared = str(facts.get("scheme") or "")
            if declared not in chosen:
                said = find_declared(declared, base) if declared else None
                chosen[declared] = meaning(str(path), count, None, scheme, said)
                notes.meaning(str(base), chosen[declared])
            record = _record(base, path, image, xy, chosen[declared].scheme, facts)
            record = at_real_size(str(path), record, facts.get("size"), notes)
        except FiduciaError as error:
            kind = "scheme" if isinstance(error, UsageError) else kind_of(error)
            broken.append(Fault(str(error), broken=True, kind=kind))
            continue
        records.append(record)
        notes.file = path
        yield record
    yield from sorted(broken, key=lambda fault: fault.message)
    for image in sorted(path for path in images.values() if path.resolve() not in used):
        yield Fault(f"{image}: no .pts file belongs to it; the photograph is not used", broken=False, kind="unused")
    yield from notes.all(str(base), records)


def _image(base: Path, path: Path, facts: Mapping[str, Any], images: Mapping[Path, Path]) -> Path | None:
    """Return the photograph of a ``.pts`` file: the one that the folder's JSON names, else the one beside it."""
    if "image" in facts:
        named = photo_path(base, facts["image"])
        if is_file(named):
            return named
    stem, _, number = path.stem.rpartition("_")
    image = images.get(path.parent / path.stem)
    return images.get(path.parent / stem) if image is None and number.isdigit() else image


def _sidecar(base: Path) -> dict[str, dict[str, Any]]:
    """Return what the folder's JSON says of each ``.pts`` file; nothing where there is none.

    Raises:
        LabelError: it is no such file; a face that is written wrongly is told by its own key.
    """
    path = base / SIDECAR
    if not is_file(path):
        return {}
    table = as_table(read_json(path, "a JSON object of faces"), f"{path}: the top level")
    known: dict[str, dict[str, Any]] = {}
    for name, value in as_table(table.get("faces"), f"{path}: faces").items():
        where = f"{path}: faces[{name[:60]!r}]"
        entry = as_table(value, where)
        facts: dict[str, Any] = {"tags": as_table(entry.get("tags") or {}, f"{where}.tags")}
        facts["image"] = as_text(entry.get("image"), f"{where}.image")
        if entry.get("scheme") or table.get("scheme"):
            facts["scheme"] = as_text(entry.get("scheme") or table["scheme"], f"{where}.scheme")
        if entry.get("box"):
            facts["box"] = as_numbers(entry["box"], f"{where}.box", 4)
            if (facts["box"][2:] <= facts["box"][:2]).any():
                raise LabelError("box", f"{where}.box is {entry['box']}; expected x1 y1 x2 y2 with a positive size")
        if entry.get("visible"):
            facts["visible"] = as_numbers(entry["visible"], f"{where}.visible")
            if not np.isin(facts["visible"], (1, 2)).all():
                raise LabelError("visibility", f"{where}.visible: expected 1 (occluded) or 2 (visible) a point")
        if entry.get("size"):
            width, height = as_numbers(entry["size"], f"{where}.size", 2).tolist()
            facts["size"] = (int(width), int(height))
        known[name] = facts
    return known


def _record(base: Path, path: Path, image: Path, xy: Any, scheme: str, facts: Mapping[str, Any]) -> Record:
    place = path.relative_to(base)
    photo = image.relative_to(base) if image.is_relative_to(base) else Path(image.name)
    own = {"id": (place.parent / place.stem).as_posix(), "photo": (photo.parent / photo.stem).as_posix()}
    visible = facts.get("visible")
    if visible is not None and len(visible) != len(xy):
        raise LabelError(
            "form",
            f"{base / SIDECAR}: faces[{place.as_posix()!r}].visible holds {len(visible)} codes for {len(xy)} points",
        )
    return Record(
        image=image,
        xy=xy,
        visible=np.full(len(xy), 2, dtype=np.int8) if visible is None else visible.astype(np.int8),
        scheme=scheme,
        box=facts.get("box"),
        tags={**own, **facts.get("tags", {})},
    )


def sidecar_text(faces: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Return the folder's JSON of faces by the path of their ``.pts`` file: image, size, scheme, and box, visible, tags."""
    return (json.dumps({"faces": faces}, indent=1, default=str) + "\n").encode()


def write_folder(folder: str | Path, records: Sequence[Record]) -> None:
    """Write ``ID.pts`` for each face, its photograph once, and the rest as JSON; :func:`read_folder` gives back equal faces.

    The photograph is copied to its tag ``photo`` with its own ending, or to ``ID`` where several photographs share that.

    Raises:
        FiduciaError: an unlabelled point, ids that are alike, faces of several landmark sets, or a photograph that cannot
            be copied.
        UsageError: an id that would leave the folder.
    """
    folder = Path(folder)
    scheme = one_scheme(folder, records, "folder of .pts files")
    declared = relative_image(Path(scheme).expanduser(), folder) if scheme.endswith(".toml") else scheme
    copies = _copies(folder, records)
    twice = [name for name, count in Counter(record.id.casefold() for record in records).items() if count > 1]
    if twice:
        raise FiduciaError(f"{folder}: the id {twice[0]!r} stands for two faces; give each its own, or write COCO")
    texts: list[tuple[Path, bytes]] = []
    for record in records:
        target = _inside(folder, record.id)
        try:
            texts.append((target.with_name(f"{target.name}.pts"), pts_text(record.xy).encode()))
        except FiduciaError as error:
            raise FiduciaError(f"{record.id}: {error}") from error
    # Nothing is written before all of it can be.
    faces: dict[str, dict[str, Any]] = {}
    done: set[Path] = set()
    for record, (path, text) in zip(records, texts, strict=True):
        copy = copies[record.image]
        try:
            write_atomic(path, text)
            if member_of(record.image) is not None and copy not in done:
                write_atomic(copy, read_bytes(record.image, LARGEST, "an image"))
            elif copy not in done and not (is_file(copy) and copy.samefile(record.image)):
                with record.image.open("rb") as source, open_output(copy) as file:
                    shutil.copyfileobj(source, file)
            done.add(copy)
        except FiduciaError as error:
            raise FiduciaError(f"{record.id}: {error}") from error
        except (OSError, ValueError) as error:
            raise FiduciaError(f"{record.image}: cannot be copied into {folder} ({error})") from error
        entry: dict[str, Any] = {"image": relative_image(copy, folder), "scheme": declared}
        if record.box is not None:
            entry["box"] = record.box.tolist()
        if (record.visible != 2).any():
            entry["visible"] = record.visible.tolist()
        faces[Path(os.path.normpath(path)).relative_to(os.path.normpath(folder)).as_posix()] = {
            **entry,
            "tags": dict(record.tags),
        }
    write_atomic(folder / SIDECAR, sidecar_text(faces))


def _copies(folder: Path, records: Sequence[Record]) -> dict[Path, Path]:
    """Return where each photograph is copied to."""
    photos: dict[str, set[Path]] = {}
    for record in records:
        photos.setdefault(str(record.tags.get("photo", record.id)), set()).add(record.image)
    copies: dict[Path, Path] = {}
    for record in records:
        photo = str(record.tags.get("photo", record.id))
        target = _inside(folder, photo if len(photos[photo]) == 1 else record.id)
        copies.setdefault(record.image, target.with_name(f"{target.name}{record.image.suffix}"))
    alike = Counter(str(copy).casefold() for copy in copies.values())
    for image, copy in copies.items():
        if alike[str(copy).casefold()] > 1:
            raise FiduciaError(f"{image}: another photograph would be copied to {copy} too; give their faces other ids")
    return copies


def _inside(folder: Path, name: str) -> Path:
    """Return the path of a face or photograph below the folder.

    Raises:
        UsageError: it would lie outside.
    """
    target = folder / name
    if not name.strip("/. ") or "\0" in name or not target.resolve().is_relative_to(folder.resolve()):
        raise UsageError(f"{folder}: the face {name!r} would be written outside of it; give it another id")
    return target


datasets.register("pts")(
    DatasetSpec(
        name="pts",
        summary="own faces: a folder of photographs with .pts files beside them",
        splits=(),
        read=read_folder,
        scan=scan_folder,
        parts=("all",),
        fetch="your own folder",
    )
)
label_writers.register("pts")(write_folder)
