"""COCO keypoint JSON, changed in place: the triples of one annotation, and its ``num_keypoints``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..formats.coco import coco_faces
from ..source import existing_root
from .base import Change, LabelledFace, Labels, Patch, Read, label_editors, parsed_faces, parsed_labels
from .spans import Text, find, members

__all__ = ["CocoEditor"]

_CODES = (0, 1, 2)


class CocoEditor:
    """Changes annotations of a COCO file. An absent point becomes ``0, 0, 0``. ``bbox`` and ``area`` stay."""

    def faces(self, root: str, split: str, scheme: str | None) -> list[LabelledFace]:
        """Return the annotations that have key points."""
        path = existing_root("coco", root, "a COCO keypoint JSON file")
        return parsed_faces(path, coco_faces, split, scheme, lambda index: _CODES)

    def patches(self, face: LabelledFace, changes: Mapping[int, Change], read: Read) -> list[Patch]:
        """Return the numbers that change."""
        file = Text(face.path, read(face.path))
        text = file.text
        table = find(text, file.begin, "annotations")
        if table is None:
            return []
        found = [one for one in members(text, table.start) if one.value.get("keypoints")][face.index]
        parts = {str(one.key): one for one in members(text, found.start)}
        numbers = members(text, parts["keypoints"].start)
        codes = [one.value for one in numbers[2::3]]
        before = sum(code > 0 for code in codes)
        for k, (x, y, code) in changes.items():
            j = face.order[k]
            codes[j] = code
            values = (x, y, code) if code else (0, 0, 0)
            for spot, value in zip(numbers[3 * j : 3 * j + 3], values, strict=True):
                if spot.value != value:
                    file.replace(spot.start, spot.end, repr(value))
        count = parts.get("num_keypoints")
        if count is not None and count.value == before != sum(code > 0 for code in codes):
            file.replace(count.start, count.end, str(sum(code > 0 for code in codes)))
        return file.patches()

    def read_back(self, face: LabelledFace, path: Path) -> Labels:
        """Return the labels of all annotations."""
        return parsed_labels(path, coco_faces, face.scheme)


label_editors.add("coco", CocoEditor())
