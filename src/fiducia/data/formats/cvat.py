"""CVAT's XML ("CVAT for images 1.1"), read (``cvat:FILE.xml``) and written.

A face is a ``<skeleton>`` of ``<points label="NAME" points="x,y" occluded="0" outside="0"/>`` in the landmark set's names
(``outside`` = not labelled), or one ``<points points="x,y;x,y;…"/>`` with all points in their order. A ``<box>`` with the
same ``group_id`` is its box. Coordinates are taken as they stand. Attributes ``tags`` (JSON) and ``scheme`` of a face are our
own and keep what the format cannot say.
"""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import FiduciaError
from ...files import write_atomic
from ...images.pixels import read_image
from ...schemes.sets import SchemeError, get_scheme
from ...structures import Record
from ..readers.official import Array, box_fault
from ..source import DatasetSpec, Fault, datasets, existing_root
from .own import Placed, choose_scheme, choose_split, face_tags, relative_image, scan_list, whole_list

__all__ = ["read_cvat", "scan_cvat", "write_cvat"]

_WHAT = "an annotation file exported as 'CVAT for images 1.1'"


def read_cvat(root: str, split: str = "all", scheme: str | None = None) -> list[Record]:
    """Read the faces of a CVAT file, in its order.

    Args:
        root: the XML file; photographs lie below its folder, or in ``images/`` there.
        split: ``all``, or a subset that the images name.
        scheme: the landmark set, by name or TOML file.

    Raises:
        FiduciaError: no such XML, no face, or a shape that cannot be read (named by photograph and face).
        UsageError: an unknown landmark set or split.
    """
    path = existing_root("cvat", root, _WHAT)
    return choose_split(str(path), whole_list(_faces(path, scheme)), split)


def scan_cvat(root: str, split: str = "all", scheme: str | None = None) -> Iterator[Record | Fault]:
    """Yield the faces of a CVAT file, and a fault for each shape that gives none."""
    path = existing_root("cvat", root, _WHAT)
    yield from scan_list(str(path), _faces(path, scheme))


def _faces(path: Path, scheme: str | None) -> Iterator[Placed]:
    faces = list(_shapes(path, _parse(path)))
    if not faces:
        raise FiduciaError(f"{path}: no skeleton or points found in any image; expected {_WHAT}")
    names, tags = [], []
    faults: dict[str, FiduciaError] = {}
    for image, number, shape, _ in faces:
        place = f"image {image.get('name')!r}, face {number}"
        given: dict[str, Any] = {"split": image.get("subset")} if image.get("subset") else {}
        try:
            given |= json.loads(_own(shape, "tags") or "{}")
        except (TypeError, ValueError) as error:
            faults[place] = FiduciaError(f"{path}: {place}: the attribute tags is no JSON object ({error}); correct it")
        names.append(str(image.get("name")))
        tags.append(given)
    for (image, number, shape, boxes), name, tag in zip(faces, names, face_tags(names, tags), strict=True):
        place = f"image {image.get('name')!r}, face {number}"
        where = f"{path}: {place}"
        if place in faults:
            yield place, faults[place]
            continue
        try:
            xy, visible, own = _points(where, shape, scheme, _own(shape, "scheme") or None)
            box = _box(where, boxes.get(shape.get("group_id") or ""))
        except FiduciaError as error:
            yield place, error
            continue
        yield place, Record(image=_image(path, name), xy=xy, visible=visible, scheme=own, box=box, tags=tag)


def _own(shape: ET.Element, name: str) -> str:
    """Return the text of a shape's attribute of ours, empty where it has none."""
    return next((a.text or "" for a in shape.findall("attribute") if a.get("name") == name), "")


def write_cvat(path: str | Path, records: Sequence[Record]) -> None:
    """Write faces of one landmark set as CVAT XML; :func:`read_cvat` gives back equal records.

    Raises:
        FiduciaError: no face, faces of several landmark sets, or a photograph that cannot be read for its size.
    """
    path = Path(path)
    names = sorted({record.scheme for record in records})
    if len(names) != 1:
        raise FiduciaError(f"{path}: a CVAT file holds one landmark set; found {', '.join(names) or 'no face'}")
    labels = get_scheme(names[0]).names
    top = ET.Element("annotations")
    ET.SubElement(top, "version").text = "1.1"
    images: dict[Path, ET.Element] = {}
    for number, record in enumerate(records, start=1):
        if record.image not in images:
            height, width = read_image(record.image).shape[:2]
            size = {"width": str(width), "height": str(height)}
            name = relative_image(record.image, path.parent)
            images[record.image] = ET.SubElement(top, "image", {"id": str(len(images)), "name": name, **size})
        _write_face(images[record.image], record, labels, number)
    ET.indent(top, " ")
    write_atomic(path, ET.tostring(top, encoding="utf-8", xml_declaration=True) + b"\n")


