"""One working object a thread at a time, for objects that must not be shared between threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

T = TypeVar("T")

__all__ = ["Pool"]


class Pool(Generic[T]):
    """Lends objects; makes a new one where all are lent. There are never more than threads that worked at once.

    A deque's ``pop`` and ``append`` are atomic, so no lock is needed, and a fork can never copy a locked one. A pickled
    pool is empty when it is read back.

    Args:
        make: builds an object.

    Example:
        >>> pool = Pool(list)
        >>> with pool.lend() as item:
        ...     item.append(1)
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._idle: deque[T] = deque()

    @contextmanager
    def lend(self) -> Iterator[T]:
        """Lend an object for the time of a ``with`` block. One that was in use when an error arose is not lent again."""
        try:
            item = self._idle.pop()
        except IndexError:
            item = self._make()
        yield item
        self._idle.append(item)

    def __getstate__(self) -> dict[str, Any]:
        return {"_make": self._make}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._make = state["_make"]
        self._idle = deque()
