"""What it takes to change labels in a file: where a face's labels stand, and what has to be replaced there.

A format that can be changed registers a :class:`LabelEditor` in a file of its own in this directory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ...errors import FiduciaError
from ...registry import Registry
from ...structures import Record
from ..formats.own import Notes, Parse, choose_split

__all__ = ["Change", "LabelEditor", "LabelledFace", "Labels", "Patch", "Read", "label_editors", "parsed_faces"]

Array = npt.NDArray[np.float64]
Change = tuple[float, float, int]
"""x and y of a point in pixels of the image, and its visibility: 2 visible, 1 occluded, 0 absent."""
Labels = list[tuple[Array, npt.NDArray[np.int8]]]
"""Points ``(K, 2)`` and visibility ``(K,)`` of the faces of a file."""
Read = Callable[[Path], bytes]
"""Returns the bytes of a file."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelledFace:
    """A face, and where its labels stand.

    Attributes:
        record: the face, as its reader gives it.
        path: the file that holds its points.
        index: its place among the faces of that file.
        order: which of the file's points each point of the record is.
        codes: the visibility codes that the file can hold for it.
        scheme: the landmark set that the user named; None = none.
        root: the directory of a data set of many files.
        fixed: why the labels cannot be changed; empty = they can.
    """

    record: Record
    path: Path
    index: int
    order: tuple[int, ...]
    codes: tuple[int, ...]
    scheme: str | None = None
    root: Path | None = None
    fixed: str = ""


@dataclass(frozen=True)
class Patch:
    """Bytes of a file to be replaced.

    Attributes:
        path: the file.
        start: the first byte.
        old: what stands there.
        new: what shall stand there.
    """

    path: Path
    start: int
    old: bytes
    new: bytes


class LabelEditor(Protocol):
    """Changes labels of one format."""

    def faces(self, root: str, split: str, scheme: str | None) -> list[LabelledFace]:
        """Return the faces of a data set in its reader's order, with their places.

        Raises:
            FiduciaError: labels that cannot be read.
        """
        ...

    def patches(self, face: LabelledFace, changes: Mapping[int, Change], read: Read) -> list[Patch]:
        """Return what has to be replaced, so that some of a face's points are as wanted.

        Args:
            face: one of :meth:`faces`.
            changes: point of the record → what it shall be.
            read: gives the files.

        Raises:
            FiduciaError: the format cannot say it.
        """
        ...

    def read_back(self, face: LabelledFace, path: Path) -> Labels:
        """Return the labels of all faces of the face's file, from a copy that lies beside it."""
        ...


label_editors: Registry[LabelEditor] = Registry("label editor", "fiducia.data.editing")
"""Formats whose labels can be changed in place, by the name of the data set."""

_MOVED = (
    "its labels were made on an image of another size than the one on disk; write them for this one first: "
    "fiducia data convert"
)


def parsed_faces(
    path: Path,
    parse: Parse,
    split: str,
    scheme: str | None,
    codes: Callable[[int], Sequence[int]],
) -> list[LabelledFace]:
    """Return the faces of one file, read by the parser of its format.

    Args:
        path: the file.
        parse: of the format.
        split: as in :func:`fiducia.data.formats.own.choose_split`.
        scheme: the landmark set that the user named.
        codes: index → the visibility codes that the file can hold for the face.

    Raises:
        FiduciaError: the first label that cannot be used.
    """
    notes = Notes()
    found: list[LabelledFace] = []
    moved = 0
    for index, (_, face) in enumerate(parse(path, scheme, notes)):
        if isinstance(face, FiduciaError):
            raise face
        so_far = sum(len(lines) for lines in notes.scaled.values())
        fixed = _MOVED if so_far > moved else ""
        moved = so_far
        found.append(
            LabelledFace(
                record=face,
                path=path,
                index=index,
                order=notes.order,
                codes=tuple(codes(index)),
                scheme=scheme,
                fixed=fixed,
            )
        )
    chosen = {id(record) for record in choose_split(str(path), [face.record for face in found], split)}
    return [face for face in found if id(face.record) in chosen]


def parsed_labels(path: Path, parse: Parse, scheme: str | None) -> Labels:
    """Return the labels of all faces of one file.

    Raises:
        FiduciaError: the first label that cannot be used.
    """
    labels: Labels = []
    for _, face in parse(path, scheme, Notes()):
        if isinstance(face, FiduciaError):
            raise face
        labels.append((face.xy, face.visible))
    return labels
