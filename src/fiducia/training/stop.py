"""Ctrl-C and SIGTERM during a run: finish the step, save, and end."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Stop", "stop_on_signals"]


class Stop:
    """A request to end. While the loop is not :attr:`armed`, a signal ends the program at once, as usual.

    Attributes:
        armed: the loop looks at :attr:`signal` after every step.
        signal: the signal that came; 0 = none.
    """

    def __init__(self) -> None:
        self.armed = False
        self.signal = 0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Take a signal: the first asks the loop to end, a second one ends it now."""
        if self.armed and not self.signal:
            self.signal = number
            return
        raise SystemExit(128 + number) if number == signal.SIGTERM else KeyboardInterrupt

    @property
    def status(self) -> int:
        """The exit status that says which signal it was."""
        return 128 + self.signal


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Take Ctrl-C and SIGTERM for the time of a run; for programs, not for libraries."""
    stop = Stop()
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
