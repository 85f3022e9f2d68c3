"""Reading text files that people made: one encoding, one set of errors. This module imports nothing heavy."""

from __future__ import annotations

import codecs
from pathlib import Path

from .errors import FiduciaError

__all__ = ["decode_text", "read_bytes", "read_text"]

# The longer marks first: that of UTF-32 starts with that of UTF-16.
_FOREIGN_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


def read_bytes(path: str | Path, what: str) -> bytes:
    """Read a plain file whole.

    Args:
        path: the file. Folders, pipes and devices are refused: they have no end that can be relied on.
        what: what the file should be, for errors, such as ``"a COCO keypoint file"``.

    Raises:
        FiduciaError: missing, no plain file, or not readable.
    """
    file = Path(path)
    try:
        if not file.exists():
            raise FiduciaError(f"{path}: no such file; expected {what}; check the path")
        if not file.is_file():
            kind = "folder" if file.is_dir() else "pipe or device"
            raise FiduciaError(f"{path}: is a {kind}; expected {what}; name a file")
        return file.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FiduciaError(f"{path}: cannot be read ({reason}); expected {what}; check its permissions") from None


def read_text(path: str | Path, what: str) -> str:
    """Read a UTF-8 text file, with or without a byte-order mark, with Unix, Windows or old Mac line ends.

    Args:
        path: the file.
        what: what the file should be, for errors.

    Returns:
        the text, with the byte-order mark left out and line ends as they are.

    Raises:
        FiduciaError: as :func:`read_bytes` and :func:`decode_text`.
    """
    return decode_text(read_bytes(path, what), str(path), what)


def decode_text(data: bytes, origin: str, what: str) -> str:
    """Decode the bytes of a UTF-8 text file.

    Raises:
        FiduciaError: UTF-16 or UTF-32 (refused by name), a NUL byte, or bytes that are not UTF-8, with line and column.
    """
    for mark, name in _FOREIGN_MARKS:
        if data.startswith(mark):
            raise FiduciaError(f"{origin}: is {name} text (by its byte-order mark); expected UTF-8; save it as UTF-8")
    data = data.removeprefix(codecs.BOM_UTF8)
    nul = data.find(b"\0")
    if nul >= 0:
        # Every second byte of plain letters in UTF-16 is NUL.
        odd = data[:64].count(0) * 3 >= len(data[:64])
        found = (
            "is UTF-16 text, it seems (every second byte is NUL)" if odd else f"holds a NUL byte at {_place(data, nul)}"
        )
        raise FiduciaError(f"{origin}: {found}; expected {what} as UTF-8 text; save it as UTF-8, or restore it")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FiduciaError(
            f"{origin}: {_place(data, error.start)} holds the byte 0x{data[error.start]:02x}, which is not UTF-8; "
            f"expected {what}; save it as UTF-8"
        ) from None


def _place(data: bytes, at: int) -> str:
    """Return line and column of a byte, both from 1."""
    before = data[:at]
    return f"line {before.count(10) + 1}, byte {at - before.rfind(10)}"
