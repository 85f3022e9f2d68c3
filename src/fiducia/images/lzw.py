"""The LZW compression of TIFF (TIFF 6.0, section 13), decoded by numpy, since libtiff tells damage on standard error only.

After a clear code the width of each following code is known from its number alone, so a whole run of codes is taken apart
at once. Code 258 + j stands for the string of the run's code j and the first byte after it: a copy from earlier output.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["LzwError", "decode_lzw"]

_CLEAR, _END, _FIRST = 256, 257, 258
# Twelve bits number 4096 strings; the width grows one code early.
_LONGEST = 4095 - _FIRST + 1
_NUMBER = np.arange(_LONGEST)
_WIDTH = 9 + np.searchsorted([511, 1023, 2047], _NUMBER + _FIRST - 1, side="right")
_OFFSET = np.concatenate([[0], np.cumsum(_WIDTH)[:-1]])
_BATCH_BYTES = 1 << 21
_LONG_STRING = 8
# A table is cleared when it is full, or every 254 codes by writers that stay at nine bits.
_BITS_A_CLEAR = 9 * 200

Codes = npt.NDArray[np.int32]


class LzwError(ValueError):
    """The data are damaged or end too early."""


def decode_lzw(data: bytes, expected: int, most: int | None = None) -> bytearray:
    """Return the ``expected`` bytes of a strip.

    Args:
        data: the compressed strip.
        expected: how many bytes are needed.
        most: how many a strip that was filled up may give; none else is right.

    Raises:
        LzwError: a code that stands for nothing yet, far too many clear codes, too few bytes, or bytes left over.
    """
    most = expected if most is None else most
    padded = np.frombuffer(data + b"\0\0\0", np.uint8)
    # One byte more shows that there are too many.
    out, bits, at, wanted, done = bytearray(most + 1), 8 * len(data), 0, 1, False
    filled, clears = 0, 16 + bits // _BITS_A_CLEAR
    while filled <= most and not done:
        runs: list[Codes] = []
        while len(runs) < wanted and not done:
            run, at, done = _run(padded, at, bits)
            clears -= 1
            if clears < 0:
                raise LzwError("far too many clear codes")
            if len(run):
                runs.append(run)
        if runs:
            start = filled
            filled = _expand(runs, out, filled, most + 1)
            wanted = max(1, min(32, _BATCH_BYTES * len(runs) // max(filled - start, 1)))
    if filled < expected:
        raise LzwError(f"{filled} of {expected} bytes")
    if filled not in (expected, most):
        raise LzwError(f"more than {expected} bytes")
    return out[:expected]


def _run(padded: npt.NDArray[np.uint8], at: int, bits: int) -> tuple[Codes, int, bool]:
    """Return the codes up to the next clear or end code, the bit after it, and whether the data end here."""
    place = at + _OFFSET
    count = int(np.searchsorted(place + _WIDTH, bits, side="right"))
    place, width = place[:count], _WIDTH[:count]
    first = place >> 3
    window = padded[first].astype(np.int32) << 16 | padded[first + 1].astype(np.int32) << 8 | padded[first + 2]
    codes = (window >> (24 - (place & 7) - width)) & ((1 << width) - 1)
    special = np.flatnonzero((codes == _CLEAR) | (codes == _END))
    length = int(special[0]) if len(special) else count
    run = codes[:length].astype(np.int32)
    if len(run) and (run[0] > 255 or (run > _NUMBER[:length] + _END).any()):
        raise LzwError("a code that stands for nothing yet")
    if len(special) == 0:
        if count == _LONGEST:
            raise LzwError("more codes than its table holds")
        return run, bits, True
    return run, int(place[length] + width[length]), bool(codes[length] == _END)


def _expand(runs: list[Codes], out: bytearray, filled: int, expected: int) -> int:
    """Write the strings of runs of codes into ``out`` from ``filled`` on; return the new end, at most ``expected``."""
    codes = np.concatenate(runs)
    own = np.arange(len(codes))
    base = np.repeat(np.cumsum([0, *map(len, runs[:-1])]), [len(run) for run in runs])
    copies = codes >= _FIRST
    parent = np.where(copies, base + codes - _FIRST, own)
    # The length of a string is the number of its ancestors plus one; each round doubles how far back we look.
    length, back = copies.astype(np.int64), parent
    while not np.array_equal(further := back[back], back):
        length, back = length + length[back], further
    length = length + 1
    start = np.cumsum(length) - length
    total = int(length.sum())
    room = expected - filled
    if total > len(codes) * _LONG_STRING:
        _copy_strings(codes, parent, start, length, out, filled, expected)
        return filled + min(total, room)
    source = np.arange(total, dtype=np.int64) - np.repeat(start - start[parent], length)
    while not np.array_equal(further := source[source], source):
        source = further
    literal = np.zeros(total, np.uint8)
    literal[start[~copies]] = codes[~copies]
    out[filled : filled + min(total, room)] = literal[source[:room]].tobytes()
    return filled + min(total, room)


def _copy_strings(
    codes: Codes,
    parent: npt.NDArray[np.int64],
    start: npt.NDArray[np.int64],
    length: npt.NDArray[np.int64],
    out: bytearray,
    filled: int,
    expected: int,
) -> None:
    """Copy long strings one by one; a string may reach one byte into itself, which is its own first byte."""
    where = (start + filled).tolist()
    for code, source, at, size in zip(codes.tolist(), start[parent].tolist(), where, length.tolist(), strict=True):
        if at + size > expected:
            size = expected - at
            if size <= 0:
                return
        if code < _FIRST:
            out[at] = code
            continue
        begin = source + filled
        out[at : at + size] = out[begin : begin + size]
        if begin + size > at:
            out[at + size - 1] = out[begin]
