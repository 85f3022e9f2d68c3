"""Records in, batches out: a data set of views, its batch sampler, and the stacking of samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from ..cpu import wanted_threads
from ..errors import UsageError
from ..images import Patch, cut_patch, read_image
from ..structures import Batch, Record, Sample

__all__ = ["Batches", "EpochSampler", "FaceDataset", "Supply", "Views", "collate", "one_thread", "require_shares"]


class Views(Protocol):
    """What turns a face into its samples: :class:`fiducia.augment.views.TrainViews`, or anything of this shape."""

    def reach(self, record: Record) -> tuple[npt.NDArray[np.float64], int]:
        """Return the part of the photograph that a view may need: a box ``(4,)`` in its pixels, and the reduction f."""
        ...

    def __call__(
        self, record: Record, patch: Patch, *, rng: np.random.Generator, epoch: int, index: int
    ) -> list[Sample]:
        """Return the views of one face; every random number comes from ``rng``."""
        ...


class Batches(Protocol):
    """The batches of one process in one epoch: how many, and each in its turn."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Batch]: ...


class Supply(Protocol):
    """Where a run's batches come from: a :class:`FaceDataset`, or a :class:`~fiducia.data.stream.FaceStream`."""

    def __len__(self) -> int:
        """Return the number of faces of an epoch."""
        ...

    def batches(
        self, *, batch_size: int, epoch: int, rank: int = 0, world: int = 1, start: int = 0, workers: int = 0
    ) -> Batches:
        """Return the share of process ``rank`` of ``world`` in the batches of an epoch, from batch ``start`` on.

        Which faces are in a batch, and what is drawn for them, does not depend on ``world``, ``start`` and ``workers``.
        """
        ...


class FaceDataset(Dataset[list[Sample]]):
    """Faces by index. ``dataset[i]`` is the list of the V views of face i, drawn from (seed, epoch, i) alone.

    Args:
        records: the faces.
        views: what is made of each.
        seed: of every draw, >= 0.
        cache: keep of each photograph the part that the views can reach, area-reduced to about the crop's resolution:
            some 0.2 MB a face at 128 pixels and 1 MB at 256. It changes no pixel. Faces are read when first asked for;
            a worker process forgets them at the end of its epoch, so call :meth:`fill` before workers start.

    Raises:
        UsageError: a negative seed.
        FiduciaError: a face that cannot be cropped; :func:`fiducia.data.usable.usable` leaves such faces out before.
    """

    def __init__(self, records: Sequence[Record], views: Views, *, seed: int, cache: bool = True) -> None:
        if seed < 0:
            raise UsageError(f"a seed is 0 or more; found {seed}")
        self.records = list(records)
        self.views = views
        self.seed = seed
        self.cache = cache
        self.epoch = 1
        self._reach = [views.reach(record) for record in self.records]
        self._patches: dict[int, Patch] = {}
        self._faces: dict[Path, list[int]] = {}
        for index, record in enumerate(self.records):
            self._faces.setdefault(record.image, []).append(index)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, from 1, whose draws follow; before the loader's workers start."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> list[Sample]:
        """Return the views of one face.

        Raises:
            FiduciaError: its photograph cannot be read.
        """
        rng = np.random.default_rng([self.seed, self.epoch, index])
        return self.views(self.records[index], self._patch(index), rng=rng, epoch=self.epoch, index=index)

    def batches(
        self, *, batch_size: int, epoch: int, rank: int = 0, world: int = 1, start: int = 0, workers: int = 0
    ) -> Batches:
        """Return one epoch's batches of one process, in a random order of the faces; see :class:`Supply`."""
        self.set_epoch(epoch)
        sampler = EpochSampler(
            len(self), batch_size=batch_size, seed=self.seed, epoch=epoch, rank=rank, world=world, start=start
        )
        # A generator of its own: each new loader draws from one, and the network's draws must be the same after a kill.
        loader: DataLoader[Any] = DataLoader(
            self,
            batch_sampler=sampler,
            collate_fn=collate,
            num_workers=workers,
            generator=torch.Generator(),
            worker_init_fn=one_thread if workers else None,
        )
        return loader

    def fill(self, threads: int | None = None) -> None:
        """Read every photograph into the cache now, by ``threads`` threads; nothing without cache.

        None = as many threads as the process may keep busy.
        """
        if self.cache:
            first = [faces[0] for faces in self._faces.values()]
            pool = ThreadPoolExecutor(threads or wanted_threads())
            try:
                for _ in pool.map(self._patch, first):
                    pass
            finally:
                pool.shutdown(cancel_futures=True)

    def _patch(self, index: int) -> Patch:
        """Return the part of the photograph that face ``index`` needs, from the cache where there is one."""
        if not self.cache:
            return cut_patch(read_image(self.records[index].image), *self._reach[index])
        if index not in self._patches:
            photo = read_image(self.records[index].image)
            # One decode serves all the faces of a photograph, and one patch a face that a recipe repeats. A copy lets go of
            # the rest of the photograph.
            made: dict[int, Patch] = {}
            for face in self._faces[self.records[index].image]:
                record = id(self.records[face])
                if record not in made:
                    patch = cut_patch(photo, *self._reach[face])
                    made[record] = Patch(patch.image.copy(), patch.x, patch.y, patch.factor)
                self._patches[face] = made[record]
        return self._patches[index]


