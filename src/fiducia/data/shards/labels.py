"""The labels of a shard as arrays (``faces-00000.npz``) and as JSON (beside each photograph in the tar file)."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import FiduciaError
from ...files import read_bytes
from ...structures import Record
from .layout import Index, ShardEntry

__all__ = ["Labels", "face_json", "labels_bytes", "read_labels"]

_LARGEST = 4 << 30
_AGAIN = "copy the shard again, or pack it again"


@dataclass(frozen=True, eq=False)
class Labels:
    """The labels of a shard's n faces.

    Attributes:
        names: for each face id, photograph, member of the tar file, split or None.
        xy: float64 ``(n, K, 2)`` pixels of the stored picture; nan = not labelled.
        visible: int8 ``(n, K)``.
        box: float64 ``(n, 4)``; nan = no box.
        size: int32 ``(n, 2)`` width and height of the stored picture, upright.
        told: the tags as JSON.
    """

    names: Sequence[tuple[str, str, str, str | None]]
    xy: npt.NDArray[np.float64]
    visible: npt.NDArray[np.int8]
    box: npt.NDArray[np.float64]
    size: npt.NDArray[np.int32]
    told: bytes

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def tags(self) -> list[dict[str, Any]]:
        """The faces' tags."""
        found: list[dict[str, Any]] = json.loads(self.told)
        return found

    def record(self, row: int, tar: Path, scheme: str) -> Record:
        """Return a face; its image is a path into the tar file."""
        box = self.box[row]
        return Record(
            image=tar / self.names[row][2],
            xy=self.xy[row].copy(),
            visible=self.visible[row].copy(),
            scheme=scheme,
            box=box.copy() if np.isfinite(box).all() else None,
            tags=self.tags[row],
        )


def face_json(record: Record) -> dict[str, Any]:
    """Return a face as the JSON beside its photograph has it: ``points`` are x, y in pixels, null = not labelled."""
    known = np.asarray(np.isfinite(record.xy).all(axis=1)).tolist()
    points = [point if there else None for point, there in zip(record.xy.tolist(), known, strict=True)]
    return {
        "id": record.id,
        "points": points,
        "visible": record.visible.tolist(),
        "box": None if record.box is None else record.box.tolist(),
        "tags": dict(record.tags),
    }


def labels_bytes(
    records: Sequence[Record], members: Sequence[str], sizes: Sequence[tuple[int, int]], scheme: str
) -> bytes:
    """Return the bytes of a shard's ``.npz``.

    Args:
        records: the faces, with the tags ``id`` and ``photo``.
        members: for each face the member of the tar file that is its picture.
        sizes: for each face width and height of that picture.
        scheme: the landmark set's name.
    """
    names = [
        [
            record.id,
            str(record.tags["photo"]),
            member,
            None if record.tags.get("split") is None else str(record.tags["split"]),
        ]
        for record, member in zip(records, members, strict=True)
    ]
    tags = [dict(record.tags) for record in records]
    stored = io.BytesIO()
    np.savez(
        stored,
        xy=np.stack([record.xy for record in records]).astype(np.float64),
        visible=np.stack([record.visible for record in records]).astype(np.int8),
        box=np.stack([np.full(4, np.nan) if r.box is None else np.asarray(r.box, np.float64) for r in records]),
        size=np.array(sizes, dtype=np.int32).reshape(-1, 2),
        names=_packed(names),
        tags=_packed(tags),
        scheme=_packed(scheme),
    )
    return stored.getvalue()


def _packed(value: Any) -> npt.NDArray[np.uint8]:
    return np.frombuffer(json.dumps(value, default=str).encode(), dtype=np.uint8)


def read_labels(index: Index, shard: ShardEntry) -> Labels:
    """Read a shard's labels.

    Raises:
        FiduciaError: the file is missing, is not the one that the index means, is damaged, or is of another landmark set.
    """
    path = index.folder / shard.labels
    data = read_bytes(path, _LARGEST, "the labels of a shard")
    if hashlib.sha256(data).hexdigest() != shard.labels_sha256:
        raise FiduciaError(f"{path}: is not the file that index.json means (SHA-256); {_AGAIN}")
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            table: Mapping[str, Any] = {name: arrays[name] for name in arrays.files}
        names = [tuple(row) for row in json.loads(table["names"].tobytes())]
        scheme = json.loads(table["scheme"].tobytes())
        told = table["tags"].tobytes()
        labels = Labels(names, table["xy"], table["visible"], table["box"], table["size"], told)
        shapes = [a.shape for a in (labels.xy, labels.visible, labels.box, labels.size)]
    except (KeyError, ValueError, TypeError, OSError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        raise FiduciaError(f"{path}: is no file of a shard's labels ({type(error).__name__}); {_AGAIN}") from None
    if scheme != Path(index.scheme).name or labels.xy.shape[1:] != (index.points, 2):
        raise FiduciaError(
            f"{path}: its faces are of {scheme} ({labels.xy.shape[1:]}), but index.json says {Path(index.scheme).name} "
            f"({index.points} points); put each landmark set into a directory of its own"
        )
    n = len(names)
    if n != shard.faces or shapes != [(n, index.points, 2), (n, index.points), (n, 4), (n, 2)]:
        raise FiduciaError(f"{path}: holds {n:,} faces, but index.json says {shard.faces:,}; {_AGAIN}")
    return labels
