"""Admission: how many requests, bytes and pixels are in memory at the same time."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from .limits import Limits, Problem

__all__ = ["ARRIVING", "Budget", "Gate", "Place"]

ARRIVING = 16
"""So many requests may be under way for each place in the queue, the slow ones too. They hold bytes, which have their own limit."""


class Place:
    """A request that arrives: the bytes that it holds, and its place in the queue once it is whole."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self.limits = gate.limits
        self.held = 0

    def hold(self, count: int) -> None:
        """Account for ``count`` further bytes of the body.

        Raises:
            Problem: 413 or 429.
        """
        limits = self.limits
        if self.held + count > limits.max_bytes:
            raise Problem.over(
                "bytes", limits.max_bytes, f"the request is larger than {limits.max_bytes:,} bytes; send less at once"
            )
        if self._gate.buffered + count > limits.max_buffered:
            raise self._gate.full("the requests in memory are too large together")
        self.held += count
        self._gate.buffered += count

    @contextmanager
    def work(self) -> Iterator[None]:
        """Hold a place in the queue.

        Raises:
            Problem: 429 where there is none.
        """
        self._gate.check()
        self._gate.inside += 1
        start = time.monotonic()
        try:
            yield
        finally:
            self._gate.inside -= 1
            self._gate.took(time.monotonic() - start)


class Gate:
    """Counts requests, and refuses those that are too many. Used from the event loop alone.

    A request that is still being sent holds no place in the queue, so that slow clients cannot keep others out.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.arriving = 0
        self.inside = 0
        self.buffered = 0
        self._seconds = 1.0

    @contextmanager
    def arrive(self) -> Iterator[Place]:
        """Let a request send its body.

        Raises:
            Problem: 429, the queue is full already, or too many requests are being sent.
        """
        self.check()
        if self.arriving >= ARRIVING * self.limits.queue:
            raise self.full(f"{self.arriving} requests are being sent")
        place = Place(self)
        self.arriving += 1
        try:
            yield place
        finally:
            self.arriving -= 1
            self.buffered -= place.held

    def check(self) -> None:
        """Refuse where the queue is full.

        Raises:
            Problem: 429.
        """
        if self.inside >= self.limits.queue:
            raise self.full(f"{self.inside} requests are in work")

    def took(self, seconds: float) -> None:
        """Remember how long a request took."""
        self._seconds += 0.1 * (seconds - self._seconds)

    def full(self, reason: str) -> Problem:
        """Return the refusal, with the time that a request has taken of late as Retry-After."""
        problem = Problem.over("queue", self.limits.queue, f"the server is busy: {reason}; try again later", 429)
        problem.headers = {"retry-after": str(min(60, max(1, math.ceil(self._seconds))))}
        return problem


class Budget:
    """An amount that is lent in the order of asking; asking waits until enough has come back."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.free = total
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def lend(self, amount: int) -> AsyncIterator[None]:
        """Hold ``amount``, at most the total, while the block runs."""
        amount = min(amount, self.total)
        if self._waiting or amount > self.free:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((amount, turn))
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._give_back(amount)
                raise
        else:
            self.free -= amount
        try:
            yield
        finally:
            self._give_back(amount)

    def _give_back(self, amount: int) -> None:
        self.free += amount
        while self._waiting:
            wanted, turn = self._waiting[0]
            if turn.cancelled():
                self._waiting.popleft()
                continue
            if wanted > self.free:
                return
            self._waiting.popleft()
            self.free -= wanted
            turn.set_result(None)
