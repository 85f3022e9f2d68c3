"""Where values stand in a JSON text, and numbers that are replaced only where they change."""

from __future__ import annotations

import codecs
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import FiduciaError
from .base import Patch

__all__ = ["Member", "Text", "find", "members", "number"]

_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\r\n]*")


@dataclass(frozen=True)
class Member:
    """A value inside an object or a list.

    Attributes:
        key: its name, or its place in the list.
        start: where it begins in the text.
        end: where it ends.
        value: the value itself.
    """

    key: str | int
    start: int
    end: int
    value: Any


def members(text: str, start: int) -> list[Member]:
    """Return the members of the object or list that begins at ``start``.

    The text is JSON: somebody has parsed it before. Each value is parsed by the standard library, so this is fast.
    """
    found: list[Member] = []
    at = _blank(text, start + 1)
    while text[at] not in "]}":
        key: str | int = len(found)
        if text[start] == "{":
            key, at = _DECODER.raw_decode(text, at)
            at = _blank(text, _blank(text, at) + 1)
        value, end = _DECODER.raw_decode(text, at)
        found.append(Member(key, at, end, value))
        at = _blank(text, end)
        if text[at] == ",":
            at = _blank(text, at + 1)
    return found


def find(text: str, start: int, *keys: str | int) -> Member | None:
    """Return the value under some keys, one inside the other; None where there is none."""
    member: Member | None = None
    for key in keys:
        if text[start] not in "[{":
            return None
        member = next((one for one in members(text, start) if one.key == key), None)
        if member is None:
            return None
        start = member.start
    return member


def number(value: float) -> str:
    """Return the shortest text that gives the number back."""
    return repr(float(value))


def _blank(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return at if match is None else match.end()


class Text:
    """A UTF-8 file, and replacements in it by their places in the text.

    Args:
        path: the file.
        data: its bytes.
    """

    def __init__(self, path: Path, data: bytes) -> None:
        self.path = path
        self.mark = len(codecs.BOM_UTF8) if data.startswith(codecs.BOM_UTF8) else 0
        self.text = data[self.mark :].decode("utf-8")
        self._found: list[tuple[int, int, str]] = []

    @property
    def begin(self) -> int:
        """Where the JSON value begins."""
        return _blank(self.text, 0)

    def replace(self, start: int, end: int, new: str) -> None:
        """Replace a part of the text, unless it is the same."""
        if self.text[start:end] != new:
            self._found.append((start, end, new))

    def replace_number(self, start: int, end: int, value: float) -> None:
        """Replace a number, unless it has that value: then its digits stay."""
        try:
            same = float(self.text[start:end]) == value
        except ValueError:
            same = False
        if not same:
            self.replace(start, end, number(value))

    def patches(self) -> list[Patch]:
        """Return the replacements by bytes, in the order of the file.

        Raises:
            FiduciaError: two of them overlap.
        """
        found = []
        at, place = 0, self.mark
        for start, end, new in sorted(self._found):
            if start < at:
                raise FiduciaError(f"{self.path}: two changes meet at one place; save one after the other")
            place += len(self.text[at:start].encode())
            old = self.text[start:end].encode()
            found.append(Patch(self.path, place, old, new.encode()))
            at, place = end, place + len(old)
        return found
