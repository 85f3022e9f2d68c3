"""CVAT's XML, changed in place: attributes of a face's ``<points>``."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
_CHARACTER = re.compile(rb"&#x([0-9a-fA-F]+);|&#([0-9]+);|&[^;]*;|.", re.DOTALL)
_WORD = re.compile(r"[^,;\s]+")
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
                spots = [spot for pair in tag.numbers("points") for spot in pair]
                if len(spots) == 2:
                    tag.move(spots, (x, y))
                else:
                    tag.set("points", f"{number(x)},{number(y)}")
            for name, value in (("outside", code == 0), ("occluded", code == 1)):
                if (part.get(name) == "1") != value:
                    tag.set(name, str(int(value)))
            found += tag.patches
        return sorted(found, key=lambda patch: patch.start)

    def _list(self, face: LabelledFace, changes: Mapping[int, Change], data: bytes, place: int) -> list[Patch]:
        """Return what changes of a ``<points>`` that holds all points."""
        tag = _Tag(face.path, data, place)
        pairs = tag.numbers("points")
        for k, (x, y, code) in changes.items():
            if code != face.record.visible[k]:
                raise FiduciaError(f"{face.path}: a list of points has no visibility of single points; use a skeleton")
            tag.move(pairs[face.order[k]], (x, y))
        return sorted(tag.patches, key=lambda patch: patch.start)

    def read_back(self, face: LabelledFace, path: Path) -> Labels:
        """Return the labels of all faces."""
        return parsed_labels(path, cvat_faces, face.scheme)


@dataclass(frozen=True)
class _Spot:
    """A number in a file: its bytes, and what they read as, which differs where it has character references (``&#49;``)."""

    start: int
    end: int
    text: str

    @property
    def value(self) -> float:
        """The number; nan where a point that is not labelled holds none."""
        try:
            return float(self.text)
        except ValueError:
            return float("nan")


class _Tag:
    """A start tag and the attributes that change."""

    def __init__(self, path: Path, data: bytes, start: int) -> None:
        self.path = path
        self.data = data
        name = _NAME.match(data, start)
        assert name is not None
        self.after_name = at = name.end()
        self.values: dict[bytes, tuple[int, bytes]] = {}
        while (match := _ATTRIBUTE.match(data, at)) is not None:
            self.values[match[1]] = (match.start(2) + 1, match[2][1:-1])
            at = match.end()
        self.patches: list[Patch] = []

    def numbers(self, name: str) -> list[list[_Spot]]:
        """Return where the numbers of ``x,y;x,y;…`` stand, pair by pair; pairs without any are left out."""
        start, raw = self.values.get(name.encode(), (0, b""))
        found = list(_CHARACTER.finditer(raw))
        text = "".join(map(_meant, found))
        pairs: list[list[_Spot]] = []
        at = 0
        for pair in text.split(";"):
            words = [(at + word.start(), at + word.end()) for word in _WORD.finditer(pair)]
            if words:
                pairs.append([_Spot(start + found[i].start(), start + found[j - 1].end(), text[i:j]) for i, j in words])
            at += len(pair) + 1
        return pairs

    def move(self, spots: Sequence[_Spot], values: Sequence[float]) -> None:
        """Change numbers; one that stays keeps its bytes."""
        for spot, value in zip(spots, values, strict=True):
            if spot.value != value:
                old = self.data[spot.start : spot.end]
                self.patches.append(Patch(self.path, spot.start, old, number(value).encode()))

    def set(self, name: str, value: str) -> None:
        """Change an attribute, or add one behind the tag's name."""
        if name.encode() not in self.values:
            self.patches.append(Patch(self.path, self.after_name, b"", f' {name}="{value}"'.encode()))
            return
        start, old = self.values[name.encode()]
        if old != value.encode():
            self.patches.append(Patch(self.path, start, old, value.encode()))


def _meant(match: re.Match[bytes]) -> str:
    """Return the one character that a part of an attribute stands for; a name or a byte that is no digit is none of ours."""
    code = int(match[1], 16) if match[1] else int(match[2]) if match[2] else match[0][0]
    return chr(code) if code < 128 else " "


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
