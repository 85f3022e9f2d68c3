"""Training faces from blocks: read forwards, shuffled in a buffer, the same whatever the number of processes and workers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from ..errors import FiduciaError, UsageError
from ..geometry import square_box, tight_box
from ..images import cut_patch, read_image
from ..structures import Batch, Record, Sample
from .blocks import Cover, ReadPhoto
from .dataset import Batches, Views, collate, one_thread, require_shares
from .order import EpochOrder, Lane
from .streamed import Part, StreamedFaces

__all__ = ["FaceStream"]

_LOOKED_AT = 64
"""Faces of stored crops that are looked at before a run; one face's own box may be its landmarks' by chance."""
Held = tuple[int, Record, bytes]
"""A face in a buffer: its index, its labels, the bytes of its photograph."""


class FaceStream:
    """Faces for training that are never all in memory; batches as of :class:`~fiducia.data.dataset.FaceDataset`.

    A face's views are drawn from (seed, epoch, face) alone, so a stream gives the very samples that files give; only the
    order of the faces differs (:class:`~fiducia.data.order.EpochOrder`).

    Args:
        faces: which faces.
        views: what is made of each.
        seed: of the order and of every draw.
        buffer: faces in memory at most, over all processes and workers, each with the bytes of its photograph.
        lanes: places of the blocks that are read side by side. Where ``world * workers`` divides it, no block is read by
            two of them but where a lane begins.

    Raises:
        UsageError: the crops that are stored do not show all that the views may need, or are round other boxes.
    """

    def __init__(self, faces: StreamedFaces, views: Views, *, seed: int, buffer: int, lanes: int) -> None:
        self.faces, self.views = faces, views
        self.seed, self.buffer, self.lanes = seed, buffer, lanes
        for part in {part.block.cover: part for part in faces.parts if len(part.rows)}.values():
            if part.block.cover is not None:
                _require_cover(part, part.block.cover, views)

    def __len__(self) -> int:
        return len(self.faces)

    def order(self, epoch: int) -> EpochOrder:
        """Return the order of an epoch, from 1."""
        return EpochOrder(self.faces.counts, self.seed, epoch, self.lanes, self.buffer)

    def batches(
        self, *, batch_size: int, epoch: int, rank: int = 0, world: int = 1, start: int = 0, workers: int = 0
    ) -> Batches:
        """Return this process's share of an epoch's batches, from batch ``start`` on.

        Raises:
            UsageError: fewer faces in a batch than processes.
        """
        require_shares(len(self), batch_size, rank, world)
        return _Batches(self, batch_size, epoch, rank, world, start, workers)

    def samples(self, held: Held, epoch: int) -> list[Sample]:
        """Return the views of a face.

        Raises:
            FiduciaError: its photograph is damaged.
        """
        index, record, data = held
        try:
            image = read_image(data)
        except FiduciaError as error:
            raise type(error)(str(error).replace("image bytes", str(record.image), 1)) from None
        patch = cut_patch(image, *self.views.reach(record))
        rng = np.random.default_rng([self.seed, epoch, index])
        return self.views(record, patch, rng=rng, epoch=epoch, index=index)


def _require_cover(part: Part, cover: Cover, views: Views) -> None:
    """Refuse stored crops that do not show all that the views may need of the photograph.

    Raises:
        UsageError: they are too narrow, or were cut round other boxes than those that the views are cropped by.
    """
    for record in part.records(np.arange(min(len(part.rows), _LOOKED_AT))):
        box = record.box if cover.box_source == "dataset" and record.box is not None else tight_box(record.xy)
        wide, own = views.reach(record)[0], square_box(box)
        side = float(own[2] - own[0])
        if np.abs(wide[:2] + wide[2:] - own[:2] - own[2:]).max() > 1e-6 * side:
            other = "landmarks" if cover.box_source == "dataset" else "dataset"
            raise UsageError(
                f'{part.block.name}: its crops were cut round the boxes "{cover.box_source}", but the run takes those of '
                f'data.box_source = "{other}"; set that to {cover.box_source}, or pack with --box-source {other}'
            )
        needed = float((wide[2] - wide[0]) / side)
        if needed > cover.scale + 1e-6:
            raise UsageError(
                f"{part.block.name}: its crops show {cover.scale:g} times the face's box, but data.scale and the "
                f"augmentation reach {needed:.2f}; pack with --crop {math.ceil(10 * needed) / 10:g}, or lower augment's "
                "rotation, scale or shift"
            )


@dataclass(frozen=True)
class _Batches:
    """One epoch's batches of one process."""

    stream: FaceStream
    batch_size: int
    epoch: int
    rank: int
    world: int
    start: int
    workers: int

    def __len__(self) -> int:
        n, size = len(self.stream), self.batch_size
        return max(0, (n // size if n >= size else min(n, 1)) - self.start)

    def __iter__(self) -> Iterator[Batch]:
        if not len(self):
            return
        # Each worker gives its part of every batch, in turn; batch_size None = as they come.
        loader: DataLoader[Batch | FiduciaError | None] = DataLoader(
            _Reader(self),
            batch_size=None,
            num_workers=self.workers,
            generator=torch.Generator(),
            worker_init_fn=one_thread if self.workers else None,
        )
        waiting: list[Batch | None] = []
        for part in loader:
            if isinstance(part, FiduciaError):
                raise part
            waiting.append(part)
            if len(waiting) == max(1, self.workers):
                yield _joined(waiting)
                waiting = []


class _Reader(IterableDataset[Batch | FiduciaError | None]):
    """What one worker of one process reads: for every batch its part, or None where it has none.

    An error is given like a batch: torch would make a page of an error that a worker raises.
    """

    def __init__(self, of: _Batches) -> None:
        self.of = of

    def __iter__(self) -> Iterator[Batch | FiduciaError | None]:
        try:
            yield from self._parts()
        except FiduciaError as error:
            yield error

    def _parts(self) -> Iterator[Batch | None]:
        of, stream = self.of, self.of.stream
        info = get_worker_info()
        worker, workers = (0, 1) if info is None else (info.id, info.num_workers)
        order = stream.order(of.epoch)
        places = [
            _own_places(len(stream), of.batch_size, step, of.rank, of.world)[worker::workers]
            for step in range(of.start, of.start + len(of))
        ]
        wanted = np.concatenate([np.asarray(step, dtype=np.int64) for step in places])
        lanes = [int(lane) for lane in np.unique(wanted % stream.lanes)]
        with ExitStack() as stack:
            reading = {
                n: _lane(stream, order.lane(n), wanted[wanted % stream.lanes == n] // stream.lanes, stack)
                for n in lanes
            }
            for step in places:
                faces = [stream.samples(next(reading[place % stream.lanes]), of.epoch) for place in step]
                yield collate(faces) if faces else None


def _own_places(total: int, batch_size: int, step: int, rank: int, world: int) -> range:
    """Return the places in the epoch's order of a process's share of batch ``step``."""
    return range(step * batch_size + rank, min((step + 1) * batch_size, total), world)


def _lane(stream: FaceStream, lane: Lane, times: npt.NDArray[np.int64], stack: ExitStack) -> Iterator[Held]:
    """Yield the faces that leave a lane's buffer at these rising times; others are not read.

    Args:
        stream: whose faces they are.
        lane: of the epoch.
        times: which of the lane's faces.
        stack: closes what is open at the end.
    """
    asked = np.zeros(len(lane.faces), dtype=bool)
    asked[lane.leaves[times]] = True
    reading = np.flatnonzero(asked)
    source = _forwards(stream.faces, lane.faces[reading], stack)
    held: dict[int, Held] = {}
    done = 0
    for time in times:
        while done < len(reading) and reading[done] < time + lane.depth:
            held[int(reading[done])] = next(source)
            done += 1
        yield held.pop(int(lane.leaves[time]))


def _forwards(faces: StreamedFaces, indices: npt.NDArray[np.int64], stack: ExitStack) -> Iterator[Held]:
    """Yield faces in the order in which a lane reads them: the faces of one block after those of another."""
    blocks = np.searchsorted(faces.starts, indices, side="right") - 1
    ends = [*np.flatnonzero(np.diff(blocks)) + 1, len(indices)]
    begin = 0
    for end in ends:
        if end == begin:
            continue
        number = int(blocks[begin])
        part, places = faces.parts[number], indices[begin:end] - faces.starts[number]
        opened = ExitStack()
        stack.push(opened)
        read: ReadPhoto = opened.enter_context(part.block.open())
        for index, record in zip(indices[begin:end].tolist(), part.records(places), strict=True):
            yield index, record, read(record)
        opened.close()
        begin = end


def _joined(parts: list[Batch | None]) -> Batch:
    """Return a batch from its workers' parts: face j is of worker j mod W."""
    given = [part for part in parts if part is not None]
    if len(given) == 1:
        return given[0]
    turn = np.concatenate(
        [np.arange(len(part.index)) * len(parts) + w for w, part in enumerate(parts) if part is not None]
    )
    back = np.argsort(turn)
    order = torch.from_numpy(back)

    def join(name: str) -> torch.Tensor:
        return torch.cat([getattr(part, name) for part in given])[order]

    tags = [one for part in given for one in part.tags]
    return Batch(
        images=join("images"),
        xy=join("xy"),
        visible=join("visible"),
        mask=join("mask"),
        to_image=join("to_image"),
        mirrored=join("mirrored"),
        index=join("index"),
        tags=[tags[i] for i in back.tolist()],
    )
