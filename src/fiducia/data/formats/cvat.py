"""CVAT's XML ("CVAT for images 1.1"), read (``cvat:FILE.xml``) and written.

A face is a ``<skeleton>`` of ``<points label="NAME" points="x,y" occluded="0" outside="0"/>`` in the landmark set's names
(``outside`` = not labelled), or one ``<points points="x,y;x,y;…"/>`` with all points in their order. A ``<points>`` of a
single point is a part of a face: those of one ``group_id``, or of a photograph, are one, and a name that is not there is
not labelled. A ``<box>`` with the same ``group_id`` is a face's box. ``width`` and ``height`` of an image are compared with
the photograph. Attributes ``tags`` (JSON), ``scheme`` and ``weights`` of a face are our own and keep what the format cannot
say; ``source`` is ``auto`` where a machine made the labels.
"""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import FiduciaError
from ...files import write_atomic
from ...geometry import upright_box
from ...schemes.sets import get_scheme
from ...structures import Record
from ...text import decode_text, read_bytes
from ..kinds import LabelError
from ..naming import Meaning, all_names, find_declared, meaning
from ..places import face_tags, photo_path, relative_image
from ..readers.official import Array
from ..sizes import Size, photo_size
from ..source import DatasetSpec, Faces, Fault, datasets, label_writers
from ..values import as_table, as_text, as_word_number, parse_json, short
from .boxes import used_box
from .own import Notes, Placed, at_real_size, encoded, marks, one_scheme, read_all, scan_all

__all__ = ["cvat_faces", "face_shapes", "lone_names", "read_cvat", "scan_cvat", "write_cvat", "write_face", "xml_name"]

_WHAT = "an annotation file exported as 'CVAT for images 1.1'"


def read_cvat(root: str, split: str = "all", scheme: str | None = None) -> Faces:
    """Read the faces of a CVAT file, in its order.

    Args:
        root: the XML file; photographs lie below its folder, or in ``images/`` there.
        split: ``all``, or a subset that the images name.
        scheme: the landmark set, by name or TOML file.

    Raises:
        FiduciaError: no such XML, no face, or a shape that cannot be read (named by photograph and face).
        UsageError: an unknown landmark set or split.
    """
    return read_all("cvat", root, _WHAT, cvat_faces, split, scheme)


def scan_cvat(root: str, split: str = "all", scheme: str | None = None) -> Iterator[Record | Fault]:
    """Yield the faces of a CVAT file, and a fault for each shape that gives none."""
    return scan_all("cvat", root, _WHAT, cvat_faces, scheme)


def cvat_faces(path: Path, scheme: str | None, notes: Notes) -> Iterator[Placed]:
    """Yield the faces of a file, one a shape of :func:`face_shapes`."""
    names: list[str] = []
    given: list[dict[str, Any]] = []
    shapes: list[tuple[str, ET.Element, Size | None, ET.Element | None]] = []
    faults: dict[str, FiduciaError] = {}
    faulty = False
    top = _parse(path)
    lone = lone_names(top, scheme)
    for number, image in enumerate(top.iter("image")):
        place = f"image {short(image.get('name') or image.get('id') or str(number))!r}"
        try:
            name = as_text(image.get("name"), f"{path}: image {image.get('id', number)}: name")
            place = f"image {short(name)!r}"
            size = _size(f"{path}: {place}", image)
        except FiduciaError as error:
            faulty = True
            yield place, error
            continue
        boxes = {box.get("group_id") or "": box for box in image.findall("box")}
        for face, shape in enumerate(face_shapes(image, lone), start=1):
            place = f"image {short(name)!r}, face {face}"
            tags: dict[str, Any] = {"split": image.get("subset")} if image.get("subset") else {}
            tags |= marks({"source": shape.get("source"), "weights_sha256": _own(shape, "weights")})
            try:
                tags |= _tags(f"{path}: {place}", shape)
            except FiduciaError as error:
                faults[place] = error
            group = shape.get("group_id")
            names.append(name)
            given.append(tags)
            shapes.append((place, shape, size, boxes.get(group) if group not in (None, "", "0") else None))
    if not shapes and not faulty:
        raise LabelError("file", f"{path}: no skeleton or points found in any image; expected {_WHAT}")
    for (place, shape, size, box), name, tags in zip(shapes, names, face_tags(names, given), strict=True):
        where = f"{path}: {place}"
        if place in faults:
            yield place, faults[place]
            continue
        try:
            declared = _own(shape, "scheme")
            known = find_declared(declared, path.parent) if declared else None
            xy, visible, chosen = _points(where, shape, scheme, known)
            notes.meaning(str(path), chosen)
            notes.order = chosen.order
            corners = _box(where, box, notes)
            record = Record(
                image=photo_path(path.parent, name),
                xy=xy,
                visible=visible,
                scheme=chosen.scheme,
                box=corners,
                tags=tags,
            )
            yield place, at_real_size(where, record, size, notes)
        except FiduciaError as error:
            yield place, error


