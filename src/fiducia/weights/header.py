"""The header of a safetensors file, read without its tensors. Importing this module imports neither torch nor numpy.

A safetensors file is eight bytes with the length of the header, the header as JSON, and the tensors' bytes one behind the
other (https://huggingface.co/docs/safetensors). The header gives each tensor's type, shape and place, and a table of strings.
Everything here is checked against the size of the file, so that nothing larger than the header is ever taken into memory.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import FiduciaError
from ..words import one_line

__all__ = ["MOST_HEADER", "Entry", "Header", "digest", "read_header"]

MOST_HEADER = 20_000_000
"""Bytes. The header of a network of 10,000 tensors with its model card takes about 2 MB."""

_BYTES = {
    "BOOL": 1,
    "U8": 1,
    "I8": 1,
    "F8_E4M3": 1,
    "F8_E5M2": 1,
    "I16": 2,
    "U16": 2,
    "F16": 2,
    "BF16": 2,
    "I32": 4,
    "U32": 4,
    "F32": 4,
    "I64": 8,
    "U64": 8,
    "F64": 8,
    "C64": 8,
}
_FLOATS = ("F64", "F32", "F16", "BF16")
_WHOLE = ("I64", "I32", "I16", "I8", "U8", "BOOL")
_PART = 1 << 20


@dataclass(frozen=True)
class Entry:
    """A tensor as the header describes it.

    Attributes:
        dtype: the type's name, such as ``F32``.
        shape: its sizes.
        start: first byte, counted from the end of the header.
        end: the byte behind its last one.
    """

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int

    @property
    def floating(self) -> bool:
        """Whether it holds real numbers, which a network may compute with."""
        return self.dtype in _FLOATS

    @property
    def usable(self) -> bool:
        """Whether a network of this package may have a tensor of this type."""
        return self.dtype in _FLOATS or self.dtype in _WHOLE

    @property
    def numel(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Header:
    """What the header of a file says.

    Attributes:
        path: the file.
        tensors: every tensor by name.
        metadata: the table of strings; a model card stands under ``fiducia``.
        offset: the byte of the file where the tensors begin.
    """

    path: Path
    tensors: dict[str, Entry]
    metadata: dict[str, str]
    offset: int


def read_header(path: Path) -> Header:
    """Read and check the header of a safetensors file.

    Raises:
        FiduciaError: not a safetensors file, cut off, or one whose header contradicts itself or the file's size.
    """
    try:
        with path.open("rb") as file:
            return _read(path, file)
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from None
    except (ValueError, RecursionError) as error:
        raise _unreadable(path, str(error) or type(error).__name__) from None


def digest(header: Header) -> str:
    """Return the SHA-256 of the names and bytes of a file's tensors, in the order of their names.

    The model card is left out, so that writing a number into it changes nothing. The file is read in parts.

    Raises:
        FiduciaError: the file cannot be read, or was cut since its header was read.
    """
    found = hashlib.sha256()
    try:
        with header.path.open("rb") as file:
            for name in sorted(header.tensors):
                found.update(name.encode())
                for part in _parts(file, header, header.tensors[name]):
                    found.update(part)
    except OSError as error:
        raise _unreadable(header.path, error.strerror or str(error)) from None
    return found.hexdigest()


def _parts(file: BinaryIO, header: Header, entry: Entry) -> Iterator[bytes]:
    file.seek(header.offset + entry.start)
    left = entry.end - entry.start
    while left > 0:
        part = file.read(min(left, _PART))
        if not part:
            raise _unreadable(header.path, "it became shorter while it was read")
        left -= len(part)
        yield part


def _unreadable(path: Path, reason: str) -> FiduciaError:
    return FiduciaError(
        f"{path}: not a readable safetensors file ({one_line(reason, 160)}); get it again, or convert a published checkpoint "
        "with: fiducia weights convert"
    )


def _read(path: Path, file: BinaryIO) -> Header:
    start = file.read(8)
    if len(start) < 8:
        raise ValueError(f"{len(start)} bytes, which is too short")
    (length,) = struct.unpack("<Q", start)
    size = file.seek(0, 2)
    if length > size - 8 or length < 2:
        raise ValueError(f"its header would be {length:,} bytes, in a file of {size:,}")
    if length > MOST_HEADER:
        raise ValueError(f"its header is {length:,} bytes; at most {MOST_HEADER:,} are read")
    file.seek(8)
    text = file.read(length)
    if text[:1] != b"{":
        raise ValueError("its header is no JSON object")
    try:
        table = json.loads(text.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise ValueError("its header is not UTF-8") from None
    metadata = table.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError("its table of strings holds something else")
    try:
        "".join((*table, *metadata, *metadata.values())).encode()
    except UnicodeEncodeError:
        raise ValueError("its header holds half a character") from None
    tensors = {name: _entry(name, value) for name, value in table.items()}
    _check_places(tensors, size - 8 - length)
    return Header(path, tensors, metadata, 8 + length)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise ValueError("its header has a key twice")
    return table


def _no_constant(word: str) -> Any:
    raise ValueError(f"its header holds {word}, which is no JSON")


def _entry(name: str, value: Any) -> Entry:
    shown = repr(one_line(name, 60))
    if not isinstance(value, dict) or set(value) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"tensor {shown} is not described by type, shape and place")
    dtype, shape, place = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _BYTES:
        raise ValueError(f"tensor {shown} has the type {one_line(str(dtype), 30)!r}, which is unknown here")
    if not _numbers(shape) or len(shape) > 16 or not _numbers(place) or len(place) != 2:
        raise ValueError(f"tensor {shown} has a shape or a place that is none")
    entry = Entry(dtype, tuple(shape), *place)
    if entry.end - entry.start != entry.numel * _BYTES[dtype]:
        raise ValueError(f"tensor {shown} has bytes for another shape")
    return entry


def _numbers(value: Any) -> bool:
    # Larger sizes are in no file, and their product would be slow to compute.
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 1 << 62 for n in value)


def _check_places(tensors: dict[str, Entry], size: int) -> None:
    """Check that the tensors lie one behind the other and fill the file.

    Raises:
        ValueError: bytes that belong to no tensor or to two, or a file that is cut off.
    """
    at = 0
    for entry in sorted(tensors.values(), key=lambda one: (one.start, one.end)):
        if entry.start != at:
            raise ValueError("its tensors overlap or leave gaps")
        at = entry.end
    if at != size:
        raise ValueError(f"its tensors take {at:,} bytes and the file has {size:,} for them")
