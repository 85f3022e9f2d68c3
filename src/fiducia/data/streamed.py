"""The faces of a run that streams: which rows of which blocks, without their labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import overload

import numpy as np
import numpy.typing as npt

from ..structures import Record
from .blocks import Block

__all__ = ["Dress", "Part", "StreamedFaces"]

Dress = Callable[[list[Record]], list[Record]]
"""Gives faces the landmark set and the tags that a run wants."""


@dataclass(frozen=True, eq=False)
class Part:
    """Faces of one block.

    Attributes:
        block: where they are.
        rows: ``(n,)`` their rows in it, rising; a row may stand several times.
        dress: gives them the run's landmark set and tags.
    """

    block: Block
    rows: npt.NDArray[np.int32]
    dress: Dress

    def records(self, places: npt.NDArray[np.integer] | None = None) -> list[Record]:
        """Return the faces at these places of ``rows``; None = all."""
        return self.dress(self.block.records(self.rows if places is None else self.rows[places]))


@dataclass(eq=False)
class StreamedFaces(Sequence[Record]):
    """Faces in blocks, as a sequence. Four bytes a face are in memory; records are read when they are asked for.

    Going through it in order reads each block once; any other order reads blocks again and again.
    """

    parts: Sequence[Part]
    _last: tuple[int, list[Record]] = field(default=(-1, []), repr=False)

    def __post_init__(self) -> None:
        self.counts = [len(part.rows) for part in self.parts]
        self.starts = np.concatenate([[0], np.cumsum(self.counts)]).astype(np.int64)

    def __len__(self) -> int:
        return int(self.starts[-1])

    def find(self, index: int) -> tuple[int, int]:
        """Return the part of a face, and its place in it."""
        part = int(np.searchsorted(self.starts, index, side="right")) - 1
        return part, index - int(self.starts[part])

    @overload
    def __getitem__(self, index: int) -> Record: ...

    @overload
    def __getitem__(self, index: slice) -> list[Record]: ...

    def __getitem__(self, index: int | slice) -> Record | list[Record]:
        if isinstance(index, slice):
            return self._several(np.arange(len(self), dtype=np.int64)[index])
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        part, place = self.find(index % len(self))
        if self._last[0] != part:
            self._last = part, self.parts[part].records()
        return self._last[1][place]

    def _several(self, indices: npt.NDArray[np.int64]) -> list[Record]:
        """Return faces; those of one part that follow each other are read together, and no others."""
        owner = np.searchsorted(self.starts, indices, side="right") - 1
        groups = np.split(np.arange(len(indices)), np.flatnonzero(np.diff(owner)) + 1)
        return [
            record
            for group in groups
            if len(group)
            for record in self.parts[owner[group[0]]].records(indices[group] - self.starts[owner[group[0]]])
        ]

    def __iter__(self) -> Iterator[Record]:
        for part in self.parts:
            yield from part.records()
