"""Files in and out, whatever they are: plain files, pipes, devices, links. This module imports nothing heavy.

A plain file is written beside its place and renamed into it, so it is whole or as it was. A pipe or a device is written
to, and a link is followed; neither is ever replaced.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import secrets
import select
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from .errors import FiduciaError, PlaceLost, UsageError
from .tars import member_of, read_member

__all__ = [
    "PIPE_WAIT",
    "is_plain_file",
    "open_output",
    "printable",
    "read_bytes",
    "require_writable",
    "text_bytes",
    "write_atomic",
    "write_stdout",
]

PIPE_WAIT = 10.0
"""Seconds that a pipe may stay silent, or without a reader, before it is given up."""

_DESCRIPTOR = re.compile(r"/(?:dev|proc/(?:self|thread-self|\d+))/fd/(\d+)")
_STANDARD = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
_MOST_LINKS = 40
_LOST = frozenset(
    getattr(errno, name) for name in ("ENOSPC", "EDQUOT", "EROFS", "EIO", "ESTALE") if hasattr(errno, name)
)
"""Errors of a disk, which the next file will meet too."""
_REASONS = {
    errno.ENOENT: "no such file",
    errno.ELOOP: "is a loop of links",
    errno.ENAMETOOLONG: "has a name that is too long for the file system",
    errno.EACCES: "may not be read: permission denied",
    errno.EPIPE: "its reader stopped reading",
}


def read_bytes(path: str | os.PathLike[str], limit: int, what: str = "a file") -> bytes:
    """Read a whole file, or a pipe to its end; a device, a socket or a directory is refused.

    Args:
        path: where it is.
        limit: a file of more bytes is refused, before it is read where its size is known.
        what: what is expected there, for errors, such as ``"an image"``.

    A path may lead into a tar file of :mod:`fiducia.tars`, such as ``faces-00000.tar/000000000000-9f3a01bc.jpg``.

    Raises:
        FiduciaError: it cannot be read; one line that starts with the path.
    """
    inside = member_of(path)
    if inside is not None:
        return read_member(*inside, limit)
    name = os.fspath(path)
    try:
        _refuse_special(name, Path(name).stat().st_mode, what)
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(name, flags), "rb", buffering=0) as file:
            found = os.fstat(file.fileno())
            _refuse_special(name, found.st_mode, what)
            if stat.S_ISFIFO(found.st_mode):
                return _read_pipe(name, file.fileno(), limit)
            if found.st_size > limit:
                raise _too_large(name, limit)
            # One byte more shows a file that grows while it is read.
            data = _read_plain(file, limit + 1, found.st_size)
    except (OSError, ValueError) as error:
        reason = _reason(error)
        raise FiduciaError(f"{name}: {reason}; expected {what}; check the path and its permissions") from None
    if len(data) > limit:
        raise _too_large(name, limit)
    return data


def _refuse_special(name: str, mode: int, what: str) -> None:
    kind = ""
    if stat.S_ISDIR(mode):
        raise FiduciaError(f"{name}: is a folder; expected {what}; name a file inside it")
    if stat.S_ISSOCK(mode):
        kind = "a socket"
    elif stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        kind = "a device"
    if kind:
        raise FiduciaError(f"{name}: is {kind}; expected {what}; name a plain file or a pipe")


def _too_large(name: str, limit: int) -> FiduciaError:
    return FiduciaError(f"{name}: is larger than {limit / 1e6:.0f} MB; shrink it, or raise the limit")


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return _REASONS.get(error.errno or 0) or f"cannot be opened ({error.strerror or error})"
    return f"cannot be opened ({error})"


def _read_plain(file: io.FileIO, most: int, size: int) -> bytes:
    parts: list[bytes] = []
    left = most
    while left > 0:
        # The size is asked for at once; what follows shows the end, or that the file grew.
        part = file.read(min(left, max(size, 1 << 16)))
        if not part:
            break
        parts.append(part)
        left -= len(part)
        size = 1 << 16
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _read_pipe(name: str, descriptor: int, limit: int) -> bytes:
    """Read a pipe to its end; a writer may be slow, but not silent."""
    parts: list[bytes] = []
    size = 0
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    while size <= limit:
        if not waiting.poll(PIPE_WAIT * 1000):
            raise FiduciaError(
                f"{name}: is a pipe to which nothing was written for {PIPE_WAIT:g} seconds; start its writer first"
            )
        try:
            part = os.read(descriptor, 1 << 20)
        except BlockingIOError:
            continue
        if not part:
            return b"".join(parts)
        parts.append(part)
        size += len(part)
    raise _too_large(name, limit)


def is_plain_file(path: str | os.PathLike[str]) -> bool:
    """Whether there is a plain file; False also for a name that the system refuses, such as one of 5,000 characters."""
    try:
        return stat.S_ISREG(Path(path).stat().st_mode)
    except (OSError, ValueError):
        return False


def write_atomic(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file as :func:`open_output` does, all at once.

    Raises:
        FiduciaError: the place cannot be written.
    """
    with open_output(path) as file:
        file.write(data)


