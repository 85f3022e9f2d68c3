"""How far a long command is, with the time left: one line on standard error, where that is a terminal."""

from __future__ import annotations

import sys
import time

from ..words import duration

__all__ = ["Progress"]

_EVERY = 0.2
"""Seconds between two drawings."""


class Progress:
    """A line such as ``images 120/10,000, 5m12s left`` that is drawn again and again; silent where nobody sees it.

    Args:
        what: is counted.
        shown: False = never draw, as where a command prints JSON only.
    """

    def __init__(self, what: str, shown: bool = True) -> None:
        self.what = what
        self.done = 0
        self.total = 0
        self._shown = shown and sys.stderr is not None and sys.stderr.isatty()
        self._started = time.monotonic()
        self._drawn = 0.0
        self._there = False

    def __call__(self, done: int, total: int) -> None:
        """Take the number that is done, and draw the line when it is time."""
        if done <= self.done:
            # What is counted began anew.
            self._started = time.monotonic()
        self.done, self.total = done, total
        now = time.monotonic()
        if self._shown and now - self._drawn >= _EVERY:
            self._drawn, self._there = now, True
            sys.stderr.write(f"\r\x1b[K{self.what} {done:,}/{total:,}{self._left(now)}")
            sys.stderr.flush()

    def clear(self) -> None:
        """Remove the line, before another one is printed and at the end."""
        if self._there:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._there, self._drawn = False, 0.0

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._started

    def _left(self, now: float) -> str:
        passed = now - self._started
        if not self.done or passed < 1:
            return ""
        return f", {duration(passed / self.done * (self.total - self.done))} left"
