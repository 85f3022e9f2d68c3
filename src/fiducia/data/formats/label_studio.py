"""Label Studio's JSON export, read (``labelstudio:FILE.json``) and written.

A list of tasks, each with ``data.image`` and ``annotations[0].result``: regions of the type ``keypointlabels`` are points
by name, ``x`` and ``y`` in percent of the picture's width and height, counted from its border. Points whose ``parentID`` is a
region of the type ``rectanglelabels`` are one face, and that is its box; points without a parent are one face. A point
that is not there is not labelled. A task without annotations is read from ``predictions[0]``, which a machine made. Keys of
our own, in ``meta`` of a region and in ``data``, keep what the format cannot say: ``visible``, ``tags``, ``scheme``.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import FiduciaError
from ...files import write_atomic
from ...geometry import tight_box, upright_box
from ...schemes.sets import get_scheme
from ...structures import Record
from ..kinds import LabelError
from ..naming import Meaning, all_names, find_declared, meaning
from ..places import face_tags, is_file, photo_path, relative_image
from ..sizes import Size, photo_size
from ..source import DatasetSpec, Faces, Fault, datasets, label_writers
from ..values import as_list, as_number, as_table, as_text, read_json, short, show
from .own import Notes, Placed, at_real_size, marks, one_scheme, read_all, scan_all

__all__ = [
    "RegionFace",
    "face_regions",
    "label_studio_faces",
    "placed_regions",
    "read_label_studio",
    "scan_label_studio",
    "write_label_studio",
]

_WHAT = "a JSON export of Label Studio (a list of tasks)"
_IMAGE_KEYS = ("image", "img", "photo", "picture")
# An uploaded file's name is stored behind eight digits of its own: /data/upload/1/1a2b3c4d-photo.jpg.
_UPLOADED = re.compile(r"[0-9a-f]{8}-")


@dataclass
class RegionFace:
    """The regions of one face.

    Attributes:
        place: for errors.
        image: the photograph's name.
        keys: where the list of its regions stands: task, ``annotations`` or ``predictions``, and which one of them.
        points: x and y in percent and the visibility of each point by name.
        spots: name → the point's region, by its place in the list.
        parent: the id of the face's rectangle; empty = none.
        last: the place of its last region in the list.
        box: its rectangle, x1 y1 x2 y2 in percent, before it is turned.
        turn: degrees by which the rectangle is turned about its upper left corner, clockwise.
    """

    place: str
    image: str
    keys: tuple[int, str, int] = (0, "annotations", 0)
    points: dict[str, tuple[float, float, int]] = field(default_factory=dict)
    spots: dict[str, int] = field(default_factory=dict)
    parent: str = ""
    last: int = 0
    box: list[float] | None = None
    turn: float = 0.0
    size: Size = (0, 0)
    tags: dict[str, Any] = field(default_factory=dict)


def read_label_studio(root: str, split: str = "all", scheme: str | None = None) -> Faces:
    """Read the faces of a Label Studio export, in its order.

    Args:
        root: the JSON file; photographs lie below its folder, or in ``images/`` there.
        split: ``all``, or one that the faces' tags name.
        scheme: the landmark set, by name or TOML file.

    Raises:
        FiduciaError: not JSON, a value of a wrong type, or names of points that fit no landmark set.
        UsageError: an unknown landmark set or split.
    """
    return read_all("labelstudio", root, _WHAT, label_studio_faces, split, scheme)


def scan_label_studio(root: str, split: str = "all", scheme: str | None = None) -> Iterator[Record | Fault]:
    """Yield the faces of a Label Studio export, and a fault for each task or region that gives none."""
    return scan_all("labelstudio", root, _WHAT, label_studio_faces, scheme)


def label_studio_faces(path: Path, scheme: str | None, notes: Notes) -> Iterator[Placed]:
    """Yield the faces of an export, by the tasks and the parents of their points."""
    faces: list[RegionFace] = []
    declared: list[str] = []
    faulty = False
    for fault in _tasks(path, notes, faces, declared):
        faulty = True
        yield fault
    if not faces:
        if not faulty:
            raise LabelError("file", f"{path}: no region of the type keypointlabels; expected {_WHAT}")
        return
    names, chosen = _named(path, faces, scheme, declared)
    notes.meaning(str(path), chosen)
    notes.order = chosen.order
    images = [face.image for face in faces]
    for face, tags in zip(faces, face_tags(images, [face.tags for face in faces]), strict=True):
        try:
            yield face.place, _record(path, face, names, chosen, tags, notes)
        except FiduciaError as error:
            yield face.place, error


def placed_regions(path: Path, scheme: str | None) -> tuple[list[RegionFace], list[str]]:
    """Return the faces of :func:`label_studio_faces` with the places of their regions, and the names of all points."""
    faces: list[RegionFace] = []
    declared: list[str] = []
    for _, fault in _tasks(path, Notes(), faces, declared):
        if isinstance(fault, FiduciaError):
            raise fault
    return faces, _named(path, faces, scheme, declared)[0]


def _named(
    path: Path, faces: Sequence[RegionFace], scheme: str | None, declared: Sequence[str]
) -> tuple[list[str], Meaning]:
    """Return the names of all points of an export, and which landmark set they are of."""
    said = declared[0] if declared else None
    names = all_names(list(dict.fromkeys(name for face in faces for name in face.points)), scheme, said)
    return names, meaning(str(path), len(names), names, scheme, said)


def _tasks(path: Path, notes: Notes, faces: list[RegionFace], declared: list[str]) -> Iterator[Placed]:
    """Fill in the faces and the landmark sets that the tasks name, and yield the tasks that cannot be used."""
    for i, value in enumerate(as_list(read_json(path, _WHAT), f"{path}: the top level")):
        place = f"tasks[{i}]"
        try:
            task = as_table(value, f"{path}: {place}")
            data = as_table(task.get("data"), f"{path}: {place}: data")
            if data.get("scheme"):
                declared.append(find_declared(as_text(data["scheme"], f"{path}: {place}: scheme"), path.parent))
            faces += _of_task(path, i, task, _image(path, place, data), notes)
        except FiduciaError as error:
            yield place, error


def _image(path: Path, place: str, data: dict[str, Any]) -> str:
    """Return the photograph's name of a task, as it lies on disk where that is found."""
    key = next((k for k in _IMAGE_KEYS if k in data), None)
    if key is None:
        key = next((k for k, v in data.items() if isinstance(v, str) and k != "scheme"), "image")
    name = as_text(data.get(key), f"{path}: {place}: data.{key}")
    # Local storage is served as /data/local-files/?d=FOLDER/NAME.
    name = name.partition("?d=")[2] or name
    last = name.rpartition("/")[2]
    spellings = (name, name.lstrip("/"), last, _UPLOADED.sub("", last, count=1))
    return next((n for n in spellings if n and is_file(photo_path(path.parent, n))), name)


