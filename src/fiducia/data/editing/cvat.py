"""CVAT's XML, changed in place: attributes of a face's ``<points>``."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path
from xml.parsers import expat

from ...errors import FiduciaError
from ...text import read_bytes
from ..formats.cvat import cvat_faces, face_shapes, lone_names
from ..source import existing_root
from .base import Change, LabelledFace, Labels, Patch, Read, label_editors, parsed_faces, parsed_labels
from .spans import number

__all__ = ["CvatEditor"]

_WHAT = "an annotation file exported as 'CVAT for images 1.1'"
_ATTRIBUTE = re.compile(rb"""\s+([^\s=/>]+)\s*=\s*("[^"]*"|'[^']*')""")
_NAME = re.compile(rb"<[^\s/>]+")
Places = dict[ET.Element, int]


class CvatEditor:
    """Changes points of skeletons, single points and lists of points.

    A list of points has one mark ``occluded`` for all of them, which stays; single points cannot be absent.
    """

    def faces(self, root: str, split: str, scheme: str | None) -> list[LabelledFace]:
        """Return the faces of a file."""
        path = existing_root("cvat", root, _WHAT)
        # The reader first: it tells what is wrong with a file.
        found = parsed_faces(path, cvat_faces, split, scheme, lambda index: ())
        shapes, places = _shapes(read_bytes(path, _WHAT), scheme)
        codes = [_codes(shape, places) for shape in shapes]
        return [_with_codes(face, codes[face.index]) for face in found]

    def patches(self, face: LabelledFace, changes: Mapping[int, Change], read: Read) -> list[Patch]:
        """Return the attributes that change."""
        data = read(face.path)
        shapes, places = _shapes(data, face.scheme)
        shape = shapes[face.index]
        if shape.tag == "points":
            return self._list(face, changes, data, places[shape])
        parts = shape.findall("points")
        found: list[Patch] = []
        for k, (x, y, code) in changes.items():
            part = parts[face.order[k]]
            if part not in places:
                raise FiduciaError(f"{face.path}: the point {part.get('label')} is not in the file; add it in CVAT")
            tag = _Tag(face.path, data, places[part])
            if code:
                tag.set("points", _pair(part.get("points") or "", x, y))
            for name, value in (("outside", code == 0), ("occluded", code == 1)):
                if (part.get(name) == "1") != value:
                    tag.set(name, str(int(value)))
            found += tag.patches
        return sorted(found, key=lambda patch: patch.start)

    def _list(self, face: LabelledFace, changes: Mapping[int, Change], data: bytes, place: int) -> list[Patch]:
        """Return what changes of a ``<points>`` that holds all points."""
        tag = _Tag(face.path, data, place)
        words = tag.get("points").split(";")
        filled = [i for i, word in enumerate(words) if word.strip()]
        for k, (x, y, code) in changes.items():
            if code != face.record.visible[k]:
                raise FiduciaError(f"{face.path}: a list of points has no visibility of single points; use a skeleton")
            at = filled[face.order[k]]
            words[at] = _pair(words[at], x, y)
        tag.set("points", ";".join(words))
        return tag.patches

    def read_back(self, face: LabelledFace, path: Path) -> Labels:
        """Return the labels of all faces."""
        return parsed_labels(path, cvat_faces, face.scheme)


class _Tag:
    """A start tag and the attributes that change."""

    def __init__(self, path: Path, data: bytes, start: int) -> None:
        self.path = path
        name = _NAME.match(data, start)
        assert name is not None
        self.after_name = at = name.end()
        self.values: dict[bytes, tuple[int, bytes]] = {}
        while (match := _ATTRIBUTE.match(data, at)) is not None:
            self.values[match[1]] = (match.start(2) + 1, match[2][1:-1])
            at = match.end()
        self.patches: list[Patch] = []

    def get(self, name: str) -> str:
        """Return an attribute of plain characters."""
        return self.values[name.encode()][1].decode("ascii")

    def set(self, name: str, value: str) -> None:
        """Change an attribute, or add one behind the tag's name."""
        if name.encode() not in self.values:
            self.patches.append(Patch(self.path, self.after_name, b"", f' {name}="{value}"'.encode()))
            return
        start, old = self.values[name.encode()]
        if old != value.encode():
            self.patches.append(Patch(self.path, start, old, value.encode()))


def _pair(text: str, x: float, y: float) -> str:
    """Return ``x,y``; a number that stays keeps its digits."""
    words = text.split(",")
    if len(words) != 2:
        return f"{number(x)},{number(y)}"
    return ",".join(word if float(word) == value else number(value) for word, value in zip(words, (x, y), strict=True))


def _codes(shape: ET.Element, places: Places) -> tuple[int, ...]:
    """Return the visibility codes of a face: all of a skeleton, no absence of single points, none of a list."""
    if shape.tag == "points":
        return ()
    return (0, 1, 2) if shape in places else (1, 2)


def _with_codes(face: LabelledFace, codes: tuple[int, ...]) -> LabelledFace:
    if not codes:
        codes = (int(face.record.visible[0]),)
    return LabelledFace(
        record=face.record,
        path=face.path,
        index=face.index,
        order=face.order,
        codes=codes,
        scheme=face.scheme,
        fixed=face.fixed,
    )


def _shapes(data: bytes, scheme: str | None) -> tuple[list[ET.Element], Places]:
    """Return the shapes of all faces in the reader's order, and where each element of the file begins."""
    builder = ET.TreeBuilder()
    parser = expat.ParserCreate()
    places: Places = {}

    def start(tag: str, attributes: dict[str, str]) -> None:
        places[builder.start(tag, attributes)] = parser.CurrentByteIndex

    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.Parse(data, True)
    top = builder.close()
    lone = lone_names(top, scheme)
    return [shape for image in top.iter("image") for shape in face_shapes(image, lone)], places


label_editors.add("cvat", CvatEditor())
