"""Lines for the user, whatever names they hold and wherever the streams lead."""

from __future__ import annotations

import contextlib
import sys

from ..files import printable, write_stdout

__all__ = ["complain", "say"]


def say(text: str) -> None:
    """Print a line on standard output.

    Raises:
        FiduciaError: standard output is closed, full, or its reader went away.
    """
    write_stdout(f"{text}\n")


def complain(text: str) -> None:
    """Print a line on standard error; where that is closed, nobody can be told."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"fiducia: {printable(text, sys.stderr.encoding or 'utf-8')}\n")
        sys.stderr.flush()
