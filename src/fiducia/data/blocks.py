"""Blocks of faces: what a source is made of that is larger than memory.

A block is read from its first face to its last: a shard, or a list of records that is in memory already. Its facts are read
when a run starts; its records and its photographs when training comes to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ..files import read_bytes
from ..images import MAX_PIXELS
from ..structures import Record
from .holding import photo_of

__all__ = ["LARGEST", "Block", "Cover", "Facts", "ReadPhoto", "RecordBlock"]

LARGEST = 4 * MAX_PIXELS + (16 << 20)
"""Bytes of a photograph's file, as :func:`fiducia.images.read_image` takes them."""

ReadPhoto = Callable[[Record], bytes]
"""Returns the bytes of a face's photograph."""


@dataclass(frozen=True, eq=False)
class Facts:
    """What choosing faces needs to know of a block's n faces.

    Attributes:
        ids: their names.
        photos: the names of their photographs; faces of one are never split.
        good: bool ``(n,)``: surely usable. False = has to be looked at (:func:`fiducia.data.usable.fault_of`).
    """

    ids: Sequence[str]
    photos: Sequence[str]
    good: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Cover:
    """How much of the photograph a stored crop shows.

    Attributes:
        scale: side of the crop in sides of the face's square box.
        box_source: the box: ``landmarks`` or ``dataset``.
    """

    scale: float
    box_source: str


class Block(Protocol):
    """Faces that are read together."""

    @property
    def name(self) -> str:
        """What to call it in errors: its file."""
        ...

    @property
    def scheme(self) -> str:
        """The landmark set of its faces."""
        ...

    @property
    def cover(self) -> Cover | None:
        """What its pictures show of the photographs; None = all."""
        ...

    def facts(self, box_source: str) -> Facts:
        """Return the facts of all faces, for crops from boxes of this kind."""
        ...

    def records(self, rows: npt.NDArray[np.integer]) -> list[Record]:
        """Return the faces of these rows, in this order."""
        ...

    def open(self) -> AbstractContextManager[ReadPhoto]:
        """Open the block's photographs; records asked for in the order of their rows are read forwards."""
        ...


@dataclass(frozen=True, eq=False)
class RecordBlock:
    """Faces that are in memory, such as those of a source of single files beside one of shards."""

    name: str
    scheme: str
    faces: Sequence[Record]
    cover: Cover | None = None

    def facts(self, box_source: str) -> Facts:
        """Return the facts; every face has to be looked at."""
        good = np.zeros(len(self.faces), dtype=bool)
        return Facts([r.id for r in self.faces], [photo_of(r) for r in self.faces], good)

    def records(self, rows: npt.NDArray[np.integer]) -> list[Record]:
        """Return the faces of these rows."""
        return [self.faces[row] for row in rows.tolist()]

    @contextmanager
    def open(self) -> Iterator[ReadPhoto]:
        """Return what reads a photograph's file."""
        yield lambda record: read_bytes(record.image, LARGEST, "an image")
