"""The order in which faces of blocks are trained on: near to shuffled, and yet read forwards.

An epoch's order is a pure function of the blocks' sizes, the seed, the epoch and two numbers of the recipe:

1. the blocks are put in a random order, their faces one after another;
2. this line is cut into L lanes of equal length;
3. each lane is shuffled by a buffer: it is filled with the lane's first faces, then one drawn at random leaves it and the lane's
   next face takes its place;
4. the lanes are dealt out in turn: face p of the epoch is the next one of lane p mod L.

So whoever computes every G-th face of an epoch reads only some lanes where G divides L, in one direction, and nobody has to
agree with anybody: the numbers of processes and of workers change no order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

__all__ = ["EpochOrder", "Lane"]

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Lane:
    """One lane of m faces.

    Attributes:
        faces: ``(m,)`` indices of the faces, as they are read.
        leaves: ``(m,)``: the place in ``faces`` of the t-th face that leaves the buffer.
        depth: faces in the buffer; before the t-th face leaves, those before place ``t + depth`` were read.
    """

    faces: Indices
    leaves: Indices
    depth: int


@dataclass(frozen=True, eq=False)
class EpochOrder:
    """The order of one epoch over n faces.

    Args:
        counts: faces of each block; face indices count through the blocks.
        seed, epoch: of every draw.
        lanes: L >= 1.
        buffer: faces in all lanes' buffers together; a lane has at least one.
    """

    counts: Sequence[int]
    seed: int
    epoch: int
    lanes: int
    buffer: int

    @property
    def total(self) -> int:
        """Number of faces, n."""
        return int(sum(self.counts))

    @cached_property
    def blocks(self) -> npt.NDArray[np.intp]:
        """The blocks in this epoch's order."""
        # The fourth number keeps these generators apart from those of the faces, which are (seed, epoch, face).
        return np.random.default_rng([self.seed, self.epoch, 0, 2]).permutation(len(self.counts))

    def lane(self, number: int) -> Lane:
        """Return lane ``number``, from 0."""
        total, lanes = self.total, self.lanes
        shorter, longer = divmod(total, lanes)
        begin = number * shorter + min(number, longer)
        length = shorter + (number < longer)
        faces = self._line(begin, begin + length)
        depth = max(1, self.buffer // lanes)
        rng = np.random.default_rng([self.seed, self.epoch, number, 3])
        return Lane(faces, _through_buffer(length, depth, rng), depth)

    def indices(self) -> Indices:
        """Return all faces in the order of the epoch; for tests, and for training from files in the same order."""
        found = np.empty(self.total, dtype=np.int64)
        for number in range(min(self.lanes, self.total)):
            lane = self.lane(number)
            found[number :: self.lanes] = lane.faces[lane.leaves]
        return found

    def _line(self, begin: int, end: int) -> Indices:
        """Return the face indices of places ``begin`` to ``end`` of the line of blocks."""
        counts = np.asarray(self.counts, dtype=np.int64)
        first = np.concatenate([[0], np.cumsum(counts)])
        ends = np.cumsum(counts[self.blocks])
        parts: list[Indices] = []
        for place in range(int(np.searchsorted(ends, begin, side="right")), len(ends)):
            block = self.blocks[place]
            start = int(ends[place] - counts[block])
            if start >= end:
                break
            low, high = max(begin - start, 0), min(end - start, int(counts[block]))
            parts.append(np.arange(first[block] + low, first[block] + high, dtype=np.int64))
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)


def _through_buffer(length: int, depth: int, rng: np.random.Generator) -> Indices:
    """Return the order in which ``length`` items leave a shuffle buffer of ``depth``: places ``(length,)``."""
    held = list(range(min(depth, length)))
    leaves = np.empty(length, dtype=np.int64)
    steady = length - len(held)
    for time, slot in enumerate(rng.integers(0, max(1, len(held)), size=steady).tolist()):
        leaves[time] = held[slot]
        held[slot] = len(held) + time
    if held:
        leaves[steady:] = np.asarray(held)[rng.permutation(len(held))]
    return leaves