def _of_task(path: Path, number: int, task: dict[str, Any], image: str, notes: Notes) -> list[RegionFace]:
    """Return the faces of a task, by the parents of their points."""
    place = f"tasks[{number}]"
    annotations = as_list(task.get("annotations") or [], f"{path}: {place}: annotations")
    done = [a for a in annotations if isinstance(a, dict) and not a.get("was_cancelled")]
    machine = not done
    if machine:
        done = as_list(task.get("predictions") or [], f"{path}: {place}: predictions")
    if len(done) > 1:
        notes.say("unused", f"{path}: {place} has {len(done)} annotations; the first one is used")
    if not done:
        notes.say("unused", f"{path}: {place} has no annotation and is not used")
        return []
    where = f"{path}: {place}"
    first = as_table(done[0], f"{where}: annotations[0]")
    keys = (number, "predictions", 0) if machine else (number, "annotations", annotations.index(first))
    made = {"source": "auto", "weights": str(first.get("model_version") or "")} if machine else {}
    faces: dict[str, RegionFace] = {}
    told: set[str] = set()
    others: Counter[str] = Counter()
    regions = [
        as_table(r, f"{where}: result[{i}]") for i, r in enumerate(as_list(first.get("result"), f"{where}: result"))
    ]
    for i, region in enumerate(regions):
        spot = f"{where}: result[{i}]"
        box = region.get("type") in ("rectanglelabels", "rectangle")
        if not box and region.get("type") != "keypointlabels":
            others[str(region.get("type"))] += 1
            continue
        value = as_table(region.get("value"), f"{spot}.value")
        key = str(region.get("id") if box else region.get("parentID") or "")
        face = faces.setdefault(key, RegionFace(f"{place}, face {len(faces) + 1}", image, keys, tags=marks(made)))
        face.parent, face.last = key, i
        turned = as_number(region.get("image_rotation") or 0, f"{spot}.image_rotation")
        if turned % 360:
            raise LabelError(
                "form",
                f"{spot}.image_rotation is {show(region['image_rotation'])}: it was labelled on the image turned in Label "
                "Studio; turn the image's file instead, and label it again there with the rotation 0",
            )
        sides = [
            as_number(region.get(f"original_{side}", 0), f"{spot}.original_{side}") for side in ("width", "height")
        ]
        size = (int(sides[0]), int(sides[1]))
        if face.size != (0, 0) and size != face.size:
            raise LabelError(
                "size",
                f"{spot}: original_width and original_height are {size[0]} x {size[1]}, but {face.size[0]} x {face.size[1]} "
                "of the face's other regions; correct one",
            )
        face.size = size
        meta = region["meta"] if isinstance(region.get("meta"), dict) else {}
        x, y = (as_number(value.get(axis), f"{spot}.value.{axis}") for axis in "xy")
        if box:
            w, h = (as_number(value.get(side), f"{spot}.value.{side}") for side in ("width", "height"))
            face.box = None if meta.get("box") is False else [x, y, x + w, y + h]
            face.turn = as_number(value.get("rotation") or 0, f"{spot}.value.rotation")
            if meta.get("tags") is not None:
                face.tags |= as_table(meta["tags"], f"{spot}.meta.tags")
                told.add(key)
            continue
        labels = as_list(value.get("keypointlabels"), f"{spot}.value.keypointlabels")
        name = as_text(labels[0] if labels else None, f"{spot}.value.keypointlabels[0]")
        if name in face.points:
            raise LabelError(
                "names",
                f"{spot}: the point {name[:40]!r} stands twice in one face; draw a rectangle round each face and "
                "make it the parent of its points",
            )
        code = meta.get("visible", 2)
        if isinstance(code, bool) or code not in (1, 2):
            raise LabelError("visibility", f"{spot}.meta.visible is {show(code)}; expected 1 (occluded) or 2 (visible)")
        face.points[name] = (x, y, int(code))
        face.spots[name] = i
    for kind, count in others.items():
        notes.say(
            "unused", f"{where}: {count} regions of the type {short(kind)} are neither points nor boxes; not used"
        )
    # Only what was written by us may be a face of which no point is labelled.
    empty = {key for key, face in faces.items() if not face.points and key not in told}
    if empty:
        notes.say("unused", f"{where}: {len(empty)} rectangles are the parent of no point; not used")
    return [face for key, face in faces.items() if key not in empty]


