"""A runtime in a process that was forked after it was loaded: the threads of its libraries did not come along."""

from __future__ import annotations

import os

from ..errors import FiduciaError

__all__ = ["LoadedIn"]


class LoadedIn:
    """Remembers the process in which a runtime was loaded, and notices a fork."""

    def __init__(self) -> None:
        self._pid = os.getpid()

    def forked(self) -> bool:
        """Whether this is a child of that process; True once in a child, which may then make itself at home."""
        if os.getpid() == self._pid:
            return False
        self._pid = os.getpid()
        return True

    def refuse(self, name: str) -> None:
        """Raise in a child: for libraries that cannot start again after a fork.

        Raises:
            FiduciaError: one line that says what to do instead.
        """
        if os.getpid() != self._pid:
            raise FiduciaError(
                f"this process was forked after --runtime {name} was loaded, and its threads did not come along; load the "
                "predictor in the child, start processes with 'spawn', or use the torch runtime"
            )
