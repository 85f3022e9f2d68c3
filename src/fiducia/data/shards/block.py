"""A shard as a block of faces."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...errors import FiduciaError
from ...structures import Record
from ...tars import member_of, read_at
from ..blocks import LARGEST, Cover, Facts, ReadPhoto
from .labels import Labels, read_labels
from .layout import Index, ShardEntry

__all__ = ["ShardBlock"]

_AHEAD = 1 << 20
"""Bytes that are read at a time."""


@dataclass(frozen=True, eq=False)
class ShardBlock:
    """The faces of one shard, or those of one split of it.

    Attributes:
        index: of the directory.
        shard: its entry.
        split: the split wanted; None = all faces.
    """

    index: Index
    shard: ShardEntry
    split: str | None = None

    @property
    def name(self) -> str:
        """The path of the tar file."""
        return str(self.index.folder / self.shard.tar)

    @property
    def scheme(self) -> str:
        """The landmark set."""
        return self.index.scheme

    @property
    def cover(self) -> Cover | None:
        """What stored crops show."""
        return self.index.cover

    def facts(self, box_source: str) -> Facts:
        """Return the facts; the labels are read and forgotten."""
        labels, rows = self._labels()
        good = _surely_good(labels, box_source)[rows]
        ids, photos = [labels.names[r][0] for r in rows.tolist()], [labels.names[r][1] for r in rows.tolist()]
        return Facts(ids, photos, good)

    def records(self, rows: npt.NDArray[np.integer]) -> list[Record]:
        """Return the faces of these rows."""
        labels, own = self._labels()
        tar = self.index.folder / self.shard.tar
        return [labels.record(row, tar, self.index.scheme) for row in own[rows].tolist()]

    @contextmanager
    def open(self) -> Iterator[ReadPhoto]:
        """Open the tar file."""
        tar = self.index.folder / self.shard.tar
        try:
            file = tar.open("rb", buffering=_AHEAD)
        except OSError as error:
            raise FiduciaError(f"{tar}: cannot be read ({error.strerror or error}); copy the shard again") from None
        last: tuple[str, bytes] = ("", b"")

        def read(record: Record) -> bytes:
            nonlocal last
            inside = member_of(record.image)
            name = record.image.name if inside is None else inside[1]
            if name != last[0]:
                try:
                    last = name, read_at(file, tar, name, LARGEST)
                except OSError as error:
                    raise FiduciaError(f"{tar}: cannot be read ({error.strerror or error})") from None
            return last[1]

        with file:
            yield read

    def _labels(self) -> tuple[Labels, npt.NDArray[np.intp]]:
        """Return the labels, and which of their rows are of the split."""
        labels = read_labels(self.index, self.shard)
        if self.split is None:
            return labels, np.arange(len(labels))
        return labels, np.array([i for i, name in enumerate(labels.names) if name[3] == self.split], dtype=np.intp)


def _surely_good(labels: Labels, box_source: str) -> npt.NDArray[np.bool_]:
    """Return bool ``(n,)``: the faces that :func:`~fiducia.data.usable.fault_of` would find nothing wrong with.

    Only clear cases are True: three points or more that spread well in both directions, some of them inside the picture.
    """
    xy, known = labels.xy, np.asarray(np.isfinite(labels.xy).all(axis=-1))
    count = known.sum(axis=1)
    safe = np.where(known[..., None], xy, 0.0)
    mean = safe.sum(axis=1) / np.maximum(count, 1)[:, None]
    centred = np.where(known[..., None], xy - mean[:, None], 0.0)
    xx, yy = (centred[..., 0] ** 2).sum(1), (centred[..., 1] ** 2).sum(1)
    crossed = (centred[..., 0] * centred[..., 1]).sum(1)
    # The smaller eigenvalue is at least determinant / trace; 1e-6 of the trace is far above a line's 1e-12.
    spread = xx * yy - crossed**2 > 1e-6 * np.maximum(xx + yy, 1.0) ** 2
    low = np.where(known[..., None], xy, np.inf).min(axis=1)
    high = np.where(known[..., None], xy, -np.inf).max(axis=1)
    sides = ((high - low) > 2.0).all(axis=1)
    inside = (high > 0).all(axis=1) & (low < labels.size - 1).all(axis=1)
    good = (count >= 3) & spread & sides & inside
    if box_source == "dataset":
        box = labels.box
        good &= np.isfinite(box).all(axis=1) & (box[:, 2:] > box[:, :2]).all(axis=1)
    return np.asarray(good, dtype=bool)