def _record(
    path: Path, face: RegionFace, names: Sequence[str], chosen: Meaning, tags: dict[str, Any], notes: Notes
) -> Record:
    where = f"{path}: {face.place}"
    image = photo_path(path.parent, face.image)
    there = photo_size(image)
    size = face.size if face.size != (0, 0) else there.shown if there is not None else None
    if size is None:
        raise LabelError("photo", f"{where}: gives no original_width and original_height, and {image} cannot be read")
    values = np.array([face.points.get(names[i], (np.nan, np.nan, 0)) for i in chosen.order])
    scale = np.array(size) / 100
    box = None
    if face.box is not None:
        box = np.array(face.box) * np.tile(scale, 2) - 0.5
        if (box[2:] < box[:2]).any():
            raise LabelError("box", f"{where}: the rectangle has a negative size; draw it again")
        if (box[2:] == box[:2]).any():
            notes.say("empty-box", f"{where}: the rectangle has no area; it is not used")
            box = None
        elif face.turn % 360:
            box = upright_box(box, math.radians(face.turn), box[:2])
    record = Record(
        image=image,
        xy=values[:, :2] * scale - 0.5,
        visible=values[:, 2].astype(np.int8),
        scheme=chosen.scheme,
        box=box,
        tags=tags,
    )
    return at_real_size(where, record, size, notes)


