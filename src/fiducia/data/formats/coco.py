"""COCO keypoint JSON, read (``coco:FILE.json``) and written.

As the format has it: ``images`` (``id``, ``file_name`` below the file's folder, ``width``, ``height``), ``annotations``
(``keypoints`` as x, y, v triples; v = 0 unlabelled, 1 occluded, 2 visible; ``bbox`` x y w h) and ``categories``, whose
``keypoints`` name the points. Coordinates are 0-based and taken as they stand. Keys of our own keep what the format cannot
say: ``box`` (x1 y1 x2 y2), ``tags``, a category's ``scheme``; ``source`` and ``weights`` of labels that a machine made.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import FiduciaError
from ...files import write_atomic
from ...schemes.sets import get_scheme, is_none, scheme_names
from ...structures import Record
from ..kinds import LabelError
from ..naming import Meaning, find_declared, meaning
from ..places import face_tags, photo_path, relative_image
from ..sizes import Size, photo_size
from ..source import DatasetSpec, Faces, Fault, datasets, label_writers
from ..values import as_id, as_list, as_number, as_numbers, as_table, as_text, as_triples, read_json, short, show
from .boxes import used_box
from .own import Notes, Placed, at_real_size, declared_scheme, first_of, marks, one_scheme, read_all, scan_all

__all__ = ["coco_faces", "read_coco", "scan_coco", "write_coco"]

_WHAT = "a COCO keypoint JSON file"


def read_coco(root: str, split: str = "all", scheme: str | None = None) -> Faces:
    """Read the faces of a COCO keypoint file, in its order.

    Args:
        root: the JSON file; photographs lie below its folder, or in ``images/`` there.
        split: ``all``, or one that images name under the key ``split``.
        scheme: the landmark set, by name or TOML file.

    Raises:
        FiduciaError: not JSON, a value of a wrong type, or a face with another number of points.
        UsageError: an unknown landmark set or split.
    """
    return read_all("coco", root, _WHAT, coco_faces, split, scheme)


def scan_coco(root: str, split: str = "all", scheme: str | None = None) -> Iterator[Record | Fault]:
    """Yield the faces of a COCO keypoint file, and a fault for each entry that gives none."""
    return scan_all("coco", root, _WHAT, coco_faces, scheme)


@dataclass(frozen=True)
class _Image:
    """An entry of ``images``."""

    name: str
    size: Size | None
    tags: dict[str, Any]


@dataclass(frozen=True)
class _Category:
    """An entry of ``categories``: the points' names, where it has them, and the landmark set that it names."""

    names: list[str] | None
    declared: str | None