def lone_names(top: ET.Element, scheme: str | None) -> list[str]:
    """Return the names of all single points of a file that are parts of faces."""
    lone = list(dict.fromkeys(_label(s) for s in top.iterfind("image/points") if _is_lone(s)))
    # Of one name, they are faces of one point.
    return all_names(lone, scheme, None) if len(lone) > 1 else []


def _label(shape: ET.Element) -> str:
    return str(shape.get("label"))


def _is_lone(shape: ET.Element) -> bool:
    """Tell whether a shape is a single point, which is a part of a face."""
    return shape.tag == "points" and (shape.get("points") or "").strip(" ;").count(";") == 0


def face_shapes(image: ET.Element, lone: Sequence[str]) -> Iterator[ET.Element]:
    """Yield the faces of an image: its skeletons and lists of points, and a skeleton for the single points of each group.

    Args:
        image: an ``<image>``.
        lone: the names of all single points of the file; empty where these are no parts of faces.
    """
    groups: dict[str, list[ET.Element]] = {}
    for shape in image:
        if shape.tag in ("skeleton", "points") and not (lone and _is_lone(shape)):
            yield shape
        elif shape.tag == "points":
            groups.setdefault((shape.get("group_id") or "0").strip(), []).append(shape)
    for group, parts in groups.items():
        face = ET.Element("skeleton", {"group_id": group, "source": parts[0].get("source") or "manual"})
        face.extend(parts)
        there = {_label(part) for part in parts}
        face.extend(ET.Element("points", {"label": n, "outside": "1", "points": "0,0"}) for n in lone if n not in there)
        yield face


def _own(shape: ET.Element, name: str) -> str:
    """Return the text of a shape's attribute of ours, empty where it has none."""
    return next((a.text or "" for a in shape.findall("attribute") if a.get("name") == name), "")


def _tags(where: str, shape: ET.Element) -> dict[str, Any]:
    text = _own(shape, "tags")
    if not text:
        return {}
    try:
        return as_table(parse_json(text, where, "a JSON object"), where)
    except FiduciaError as error:
        raise LabelError("form", f"{where}: the attribute tags is no JSON object ({error}); correct it") from error


def _size(where: str, image: ET.Element) -> Size | None:
    sides = [image.get(key) or "" for key in ("width", "height")]
    if not all(side.strip() for side in sides):
        return None
    width, height = (as_word_number(side, f"{where}: width and height") for side in sides)
    return int(width), int(height)


def write_cvat(path: str | Path, records: Sequence[Record]) -> None:
    """Write faces of one landmark set as CVAT XML; :func:`read_cvat` gives back equal records.

    Raises:
        FiduciaError: no face, faces of several landmark sets, or a photograph that cannot be read for its size.
    """
    path = Path(path)
    scheme = one_scheme(path, records, "CVAT file")
    declared = relative_image(Path(scheme).expanduser(), path.parent) if scheme.endswith(".toml") else scheme
    labels = get_scheme(scheme).names
    top = ET.Element("annotations")
    ET.SubElement(top, "version").text = "1.1"
    images: dict[Path, ET.Element] = {}
    for number, record in enumerate(records, start=1):
        if record.image not in images:
            size = photo_size(record.image)
            if size is None:
                raise FiduciaError(f"{record.image}: no image that can be read; expected the photograph of {record.id}")
            name = xml_name(path, relative_image(record.image, path.parent))
            width, height = map(str, size.shown)
            facts = {"id": str(len(images)), "name": name, "width": width, "height": height}
            images[record.image] = ET.SubElement(top, "image", facts)
        write_face(images[record.image], record, labels, declared, number)
    ET.indent(top, " ")
    text = '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(top, encoding="unicode") + "\n"
    write_atomic(path, encoded(path, text))


def xml_name(path: Path, name: str) -> str:
    """Refuse a name that XML cannot hold."""
    if any(ord(c) < 32 or c in "\ufffe\uffff" for c in name):
        raise FiduciaError(f"{path}: XML cannot hold the name {name!a}; rename the photograph, or write COCO")
    return name


