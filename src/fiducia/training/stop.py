"""A request to end a run, by Ctrl-C or SIGTERM: finish the step, save, and end. The commands handle the signals."""

from __future__ import annotations

from types import FrameType

__all__ = ["Stop"]

_CTRL_C = 2


class Stop:
    """A request to end. While the loop is not :attr:`armed`, a signal ends the program at once.

    Attributes:
        armed: the loop looks at :attr:`signal` after every step.
        signal: the signal that came; 0 = none.
    """

    def __init__(self) -> None:
        self.armed = False
        self.signal = 0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Take a signal, as a handler: the first asks an armed loop to end, any other ends it now.

        Raises:
            KeyboardInterrupt: the program should end now.
        """
        first, self.signal = not self.signal, number
        if not (self.armed and first):
            raise KeyboardInterrupt

    @property
    def status(self) -> int:
        """The exit status that says which signal it was: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + (self.signal or _CTRL_C)
