"""What image decoders say on standard error, caught: libjpeg tells only there that a photograph ended too early.

libjpeg and libpng write to the process's file descriptor 2, which no Python object stands between. It is turned aside
while a picture is decoded; what was not a decoder's is passed on afterwards.
"""

from __future__ import annotations

import os
import re
import tempfile
import threading
from collections.abc import Callable
from typing import BinaryIO, TypeVar

__all__ = ["decode_quietly"]

T = TypeVar("T")

_REMARK = re.compile(
    rb"(?:libpng (?:warning|error): |Corrupt JPEG data: |Premature end of JPEG file|Invalid SOS parameters|"
    rb"Inconsistent progression sequence|Warning: unknown JFIF revision|Unknown Adobe color transform|"
    rb"Unsupported marker type|Invalid component ID)[^\n]*(?:\n|$)"
)
# The third: a cut that falls where a restart marker is due.
_CUT = re.compile(rb"premature end of data segment|Premature end of JPEG file|found marker 0xd9 instead of RST")


class _Ear:
    """Listens on file descriptor 2 while at least one thread decodes; one thread may ask to be alone."""

    def __init__(self) -> None:
        self._free = threading.Condition()
        self._inside = 0
        self._alone = False
        self._stderr = -1
        self._heard: BinaryIO | None = None

    def enter(self, alone: bool) -> int:
        """Start to listen; return how much was heard before."""
        with self._free:
            self._free.wait_for(lambda: not self._alone and not (alone and self._inside))
            if self._inside == 0:
                self._redirect()
            self._inside += 1
            self._alone = alone
            return 0 if self._heard is None else os.fstat(self._heard.fileno()).st_size

    def leave(self, start: int) -> bytes:
        """Return what was heard since ``start``; the last one out gives standard error back."""
        with self._free:
            text = self._since(start)
            self._inside -= 1
            self._alone = False
            if self._inside == 0:
                self._restore()
            self._free.notify_all()
            return text

    def _since(self, start: int) -> bytes:
        """Return what was heard from a byte on, without moving the file's position, at which other threads write meanwhile."""
        if self._heard is None:
            return b""
        file = self._heard.fileno()
        return os.pread(file, max(os.fstat(file).st_size - start, 0), start)

    def _redirect(self) -> None:
        if not hasattr(os, "pread"):  # Windows: there a decoder's remarks are not heard.
            return
        try:
            self._stderr = os.dup(2)
        except OSError:  # A process without standard error hears nothing.
            return
        self._heard = tempfile.TemporaryFile()  # noqa: SIM115
        os.dup2(self._heard.fileno(), 2)

    def _restore(self) -> None:
        if self._heard is None:
            return
        os.dup2(self._stderr, 2)
        os.close(self._stderr)
        others = _REMARK.sub(b"", self._since(0))
        self._heard.close()
        self._heard = None
        if others:
            os.write(2, others)


_ear = _Ear()
# A process forked in the middle of another thread's decoding must not wait for a thread that it does not have.
if hasattr(os, "register_at_fork"):

    def _fresh() -> None:
        global _ear
        _ear = _Ear()

    os.register_at_fork(after_in_child=_fresh)


def decode_quietly(decode: Callable[[], T]) -> tuple[T, bool]:
    """Call a decoder with its remarks kept off standard error.

    Where several threads decode at once, a remark has no name on it: whoever may have caused it decodes again, alone.

    Returns:
        what the decoder gave, and whether libjpeg met the end of the data before the end of the picture.
    """
    result, text = _listen(decode, alone=False)
    if not _CUT.search(text):
        return result, False
    result, text = _listen(decode, alone=True)
    return result, bool(_CUT.search(text))


def _listen(decode: Callable[[], T], alone: bool) -> tuple[T, bytes]:
    start = _ear.enter(alone)
    text = b""
    try:
        result = decode()
    finally:
        text = _ear.leave(start)
    return result, text