def write_face(image: ET.Element, record: Record, labels: Sequence[str], scheme: str, number: int) -> None:
    """Add a face to CVAT's element of its image, as a skeleton and, where it has one, a box of the same group ``number``.

    Args:
        image: the element to add to.
        record: the face.
        labels: the names of its points.
        scheme: what the file calls the landmark set.
        number: from 1, unique in the file.
    """
    made = marks(record.tags)
    shared = {"label": "face", "source": made.get("source", "manual"), "z_order": "0", "group_id": str(number)}
    if record.box is not None:
        corners = zip(("xtl", "ytl", "xbr", "ybr"), record.box.tolist(), strict=True)
        ET.SubElement(image, "box", {**shared, "occluded": "0", **{key: repr(v) for key, v in corners}})
    face = ET.SubElement(image, "skeleton", shared)
    for label, (x, y), v in zip(labels, record.xy.tolist(), record.visible.tolist(), strict=True):
        known = v > 0 and x == x and y == y
        ET.SubElement(
            face,
            "points",
            {
                "label": label,
                "outside": str(int(not known)),
                "occluded": str(int(v == 1)),
                "points": f"{x!r},{y!r}" if known else "0.0,0.0",
            },
        )
    ET.SubElement(face, "attribute", {"name": "scheme"}).text = scheme
    if made.get("weights_sha256"):
        ET.SubElement(face, "attribute", {"name": "weights"}).text = made["weights_sha256"]
    ET.SubElement(face, "attribute", {"name": "tags"}).text = json.dumps(dict(record.tags), default=str)


def _parse(path: Path) -> ET.Element:
    data = read_bytes(path, _WHAT)
    # Refused by name here: UTF-16 and NUL bytes. Other encodings are the XML declaration's business.
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in data:
        decode_text(data, str(path), _WHAT)
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        # CVAT writes none, and entities could be made to fill the memory.
        raise LabelError("file", f"{path}: declares a DOCTYPE or entities, which CVAT does not; export it again")
    try:
        top = ET.fromstring(data)
    except (ET.ParseError, ValueError, LookupError) as error:
        raise LabelError("file", f"{path}: is no XML ({error}); expected {_WHAT}") from error
    if top.tag != "annotations":
        raise LabelError("file", f"{path}: its first element is <{top.tag[:40]}>, expected <annotations>: {_WHAT}")
    if top.find("track") is not None:
        raise LabelError("file", f"{path}: is 'CVAT for video'; export the job as 'CVAT for images 1.1'")
    return top


def _points(where: str, shape: ET.Element, wanted: str | None, declared: str | None) -> tuple[Array, Any, Meaning]:
    """Return points and visibility in the landmark set's order, and what told the set."""
    if shape.tag == "points":
        pairs = [pair for pair in (shape.get("points") or "").split(";") if pair.strip()]
        xy = np.array([_pair(where, i, pair) for i, pair in enumerate(pairs)]).reshape(-1, 2)
        visible = np.full(len(xy), 1 if shape.get("occluded") == "1" else 2, dtype=np.int8)
        chosen = meaning(where, len(xy), None, wanted, declared)
        return xy[list(chosen.order)], visible, chosen
    parts = shape.findall("points")
    chosen = meaning(where, len(parts), [str(part.get("label")) for part in parts], wanted, declared)
    parts = [parts[i] for i in chosen.order]
    absent = np.array([part.get("outside") == "1" for part in parts])
    hidden = np.array([part.get("occluded") == "1" for part in parts])
    # What stands in a part that is outside is no place: nobody labelled it.
    xy = np.array(
        [
            [np.nan, np.nan] if gone else _pair(where, part.get("label"), part.get("points") or "")
            for part, gone in zip(parts, absent.tolist(), strict=True)
        ]
    )
    return xy, np.where(absent, 0, np.where(hidden, 1, 2)).astype(np.int8), chosen


def _pair(where: str, point: object, text: str) -> list[float]:
    words = text.split(",")
    if len(words) != 2:
        cure = "; is it written with decimal commas?" if len(words) == 4 else ""
        raise LabelError("form", f"{where}: point {point} is {text[:40]!r}; expected two finite numbers 'x,y'{cure}")
    return [as_word_number(word, f"{where}: point {point}, {axis}") for word, axis in zip(words, "xy", strict=True)]


def _box(where: str, box: ET.Element | None, notes: Notes) -> Array | None:
    """Return a face's box, or None where it has none or one without area. CVAT turns a box about its middle."""
    if box is None:
        return None
    corners = np.array([as_word_number(box.get(key) or "", f"{where}: {key}") for key in ("xtl", "ytl", "xbr", "ybr")])
    shown = " ".join(f"{v:g}" for v in corners.tolist())
    if used_box(corners, f"{where}: the box is {shown}", "xtl ytl xbr ybr", notes) is None:
        return None
    turn = as_word_number(box.get("rotation") or "0", f"{where}: rotation")
    return upright_box(corners, math.radians(turn), corners.reshape(2, 2).mean(axis=0)) if turn % 360 else corners


datasets.register("cvat")(
    DatasetSpec(
        name="cvat",
        summary="own faces: an XML file of CVAT ('CVAT for images 1.1'), photographs beside it",
        splits=(),
        read=read_cvat,
        scan=scan_cvat,
        parts=("all",),
        fetch="your own file",
    )
)
label_writers.register("cvat")(write_cvat)
