"""Random faults for the inputs of ``fuzz.py``: in the values of nested tables, in bytes, and in text."""

from __future__ import annotations

import copy
import random
import re
import struct
from collections.abc import Iterator, Sequence
from typing import Any

__all__ = ["fault_in_bytes", "fault_in_text", "fault_in_values", "places"]

SIZES = (1, 2, 4, 16, 100, 200)
COUNTS = (0, 1, 2, 255, 256, 65535, 65536, 1 << 20, 1 << 24, (1 << 31) - 1, (1 << 32) - 1)
LONG_COUNTS = (*COUNTS, 1 << 40, (1 << 64) - 1)
ENCODINGS = ("utf-16", "utf-16-le", "utf-32", "latin-1", "utf-8-sig", "utf-7")


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the keys and numbers that lead to each value inside nested tables and lists."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield (*path, key)
        yield from places(value[key], (*path, key))


def fault_in_values(table: Any, draw: random.Random, values: Sequence[Any], names: Sequence[str] = ()) -> None:
    """Replace, remove, double or rename one value somewhere in nested tables; an empty one stays as it is.

    Args:
        table: is changed.
        draw: the random generator.
        values: what a value may become.
        names: what a key may become, beside what ``values`` look like as text.
    """
    found = list(places(table))
    if not found:
        return
    *way, key = draw.choice(found)
    node = table
    for step in way:
        node = node[step]
    match draw.randrange(6):
        case 0:
            del node[key]
        case 1 if isinstance(node, list):
            node.append(copy.deepcopy(node[key]))
        case 1 if isinstance(node, dict):
            node[draw.choice((*names, f"{key}s", str(draw.choice(values))[:50]))] = copy.deepcopy(node[key])
        case 2 if isinstance(node, dict):
            node[draw.choice((*names, str(draw.choice(values))[:50]))] = node.pop(key)
        case _:
            node[key] = copy.deepcopy(draw.choice(values))


def fault_in_bytes(data: bytearray, draw: random.Random, at: int) -> None:
    """Change, cut, remove, add, clear or double bytes at a place, or write a number there; ``data`` is changed."""
    size, order = draw.choice(SIZES), draw.choice("<>")
    match draw.randrange(9):
        case 0:
            data[at : at + 1] = draw.randbytes(1)
        case 1:
            data[at : at + 1] = bytes([(data[at] if at < len(data) else 0) ^ 1 << draw.randrange(8)])
        case 2:
            del data[at:]
        case 3:
            del data[at : at + size]
        case 4:
            data[at:at] = draw.randbytes(size)
        case 5:
            data[at : at + size] = bytes(size)
        case 6:
            data[at:at] = data[at : at + size]
        case 7:
            data[at : at + 4] = struct.pack(order + "I", draw.choice(COUNTS))
        case 8:
            data[at : at + 8] = struct.pack(order + "Q", draw.choice(LONG_COUNTS))


def fault_in_text(data: bytes, draw: random.Random, words: Sequence[bytes]) -> bytes:
    """Return a text's bytes with one fault: cut, a part removed or doubled, a word or byte put in, another encoding."""
    at = draw.randrange(len(data) + 1)
    end = at + draw.randint(1, draw.choice((30, 60, 200)))
    match draw.randrange(8):
        case 0:
            return data[:at]
        case 1:
            return data[:at] + draw.choice(words) + data[at:]
        case 2:
            return data[:at] + draw.choice(words) + data[at + 1 :]
        case 3:
            return data[:at] + draw.randbytes(1) + data[at + 1 :]
        case 4:
            return data[:at] + data[end:]
        case 5:
            return data[:end] + data[at:end] + data[end:]
        case 6:
            number = re.compile(rb"\d+(\.\d+)?").search(data, at)
            return data[: number.start()] + draw.choice(words) + data[number.end() :] if number else data
        case _:
            return data.decode("utf-8", "replace").encode(draw.choice(ENCODINGS), "replace")
