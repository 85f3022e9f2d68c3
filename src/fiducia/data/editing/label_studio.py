"""Label Studio's JSON export, changed in place: regions of key points."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import FiduciaError
from ..formats.label_studio import RegionFace, label_studio_faces, placed_regions
from ..sizes import photo_size
from ..source import existing_root
from .base import Change, LabelledFace, Labels, Patch, Read, label_editors, parsed_faces, parsed_labels
from .spans import Member, Text, find, members, number

__all__ = ["LabelStudioEditor"]

_CODES = (0, 1, 2)


class LabelStudioEditor:
    """Changes key points, which are in percent of the image's sides.

    An absent point has no region: its region is taken out, and a point that appears gets one.
    """

    def faces(self, root: str, split: str, scheme: str | None) -> list[LabelledFace]:
        """Return the faces of an export."""
        path = existing_root("labelstudio", root, "a JSON export of Label Studio (a list of tasks)")
        return parsed_faces(path, label_studio_faces, split, scheme, lambda index: _CODES)

    def patches(self, face: LabelledFace, changes: Mapping[int, Change], read: Read) -> list[Patch]:
        """Return the regions that change, and those that come or go."""
        file = Text(face.path, read(face.path))
        faces, names = placed_regions(face.path, face.scheme)
        own = faces[face.index]
        place = find(file.text, file.begin, *own.keys, "result")
        if place is None:
            return []
        regions = members(file.text, place.start)
        size = _size(face, own)
        gone: list[int] = []
        new: list[dict[str, Any]] = []
        for k, (x, y, code) in changes.items():
            name = names[face.order[k]]
            percent = ((x + 0.5) * 100 / size[0], (y + 0.5) * 100 / size[1])
            if name not in own.spots:
                if code:
                    new.append(_region(face, own, regions, name, percent, code))
                continue
            spot = own.spots[name]
            if code:
                moved = [value != was for value, was in zip((x, y), face.record.xy[k].tolist(), strict=True)]
                _change(file, regions[spot], percent, moved, code)
            else:
                gone.append(spot)
        _leave(file, regions, gone)
        if new:
            _add(file, regions, new, own, gone)
        return file.patches()

    def read_back(self, face: LabelledFace, path: Path) -> Labels:
        """Return the labels of all faces."""
        return parsed_labels(path, label_studio_faces, face.scheme)


def _size(face: LabelledFace, own: RegionFace) -> tuple[int, int]:
    if own.size != (0, 0):
        return own.size
    there = photo_size(face.record.image)
    if there is None:
        raise FiduciaError(f"{face.record.image}: cannot be read, and the file does not give its size")
    return there.shown


def _change(file: Text, region: Member, percent: tuple[float, float], moved: list[bool], code: int) -> None:
    """Move a point, and mark whether it is occluded."""
    for axis, value, change in zip("xy", percent, moved, strict=True):
        spot = find(file.text, region.start, "value", axis)
        if change and spot is not None:
            file.replace(spot.start, spot.end, number(value))
    meta = find(file.text, region.start, "meta")
    table = meta.value if meta is not None and isinstance(meta.value, dict) else {}
    if table.get("visible", 2) == code:
        return
    known = find(file.text, region.start, "meta", "visible")
    if known is not None:
        file.replace(known.start, known.end, str(code))
    elif meta is not None and isinstance(meta.value, dict):
        at = meta.start + 1
        file.replace(at, at, f'"visible": {code}{", " if meta.value else ""}')
    elif meta is not None:
        file.replace(meta.start, meta.end, f'{{"visible": {code}}}')
    else:
        at = region.start + 1
        file.replace(at, at, f'"meta": {{"visible": {code}}}, ')


def _leave(file: Text, regions: list[Member], gone: list[int]) -> None:
    """Take regions out of their list, each with one comma."""
    left = [i for i in range(len(regions)) if i not in gone]
    for i in gone:
        if left and i > left[0]:
            file.replace(regions[i - 1].end, regions[i].end, "")
        else:
            file.replace(regions[i].start, regions[i + 1].start if i + 1 < len(regions) else regions[i].end, "")


def _region(
    face: LabelledFace, own: RegionFace, regions: list[Member], name: str, percent: tuple[float, float], code: int
) -> dict[str, Any]:
    """Return a region for a point that had none, like another point's of the face, or of the same image."""
    others = [i for i, one in enumerate(regions) if one.value.get("type") == "keypointlabels"]
    if not others:
        raise FiduciaError(
            f"{face.path}: the image of {face.record.id} has no point; add the first one in Label Studio"
        )
    like = regions[next(iter(own.spots.values()), others[0])].value
    value = {**like["value"], "x": percent[0], "y": percent[1], "keypointlabels": [name]}
    region = {key: one for key, one in like.items() if key not in ("meta", "parentID")}
    region |= {"parentID": own.parent} if own.parent else {}
    region |= {"value": value} | ({"id": secrets.token_hex(5)} if "id" in like else {})
    return region | ({"meta": {"visible": 1}} if code == 1 else {})


def _add(file: Text, regions: list[Member], new: list[dict[str, Any]], own: RegionFace, gone: list[int]) -> None:
    """Put regions behind the face's last one that stays."""
    stays = [i for i in range(own.last + 1) if i not in gone]
    words = ", ".join(json.dumps(one) for one in new)
    if stays:
        file.replace(regions[stays[-1]].end, regions[stays[-1]].end, f", {words}")
    else:
        left = len(gone) < len(regions)
        file.replace(regions[0].start, regions[0].start, f"{words}, " if left else words)


label_editors.add("labelstudio", LabelStudioEditor())