@contextlib.contextmanager
def open_output(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a place for writing bytes as they come; missing directories are made.

    A plain file, or one that is not there yet, appears under its name when the block ends without an error; after an error
    the old one stays. Links are followed. Pipes, terminals, ``/dev/null`` and ``/dev/stdout`` are written to at once.

    Raises:
        PlaceLost: the disk is full, or can no longer be written.
        FiduciaError: the place cannot be written, or the reader of a pipe went away.
    """
    name, inside = os.fspath(path), False
    try:
        with _place(name) as file:
            inside = True
            yield file
            inside = False
    except (OSError, ValueError) as error:
        # Errors of the caller's own, such as of another file that is opened meanwhile, are not those of this place.
        if inside and (not isinstance(error, OSError) or error.filename is not None):
            raise
        kind = PlaceLost if getattr(error, "errno", None) in _LOST else FiduciaError
        raise kind(f"{name}: cannot be written ({_plainly(error)}); choose another place") from None


def _plainly(error: OSError | ValueError) -> str:
    return _REASONS.get(getattr(error, "errno", 0) or 0) or getattr(error, "strerror", None) or str(error)


@contextlib.contextmanager
def _place(name: str) -> Iterator[BinaryIO]:
    descriptor = _standing(name)
    if descriptor is None:
        with _write_beside(Path(os.path.realpath(name))) as file:
            yield file
    else:
        with os.fdopen(descriptor, "wb", buffering=1 << 16) as file:
            yield file


@contextlib.contextmanager
def _write_beside(real: Path) -> Iterator[BinaryIO]:
    """Yield a file beside ``real``; rename it there when all is written, and keep the old one's permissions."""
    real.parent.mkdir(parents=True, exist_ok=True)
    beside = real.with_name(f".fiducia-{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with beside.open("xb") as file:
            with contextlib.suppress(OSError):
                beside.chmod(stat.S_IMODE(real.stat().st_mode))
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(real)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise


def _standing(name: str) -> int | None:
    """Return a descriptor on a pipe or a device that is written in place; None for a plain file, there or not."""
    number = _descriptor(name)
    if number is not None:
        stream = {1: sys.stdout, 2: sys.stderr}.get(number)
        if stream is not None:
            stream.flush()
        return os.dup(number)
    try:
        mode = Path(name).stat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISREG(mode):
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder")
    if stat.S_ISBLK(mode) or stat.S_ISSOCK(mode):
        raise OSError(errno.EINVAL, "it is a disk" if stat.S_ISBLK(mode) else "it is a socket")
    if not stat.S_ISFIFO(mode):
        return os.open(name, os.O_WRONLY | getattr(os, "O_NOCTTY", 0))
    end = time.monotonic() + PIPE_WAIT
    while True:
        try:
            descriptor = os.open(name, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            if time.monotonic() > end:
                raise OSError(errno.ENXIO, f"nobody reads this pipe; waited {PIPE_WAIT:g} seconds") from None
            time.sleep(0.02)
        else:
            os.set_blocking(descriptor, True)
            return descriptor


def _descriptor(name: str) -> int | None:
    """Return n for ``/dev/fd/n`` of this process and its like, also through links: such a file is already open."""
    for _ in range(_MOST_LINKS):
        if name in _STANDARD:
            return _STANDARD[name]
        found = _DESCRIPTOR.fullmatch(name)
        if found:
            owner = name.split("/")[2]
            return int(found.group(1)) if not owner.isdigit() or int(owner) == os.getpid() else None
        try:
            name = os.path.normpath(Path(name).parent / Path(name).readlink())
        except (OSError, ValueError):
            return None
    return None


def require_writable(path: str | os.PathLike[str]) -> None:
    """Refuse a place where nothing can be written, before the work whose result should stand there; nothing is made yet.

    Raises:
        UsageError: it is a directory or may not be written, or its nearest directory is a file or may not be written into.
    """
    name = os.fspath(path)
    if _descriptor(name) is not None:
        return
    mode: int | None = None
    try:
        whole = Path(os.path.realpath(name))
        mode = Path(name).stat().st_mode
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        raise UsageError(f"{name}: nothing can be written there ({_reason(error)}); choose another place") from None
    if mode is not None and stat.S_ISDIR(mode):
        raise UsageError(f"{name}: is a directory; expected a file; name one inside it")
    if mode is not None and not os.access(name, os.W_OK):
        raise UsageError(f"{name}: cannot be written; choose another place")
    if mode is not None and not stat.S_ISREG(mode):
        return
    nearest = next(folder for folder in whole.parents if folder.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        what = "cannot be written into" if nearest.is_dir() else "is a file"
        raise UsageError(f"{name}: nothing can be written there ({nearest} {what}); choose another place")


def printable(text: str, encoding: str = "utf-8") -> str:
    r"""Return text that this encoding can print: what it lacks, such as a file name's stray byte, becomes ``\xe9``.

    Python keeps a byte of a file name that is in no encoding as a lone surrogate (PEP 383), which no stream prints.
    """
    bare = "".join(f"\\x{ord(c) - 0xDC00:02x}" if "\udc80" <= c <= "\udcff" else c for c in text)
    return bare.encode(encoding, "backslashreplace").decode(encoding)


def text_bytes(text: str) -> bytes:
    r"""Return text as UTF-8; a byte of a file's name that is in no encoding is spelled out, as :func:`printable` does."""
    return printable(text).encode()


def write_stdout(text: str) -> None:
    """Print text on standard output, at once, whatever names it holds.

    Raises:
        FiduciaError: standard output is closed, full, or its reader went away.
    """
    stream = sys.stdout
    try:
        if stream is None:
            raise OSError(errno.EBADF, "it is closed")
        stream.flush()
        data = printable(text, getattr(stream, "encoding", None) or "utf-8")
        raw = getattr(getattr(stream, "buffer", None), "raw", None)
        if raw is None:
            stream.write(data)
            return
        # Nothing stays in a buffer, which Python would try to write again at its end.
        left = memoryview(data.encode(stream.encoding))
        while left:
            left = left[raw.write(left) or 0 :]
    except (OSError, ValueError) as error:
        raise FiduciaError(f"standard output: cannot be written ({_plainly(error)})") from None