def write_label_studio(path: str | Path, records: Sequence[Record]) -> None:
    """Write faces of one landmark set as tasks for Label Studio; :func:`read_label_studio` gives back equal records.

    Points come back to within rounding (1e-9 pixels), for the format counts in percent. Labels that a machine made are
    written as annotations too, so that people can correct them; their mark stands in the tags.

    Raises:
        FiduciaError: no face, faces of several landmark sets, or a photograph that cannot be read for its size.
    """
    path = Path(path)
    scheme = one_scheme(path, records, "Label Studio file")
    declared = relative_image(Path(scheme).expanduser(), path.parent) if scheme.endswith(".toml") else scheme
    names = get_scheme(scheme).names
    tasks: dict[Path, dict[str, Any]] = {}
    for number, record in enumerate(records):
        there = photo_size(record.image)
        if there is None:
            raise FiduciaError(f"{record.image}: no image that can be read; expected the photograph of {record.id}")
        if record.image not in tasks:
            data = {"image": relative_image(record.image, path.parent), "scheme": declared}
            tasks[record.image] = {"id": len(tasks) + 1, "data": data, "annotations": [{"result": []}]}
        tasks[record.image]["annotations"][0]["result"] += face_regions(record, names, there.shown, f"face{number}")
    write_atomic(path, (json.dumps(list(tasks.values()), indent=1, default=str) + "\n").encode())


def face_regions(record: Record, names: Sequence[str], size: Size, parent: str) -> list[dict[str, Any]]:
    """Return Label Studio's regions of a face: a rectangle, and a key point for each known point with it as parent.

    Args:
        record: the face.
        names: of its points.
        size: (width, height) of the image as it is shown.
        parent: the rectangle's id, unique in the task.
    """
    shared = {"to_name": "image", "original_width": size[0], "original_height": size[1], "image_rotation": 0}
    percent = 100 / np.array(size, dtype=np.float64)
    known = np.asarray(np.isfinite(record.xy).all(axis=1)) & (record.visible > 0)
    # Without a box of its own a face still needs a parent for its points; the mark says that it is no box.
    box = record.box if record.box is not None else tight_box(record.xy) if known.any() else np.array([0.0, 0, 1, 1])
    x, y, right, below = ((box + 0.5) * np.tile(percent, 2)).tolist()
    meta = {"tags": dict(record.tags), **({} if record.box is not None else {"box": False})}
    value = {"x": x, "y": y, "width": right - x, "height": below - y, "rotation": 0, "rectanglelabels": ["face"]}
    regions = [{"id": parent, "type": "rectanglelabels", "from_name": "box", **shared, "value": value, "meta": meta}]
    for k in np.flatnonzero(known).tolist():
        px, py = ((record.xy[k] + 0.5) * percent).tolist()
        point = {"x": px, "y": py, "width": 0.5, "keypointlabels": [names[k]]}
        entry = {"id": f"{parent}_{k}", "type": "keypointlabels", "from_name": "points", "parentID": parent, **shared}
        regions.append({**entry, "value": point, **({"meta": {"visible": 1}} if record.visible[k] == 1 else {})})
    return regions


datasets.register("labelstudio")(
    DatasetSpec(
        name="labelstudio",
        summary="own faces: a JSON export of Label Studio with key points, photographs beside it",
        splits=(),
        read=read_label_studio,
        scan=scan_label_studio,
        parts=("all",),
        fetch="your own file",
    )
)
label_writers.register("labelstudio")(write_label_studio)
