"""One thread at a time computes with the network. What waits for it at the same time is computed in one batch."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")

__all__ = ["Batcher"]


@dataclass(eq=False)
class _Job(Generic[Item, Answer]):
    key: str
    item: Item
    weight: int
    arrived: float
    future: Future[Answer] = field(default_factory=Future)


class Batcher(Generic[Item, Answer]):
    """Collects items from many threads and computes them in one; an item that comes alone is computed by the thread that brings it.

    The delay adapts itself. A batch starts at once when nothing else is on its way. Otherwise it waits for what other threads
    are preparing (see :meth:`coming`), until the batch is full or its first item is ``delay`` old. While a batch is
    computed the next one gathers, so a busy server never waits.

    Args:
        compute: (key, items) → an answer each; called in one thread at a time. The key says which network.
        most: weight (number of faces) of a full batch. An item is never split.
        delay: seconds that an item waits for others, at most.
        on_batch: called with the weight of each batch.
    """

    def __init__(
        self,
        compute: Callable[[str, Sequence[Item]], Sequence[Answer]],
        most: int = 32,
        delay: float = 0.005,
        on_batch: Callable[[int], None] = lambda weight: None,
    ) -> None:
        self._compute = compute
        self._most = most
        self._delay = delay
        self._on_batch = on_batch
        self._jobs: deque[_Job[Item, Answer]] = deque()
        self._ready = threading.Condition()
        self._coming = 0
        self._busy = False
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="network", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread runs and takes work."""
        return self._thread.is_alive() and not self._closed

    @property
    def waiting(self) -> int:
        """Number of items that wait."""
        return len(self._jobs)

    @contextmanager
    def coming(self) -> Iterator[Callable[[str, Item, int], Future[Answer]]]:
        """Say that an item is being prepared; the block gets :meth:`submit` for it, and may leave it uncalled."""
        on_its_way = True

        def submit(key: str, item: Item, weight: int = 1) -> Future[Answer]:
            nonlocal on_its_way
            came, on_its_way = on_its_way, False
            return self._add(key, item, weight, came)

        with self._ready:
            self._coming += 1
        try:
            yield submit
        finally:
            if on_its_way:
                with self._ready:
                    self._coming -= 1
                    self._ready.notify()

    def submit(self, key: str, item: Item, weight: int = 1) -> Future[Answer]:
        """Hand in an item; a future that is cancelled before its batch starts is left out of it.

        Raises:
            RuntimeError: after :meth:`close`.
        """
        return self._add(key, item, weight, False)

    def _add(self, key: str, item: Item, weight: int, came: bool) -> Future[Answer]:
        """Add a job; one that was on its way is so no longer. The thread is woken once."""
        job: _Job[Item, Answer] = _Job(key, item, weight, time.monotonic())
        with self._ready:
            self._coming -= came
            if self._closed:
                raise RuntimeError("the network's thread has ended")
            alone = came and not (self._coming or self._jobs or self._busy)
            if alone:
                self._busy = True
            else:
                self._jobs.append(job)
                self._ready.notify()
        if alone:
            try:
                self._run_batch([job])
            finally:
                with self._ready:
                    self._busy = False
                    self._ready.notify()
        return job.future

    def close(self) -> None:
        """Compute what waits, then end the thread."""
        with self._ready:
            self._closed = True
            self._ready.notify()
        self._thread.join()

    def _run(self) -> None:
        while batch := self._next():
            self._run_batch(batch)
            with self._ready:
                self._busy = False

    def _run_batch(self, batch: Sequence[_Job[Item, Answer]]) -> None:
        running = [job for job in batch if job.future.set_running_or_notify_cancel()]
        if running:
            self._on_batch(sum(job.weight for job in running))
            self._answer(running)

    def _next(self) -> list[_Job[Item, Answer]]:
        """Return the next batch, of one network; an empty list ends the thread."""
        with self._ready:
            while not self._jobs or self._busy:
                if self._closed and not self._jobs and not self._busy:
                    return []
                self._ready.wait()
            first = self._jobs[0]
            while self._coming and not self._closed and self._weight(first.key) < self._most:
                left = first.arrived + self._delay - time.monotonic()
                if left <= 0:
                    break
                self._ready.wait(left)
            batch: list[_Job[Item, Answer]] = []
            others: list[_Job[Item, Answer]] = []
            weight = 0
            for job in self._jobs:
                fits = job.key == first.key and (not batch or weight + job.weight <= self._most)
                (batch if fits else others).append(job)
                weight += job.weight if fits else 0
            self._jobs = deque(others)
            self._busy = True
            return batch

    def _weight(self, key: str) -> int:
        return sum(job.weight for job in self._jobs if job.key == key)

    def _answer(self, jobs: Sequence[_Job[Item, Answer]]) -> None:
        """Compute a batch; where it fails, compute its items one by one, so that one cannot spoil the others."""
        try:
            answers = self._compute(jobs[0].key, [job.item for job in jobs])
        except Exception as error:  # it belongs to whoever waits for the answer
            if len(jobs) == 1:
                jobs[0].future.set_exception(error)
            else:
                for job in jobs:
                    self._answer([job])
            return
        for job, answer in zip(jobs, answers, strict=True):
            job.future.set_result(answer)