def one_thread(worker: int) -> None:
    """Keep a worker process at one thread: workers share the cores by their number."""
    torch.set_num_threads(1)
    # 0 and not 1: OpenCV would wait for threads of the parent process, which do not exist after a fork.
    cv2.setNumThreads(0)


def require_shares(n: int, batch_size: int, rank: int, world: int) -> None:
    """Refuse a batch that processes cannot share.

    Raises:
        UsageError: fewer faces in a batch than processes, or a rank out of range.
    """
    if n < 0 or not 0 <= rank < world:
        raise UsageError(f"expected 0 <= rank < world and no negative number; found rank {rank}, world {world}")
    if min(batch_size, n or batch_size) < world:
        raise UsageError(
            f"a batch of {min(batch_size, n)} faces cannot be shared by {world} processes; raise train.batch_size"
        )


def collate(faces: Sequence[Sequence[Sample]]) -> Batch:
    """Stack B faces of V views each.

    A point's mask is True where it is labelled (finite) and strictly inside the crop, whose edges are -0.5 and S - 0.5:
    a heatmap cannot show what lies outside. Points, visibility and tags are passed on as they are.
    """
    images = torch.from_numpy(np.stack([[view.image for view in face] for face in faces]))
    xy = torch.from_numpy(np.stack([[view.xy_crop for view in face] for face in faces]))
    ends = torch.tensor([images.shape[-1] - 0.5, images.shape[-2] - 0.5])
    return Batch(
        images=images,
        xy=xy,
        visible=torch.from_numpy(np.stack([[view.visible for view in face] for face in faces])),
        # A comparison with nan is False, so this is the labelled ones too.
        mask=((xy > -0.5) & (xy < ends)).all(dim=-1),
        to_image=torch.from_numpy(np.stack([[view.to_image for view in face] for face in faces])),
        mirrored=torch.tensor([[view.mirrored for view in face] for face in faces]),
        tags=[face[0].tags for face in faces],
        index=torch.tensor([face[0].index for face in faces], dtype=torch.int64),
    )


class EpochSampler(Sampler[list[int]]):
    """Batches of indices of one epoch, in an order that depends on (seed, epoch) alone.

    Batch b of the epoch is the same set of faces over all processes whatever their number; each takes every
    ``world``-th of it. The last incomplete batch is dropped, unless it is the only one.

    Args:
        n: number of faces.
        batch_size: faces a batch over all processes.
        seed, epoch: of the order.
        rank, world: this process, and how many there are.
        start: batches to skip, for a run that goes on in the middle of an epoch.

    Raises:
        UsageError: fewer faces in a batch than processes, or numbers out of range.
    """

    def __init__(
        self, n: int, *, batch_size: int, seed: int, epoch: int, rank: int = 0, world: int = 1, start: int = 0
    ) -> None:
        require_shares(min(n, seed, epoch, start) if min(seed, epoch, start) < 0 else n, batch_size, rank, world)
        self.n, self.batch_size, self.seed, self.epoch = n, batch_size, seed, epoch
        self.rank, self.world, self.start = rank, world, start

    def __len__(self) -> int:
        total = self.n // self.batch_size if self.n >= self.batch_size else min(self.n, 1)
        return max(0, total - self.start)

    def __iter__(self) -> Iterator[list[int]]:
        # The fourth number keeps this apart from the generators of the faces: trailing zeros of a seed do not count.
        order = np.random.default_rng([self.seed, self.epoch, 0, 1]).permutation(self.n).tolist()
        for batch in range(self.start, self.start + len(self)):
            yield order[batch * self.batch_size : (batch + 1) * self.batch_size][self.rank :: self.world]