def _write_face(image: ET.Element, record: Record, labels: Sequence[str], number: int) -> None:
    shared = {"label": "face", "source": "manual", "z_order": "0", "group_id": str(number)}
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
    ET.SubElement(face, "attribute", {"name": "scheme"}).text = record.scheme
    ET.SubElement(face, "attribute", {"name": "tags"}).text = json.dumps(dict(record.tags), default=str)


def _parse(path: Path) -> ET.Element:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FiduciaError(f"{path}: cannot be read ({error.strerror or error}); expected {_WHAT}") from error
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        # CVAT writes none, and entities could be made to fill the memory.
        raise FiduciaError(f"{path}: declares a DOCTYPE or entities, which CVAT does not; export it again")
    try:
        top = ET.fromstring(data)
    except (ET.ParseError, ValueError, LookupError) as error:
        raise FiduciaError(f"{path}: is no XML ({error}); expected {_WHAT}") from error
    if top.tag != "annotations":
        raise FiduciaError(f"{path}: its first element is <{top.tag}>, expected <annotations>: {_WHAT}")
    if top.find("track") is not None:
        raise FiduciaError(f"{path}: is 'CVAT for video'; export the job as 'CVAT for images 1.1'")
    return top


def _shapes(path: Path, top: ET.Element) -> Iterator[tuple[ET.Element, int, ET.Element, dict[str, ET.Element]]]:
    """Yield image, number of the face in it, its shape, and the image's boxes by group."""
    for image in top.iter("image"):
        if not image.get("name"):
            raise FiduciaError(f"{path}: image {image.get('id', '?')} has no name; expected {_WHAT}")
        boxes = {
            box.get("group_id") or "": box for box in image.findall("box") if box.get("group_id") not in (None, "0")
        }
        for number, shape in enumerate((s for s in image if s.tag in ("skeleton", "points")), start=1):
            yield image, number, shape, boxes


def _points(where: str, shape: ET.Element, wanted: str | None, declared: str | None) -> tuple[Array, Any, str]:
    if shape.tag == "points":
        pairs = [pair for pair in (shape.get("points") or "").split(";") if pair.strip()]
        xy = np.array([_pair(where, i, pair) for i, pair in enumerate(pairs)]).reshape(-1, 2)
        code = 1 if shape.get("occluded") == "1" else 2
        return xy, np.full(len(xy), code, dtype=np.int8), choose_scheme(where, len(xy), wanted, declared)
    parts = shape.findall("points")
    name = choose_scheme(where, len(parts), wanted, declared)
    try:
        labels = get_scheme(name).names
    except SchemeError as error:
        raise FiduciaError(f"{where}: {error}") from error
    found = [str(part.get("label")) for part in parts]
    if len(set(found)) != len(found):
        twice = next(label for label in found if found.count(label) > 1)
        raise FiduciaError(f"{where}: the point {twice!r} stands twice; each of the {len(labels)} stands once")
    if set(found) == set(labels):
        order = [found.index(label) for label in labels]
    elif all(label.isdigit() for label in found):
        # CVAT's own name of an unnamed point is its number.
        order = sorted(range(len(found)), key=lambda i: int(found[i]))
    else:
        odd = next(label for label in found if label not in labels)
        raise FiduciaError(f"{where}: no point of {name} is called {odd!r}; use its names, or numbers from 1")
    xy = np.array([_pair(where, parts[i].get("label"), parts[i].get("points") or "") for i in order])
    absent = np.array([parts[i].get("outside") == "1" for i in order])
    hidden = np.array([parts[i].get("occluded") == "1" for i in order])
    xy[absent] = np.nan
    return xy, np.where(absent, 0, np.where(hidden, 1, 2)).astype(np.int8), name


def _pair(where: str, point: object, text: str) -> list[float]:
    try:
        values = [float(word) for word in text.split(",")]
    except ValueError:
        values = []
    if len(values) != 2 or not np.isfinite(values).all():
        raise FiduciaError(f"{where}: point {point} is {text[:40]!r}; expected two finite numbers 'x,y'")
    return values


def _box(where: str, box: ET.Element | None) -> Array | None:
    if box is None:
        return None
    try:
        corners = np.array([float(box.get(key) or "nan") for key in ("xtl", "ytl", "xbr", "ybr")])
    except ValueError:
        corners = np.full(4, np.nan)
    fault = box_fault(corners)
    if fault is not None:
        raise FiduciaError(f"{where}: {fault}; correct it in CVAT")
    return corners


def _image(path: Path, name: str) -> Path:
    below = path.parent / "images" / name
    return below if below.is_file() and not (path.parent / name).is_file() else path.parent / name


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