def coco_faces(path: Path, scheme: str | None, notes: Notes) -> Iterator[Placed]:
    """Yield the annotations that have key points."""
    table = as_table(read_json(path, _WHAT), f"{path}: the top level (expected images and annotations)")
    images: dict[int | str, _Image] = {}
    yield from _images(path, table, images)
    categories = _categories(path, table)
    info: dict[str, Any] = table["info"] if isinstance(table.get("info"), dict) else {}
    faces: list[tuple[str, dict[str, Any]]] = []
    ids: dict[int | str, str] = {}
    without, faulty = 0, False
    for i, value in enumerate(as_list(table.get("annotations"), f"{path}: annotations")):
        place = f"annotations[{i}]"
        try:
            face = as_table(value, f"{path}: {place}")
            place = f"{place} (id {show(face['id'])})" if "id" in face else place
            if not face.get("keypoints"):
                without += 1
                continue
            as_list(face["keypoints"], f"{path}: {place}: keypoints")
            if "id" in face:
                number = as_id(face["id"], f"{path}: {place}: id")
                if number in ids:
                    notes.say("id", f"{path}: {place} has the id of {ids[number]}; give it another one")
                ids.setdefault(number, place)
        except FiduciaError as error:
            faulty = True
            yield place, error
            continue
        faces.append((place, face))
    if not faces and not faulty:
        raise LabelError("file", f"{path}: no annotation has keypoints; expected x, y, v triples")
    if not faces:
        return
    if without:
        notes.say("unused", f"{path}: {without} annotations have no keypoints and are not used")
    usual = _usual(first_of(len(face["keypoints"]) // 3 for _, face in faces), scheme)
    meanings = _meanings(path, [face for _, face in faces], categories, usual, scheme, notes)
    names, given = [], []
    for _, face in faces:
        image = images.get(face["image_id"]) if isinstance(face.get("image_id"), (int, str)) else None
        own = face["tags"] if isinstance(face.get("tags"), dict) else {}
        names.append(image.name if image is not None else "")
        made = marks({**info, **face})
        given.append({**(image.tags if image is not None else {}), **made, **own})
    for (place, face), tags in zip(faces, face_tags(names, given), strict=True):
        where = f"{path}: {place}"
        try:
            image = _image_of(where, face, images)
            chosen = meanings[_category_of(where, face, categories)]
            notes.order = chosen.order
            yield place, _record(f"{where} in {short(image.name)}", path.parent, face, image, chosen, tags, notes)
        except FiduciaError as error:
            yield place, error


def _images(path: Path, table: dict[str, Any], images: dict[int | str, _Image]) -> Iterator[Placed]:
    """Fill ``images`` by id, and yield the faults of entries that cannot be used."""
    for i, value in enumerate(as_list(table.get("images"), f"{path}: images")):
        place = f"images[{i}]"
        where = f"{path}: {place}"
        try:
            entry = as_table(value, where)
            number = as_id(entry.get("id"), f"{where}: id")
            name = as_text(entry.get("file_name"), f"{where}: file_name")
            if number in images:
                raise LabelError(
                    "id",
                    f"{where} ({short(name)}) has the id {show(number)} of {short(images[number].name)}; give each its own id",
                )
            sides = [entry[key] for key in ("width", "height") if entry.get(key) not in (None, "")]
            numbers = [as_number(side, f"{where}: width and height") for side in sides]
            size = (int(numbers[0]), int(numbers[1])) if len(numbers) == 2 else None
            tags = {"split": str(entry["split"])} if entry.get("split") is not None else {}
            images[number] = _Image(name, size, tags)
        except FiduciaError as error:
            yield place, error


def _categories(path: Path, table: dict[str, Any]) -> dict[int | str, _Category]:
    found: dict[int | str, _Category] = {}
    for i, value in enumerate(as_list(table.get("categories") or [], f"{path}: categories")):
        where = f"{path}: categories[{i}]"
        entry = as_table(value, where)
        names = as_list(entry.get("keypoints") or [], f"{where}: keypoints")
        words = [as_text(name, f"{where}: keypoints[{k}]") for k, name in enumerate(names)]
        declared = entry.get("scheme")
        known = None if not declared else find_declared(as_text(declared, f"{where}: scheme"), path.parent)
        key = as_id(entry.get("id", i), f"{where}: id")
        category = _Category(words or None, known)
        if found.setdefault(key, category) != category:
            raise LabelError("id", f"{where} has the id {show(key)} of another category; give each its own id")
    return found


def _usual(points: int, wanted: str | None) -> int:
    """Return K of a file whose points have no names: what most faces have, or the wanted set's where no set has so many."""
    if wanted is None or is_none(wanted) or any(get_scheme(name).num_points == points for name in scheme_names()):
        return points
    return get_scheme(wanted).num_points


def _category_of(where: str, face: dict[str, Any], categories: dict[int | str, _Category]) -> int | str | None:
    """Return the key of a face's category; None where the file has none that could be meant."""
    if not categories:
        return None
    if face.get("category_id") is None and len(categories) == 1:
        return next(iter(categories))
    key = as_id(face.get("category_id"), f"{where}: category_id")
    if key not in categories:
        raise LabelError("form", f"{where}: category_id {show(key)} is not in categories; correct one")
    return key


def _meanings(
    path: Path,
    faces: Sequence[dict[str, Any]],
    categories: dict[int | str, _Category],
    points: int,
    wanted: str | None,
    notes: Notes,
) -> dict[int | str | None, Meaning]:
    """Return what the points of each category are that faces are of; all must be of one landmark set."""
    used: dict[int | str | None, _Category] = {}
    lengths: dict[int | str | None, set[int]] = {}
    for face in faces:
        try:
            key = _category_of("", face, categories)
        except FiduciaError:
            continue  # told of the face itself
        lengths.setdefault(key, set()).add(len(face["keypoints"]))
        used.setdefault(key, categories[key] if key is not None else _Category(None, None))
    found = {}
    for key, category in used.items():
        count = len(category.names) if category.names is not None else declared_scheme(category.declared) or points
        if 3 * count not in lengths[key] and category.names is not None:
            count = points  # told as a contradiction between names and faces
        found[key] = meaning(str(path), count, category.names, wanted, category.declared)
        notes.meaning(str(path), found[key])
    sets = list(dict.fromkeys(chosen.scheme for chosen in found.values()))
    if len(sets) > 1:
        raise LabelError(
            "scheme",
            f"{path}: its categories are of several landmark sets, {', '.join(sets)}; put each into a file of its own",
        )
    return found


def _image_of(where: str, face: dict[str, Any], images: dict[int | str, _Image]) -> _Image:
    key = as_id(face.get("image_id"), f"{where}: image_id")
    if key not in images:
        raise LabelError(
            "photo",
            f"{where}: the image {show(key)} or its file_name is missing in images; restore it, or take the "
            "annotation out",
        )
    return images[key]


def _record(
    where: str, folder: Path, face: dict[str, Any], image: _Image, chosen: Meaning, tags: dict[str, Any], notes: Notes
) -> Record:
    triples = as_triples(face["keypoints"], f"{where}: keypoints", len(chosen.order))
    odd = np.flatnonzero(~np.isin(triples[:, 2], (0, 1, 2)))
    if len(odd):
        raise LabelError(
            "visibility",
            f"{where}: keypoints[{3 * int(odd[0]) + 2}] is {triples[odd[0], 2]:g}; expected v of 0, 1 or 2",
        )
    if face.get("tags") is not None:
        as_table(face["tags"], f"{where}: tags")
    labelled = int((triples[:, 2] > 0).sum())
    said = face.get("num_keypoints")
    if said is not None and as_number(said, f"{where}: num_keypoints") != labelled:
        notes.say("count", f"{where}: num_keypoints says {show(said)}, but {labelled} points have v > 0")
    triples = triples[list(chosen.order)]
    visible = triples[:, 2].astype(np.int8)
    record = Record(
        image=photo_path(folder, image.name),
        xy=np.where(visible[:, None] > 0, triples[:, :2], np.nan),
        visible=visible,
        scheme=chosen.scheme,
        box=_box(where, face, notes),
        tags=tags,
    )
    return at_real_size(where, record, image.size, notes)


def _box(where: str, face: dict[str, Any], notes: Notes) -> Any:
    """Return the face's box as x1 y1 x2 y2, or None where it has none or one without area."""
    key = "box" if face.get("box") is not None else "bbox"
    if face.get(key) in (None, []):
        return None
    box = as_numbers(face[key], f"{where}: {key}", 4)
    if key == "bbox":
        box[2:] += box[:2]
    form = "x1 y1 x2 y2" if key == "box" else "x y width height"
    return used_box(box, f"{where}: {key} is {show(face[key])}", form, notes)


def write_coco(path: str | Path, records: Sequence[Record]) -> None:
    """Write faces of one landmark set as COCO keypoint JSON; :func:`read_coco` gives back equal records.

    Photographs stay where they are, are named relative to the file, and are opened for their size.

    Raises:
        FiduciaError: no face, faces of several landmark sets, or a photograph that cannot be read.
    """
    path = Path(path)
    name = one_scheme(path, records, "COCO file")
    scheme = get_scheme(name)
    numbers: dict[Path, int] = {}
    images: list[dict[str, Any]] = []
    faces: list[dict[str, Any]] = []
    for record in records:
        if record.image not in numbers:
            numbers[record.image] = len(numbers) + 1
            size = photo_size(record.image)
            if size is None:
                raise FiduciaError(f"{record.image}: no image that can be read; expected the photograph of {record.id}")
            entry = {"id": numbers[record.image], "file_name": relative_image(record.image, path.parent)}
            images.append({**entry, "width": size.shown[0], "height": size.shown[1]})
        faces.append(_annotation(record, len(faces) + 1, numbers[record.image]))
    declared = relative_image(Path(name).expanduser(), path.parent) if name.endswith(".toml") else name
    category = {
        "id": 1,
        "name": "face",
        "supercategory": "person",
        "keypoints": list(scheme.names),
        "skeleton": [[a + 1, b + 1] for a, b in scheme.edges],
        "scheme": declared,
    }
    table = {"images": images, "annotations": faces, "categories": [category]}
    write_atomic(path, (json.dumps(table, indent=1, default=str) + "\n").encode())


def _annotation(record: Record, number: int, image: int) -> dict[str, Any]:
    labelled = np.asarray(np.isfinite(record.xy).all(axis=1))
    keypoints: list[float] = []
    for (x, y), v, known in zip(record.xy.tolist(), record.visible.tolist(), labelled, strict=True):
        keypoints += [x, y, v] if known else [0, 0, 0]
    face: dict[str, Any] = {"id": number, "image_id": image, "category_id": 1, "iscrowd": 0, "keypoints": keypoints}
    face["num_keypoints"] = int((record.visible[labelled] > 0).sum())
    if record.box is not None:
        x1, y1, x2, y2 = record.box.tolist()
        face |= {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "box": [x1, y1, x2, y2]}
    elif labelled.any():
        # COCO's own tools want a box; "box" is empty, so that reading gives None again.
        low, high = record.xy[labelled].min(axis=0), record.xy[labelled].max(axis=0)
        size = high - low
        face |= {"bbox": [*low.tolist(), *size.tolist()], "area": float(size.prod()), "box": []}
    return {**face, **marks(record.tags), "tags": dict(record.tags)}


datasets.register("coco")(
    DatasetSpec(
        name="coco",
        summary="own faces: a COCO keypoint JSON file, photographs beside it",
        splits=(),
        read=read_coco,
        scan=scan_coco,
        parts=("all",),
        fetch="your own file",
    )
)
label_writers.register("coco")(write_coco)
