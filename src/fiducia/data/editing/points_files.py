"""``.pts`` files, changed in place, and the visibility in the ``pts.json`` beside them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ...errors import FiduciaError
from ...structures import Record
from ..formats.folder import SIDECAR, folder_faces
from ..formats.own import Notes, choose_split
from ..formats.pts import one_based, parse_pts, point_lines, read_pts
from ..readers.w300 import scan_part
from ..source import Fault, datasets, existing_root
from ..values import read_json
from .base import Change, LabelledFace, Labels, Patch, Read, label_editors
from .spans import Text, find, members

__all__ = ["FolderEditor", "PairsEditor"]

_SEEN = (2,)


class _PtsEditor:
    """What all data sets of ``.pts`` files share."""

    def patches(self, face: LabelledFace, changes: Mapping[int, Change], read: Read) -> list[Patch]:
        """Return the numbers that change."""
        file = Text(face.path, read(face.path))
        lines = point_lines(file.text)
        was = parse_pts(file.text, str(face.path))
        for k, (x, y, code) in changes.items():
            if code == 0:
                raise FiduciaError(
                    f"{face.path}: a .pts file has no absent points; reject the face, or convert to COCO"
                )
            for axis, value in enumerate((x, y)):
                if was[k, axis] != value:
                    file.replace(*lines[k][axis], one_based(value))
        return [*file.patches(), *self.visibility(face, changes, read)]

    def visibility(self, face: LabelledFace, changes: Mapping[int, Change], read: Read) -> list[Patch]:
        """Return what changes where visibility is stored; ``.pts`` itself has none."""
        return []

    def read_back(self, face: LabelledFace, path: Path) -> Labels:
        """Return the points of the one face; what is not stored with them is as it was."""
        return [(read_pts(path, len(face.record.xy)), face.record.visible)]


class FolderEditor(_PtsEditor):
    """Changes ``pts:FOLDER``."""

    def faces(self, root: str, split: str, scheme: str | None) -> list[LabelledFace]:
        """Return the faces of a folder; those that ``pts.json`` lists can have occluded points."""
        base = existing_root("pts", root, "a folder of photographs and .pts files")
        notes = Notes()
        listed = _listed(base)
        found: list[LabelledFace] = []
        records: list[Record] = []
        for one in folder_faces(base, scheme, notes):
            if isinstance(one, Fault):
                if one.broken:
                    raise FiduciaError(one.message)
                continue
            path = notes.file
            assert path is not None
            codes = (1, 2) if path.relative_to(base).as_posix() in listed else _SEEN
            moved = bool(sum(len(lines) for lines in notes.scaled.values()))
            notes.scaled.clear()
            fixed = "its labels were made on an image of another size; convert them first" if moved else ""
            order = tuple(range(len(one.xy)))
            found.append(
                LabelledFace(
                    record=one, path=path, index=0, order=order, codes=codes, scheme=scheme, root=base, fixed=fixed
                )
            )
            records.append(one)
        chosen = {id(record) for record in choose_split(root, records, split)}
        return [face for face in found if id(face.record) in chosen]

    def visibility(self, face: LabelledFace, changes: Mapping[int, Change], read: Read) -> list[Patch]:
        """Return what changes in ``pts.json``."""
        codes = face.record.visible.copy()
        for k, (_, _, code) in changes.items():
            codes[k] = code
        if (codes == face.record.visible).all():
            return []
        assert face.root is not None
        base = face.root
        name = face.path.relative_to(base).as_posix()
        file = Text(base / SIDECAR, read(base / SIDECAR))
        entry = find(file.text, file.begin, "faces", name)
        if entry is None:
            raise FiduciaError(f"{base / SIDECAR}: does not list {name}, so its points cannot be occluded")
        known = find(file.text, entry.start, "visible")
        if known is None or not known.value:
            inside = members(file.text, entry.start)
            comma = ", " if inside else ""
            if known is not None:
                file.replace(known.start, known.end, str(codes.tolist()))
            else:
                at = entry.start + 1
                file.replace(at, at, f'"visible": {codes.tolist()}{comma}')
            return file.patches()
        for spot, code in zip(members(file.text, known.start), codes.tolist(), strict=True):
            if spot.value != code:
                file.replace(spot.start, spot.end, str(code))
        return file.patches()


class PairsEditor(_PtsEditor):
    """Changes a data set whose reader pairs each photograph with the ``.pts`` file beside it.

    Args:
        name: the data set.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def faces(self, root: str, split: str, scheme: str | None) -> list[LabelledFace]:
        """Return the faces of a split."""
        pairs: dict[Path, dict[Path, Path]] = {}
        found = []
        for record in datasets[self.name].read(root, split, scheme):
            folder = record.image.parent
            if folder not in pairs:
                pairs[folder] = dict(scan_part(folder).pairs.values())
            path = pairs[folder][record.image]
            order = tuple(range(len(record.xy)))
            found.append(LabelledFace(record=record, path=path, index=0, order=order, codes=_SEEN))
        return found


def _listed(base: Path) -> frozenset[str]:
    """Return the files that ``pts.json`` lists; its faults are told by the reader."""
    path = base / SIDECAR
    if not path.is_file():
        return frozenset()
    try:
        faces = read_json(path, "a JSON object of faces").get("faces")
    except (FiduciaError, AttributeError):
        return frozenset()
    return frozenset(faces) if isinstance(faces, dict) else frozenset()


label_editors.add("pts", FolderEditor())
label_editors.add("300w", PairsEditor("300w"))
label_editors.add("300w-private", PairsEditor("300w-private"))
