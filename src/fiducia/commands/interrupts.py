"""Ctrl-C and SIGTERM in a command: one line that says what is done and how to go on, and the right exit status."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..errors import Interrupted
from ..training.stop import Stop

__all__ = ["interruptible"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def interruptible(told: Callable[[], str]) -> Iterator[Stop]:
    """Take Ctrl-C and SIGTERM for the time of a ``with`` block. The library itself never handles a signal.

    A signal ends the block at once: whatever was being written is removed, and what was written stays. A block that can
    finish its step first arms the :class:`~fiducia.training.stop.Stop` that it is given; a second signal ends it at once.

    Args:
        told: the rest of the line after "stopped": what is done, and how to go on.

    Raises:
        Interrupted: a signal came; exit status 130 for Ctrl-C, 143 for SIGTERM.
    """
    stop = Stop()
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, stop) for number in _SIGNALS}
    try:
        yield stop
    except KeyboardInterrupt:
        raise Interrupted(f"stopped; {told()}", stop.status) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
