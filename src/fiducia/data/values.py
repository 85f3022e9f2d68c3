"""Plain values from JSON files of other people, each checked where it is taken out, with its place in the file."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..text import read_text
from .kinds import LabelError

__all__ = [
    "MOST",
    "as_id",
    "as_list",
    "as_number",
    "as_numbers",
    "as_table",
    "as_text",
    "as_triples",
    "as_word_number",
    "parse_json",
    "plain_numbers",
    "read_json",
    "short",
    "show",
]

MOST = 1e7
"""No photograph has so many pixels on a side: a coordinate beyond it is a mistake."""
_LONGEST = 1000
"""Characters of a name or path; file systems take some 255 a part."""
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_DIGITS = frozenset("0123456789+-.eE")
_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+")


def read_json(path: Path, what: str) -> Any:
    """Read a JSON file.

    Args:
        path: the file.
        what: what it should be, for errors.

    Raises:
        FiduciaError: not readable as text, or no JSON; the line gives line and column.
        LabelError: a key that stands twice in one object.
    """
    return parse_json(read_text(path, what), str(path), what)


def parse_json(text: str, origin: str, what: str) -> Any:
    """Parse JSON as :func:`read_json` does."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(pairs)
        if len(table) != len(pairs):
            names = [key for key, _ in pairs]
            twice = next(key for key in names if names.count(key) > 1)
            raise LabelError("form", f"{origin}: the key {twice[:40]!r} stands twice in one object; leave one out")
        return table

    try:
        return json.loads(text, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise LabelError("file", f"{origin}: {place}: {error.msg}; cannot be read as JSON; expected {what}") from None
    except RecursionError:
        raise LabelError("file", f"{origin}: is nested too deeply; expected {what}") from None
    except ValueError as error:
        # Python refuses to convert a whole number of thousands of digits.
        raise LabelError("number", f"{origin}: holds a number that is too long ({error}); expected {what}") from None


def show(value: Any) -> str:
    """Return a value for an error's line, cut to 40 characters."""
    try:
        text = json.dumps(value, default=str)
    except (ValueError, RecursionError):
        text = f"a {type(value).__name__}"
    return text if len(text) <= 40 else f"{text[:37]}..."


def short(name: str) -> str:
    """Return a file's name for an error's line: its end, where it is longer than 80 characters."""
    return name if len(name) <= 80 else f"…{name[-79:]}"


def as_table(value: Any, where: str) -> dict[str, Any]:
    """Return a JSON object.

    Args:
        value: what stands there.
        where: file and place, such as ``"faces.json: annotations[3]"``.

    Raises:
        LabelError: another type.
    """
    if not isinstance(value, dict):
        raise LabelError("form", f"{where} is {show(value)}; expected an object, {{...}}")
    return value


def as_list(value: Any, where: str) -> list[Any]:
    """Return a JSON list.

    Raises:
        LabelError: another type.
    """
    if not isinstance(value, list):
        raise LabelError("form", f"{where} is {show(value)}; expected a list, [...]")
    return value


def as_text(value: Any, where: str) -> str:
    """Return a text that is not empty.

    Raises:
        LabelError: another type, an empty text, or one with a character that no file name may have.
    """
    if not isinstance(value, str) or not value.strip():
        raise LabelError("form", f"{where} is {show(value)}; expected a text")
    try:
        plain = "\0" not in value and bool(os.fsencode(value))
    except ValueError:
        plain = False
    if not plain:
        raise LabelError("form", f"{where} is {show(value)}; expected a text without NUL or half characters")
    if len(value) > _LONGEST:
        raise LabelError("form", f"{where} is {show(value)}, {len(value)} characters; expected at most {_LONGEST}")
    return value


def as_id(value: Any, where: str) -> int | str:
    """Return an id: a whole number or a text.

    Raises:
        LabelError: another type.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise LabelError("form", f"{where} is {show(value)}; expected a whole number or a text")
    return value


def as_number(value: Any, where: str) -> float:
    """Return a finite number below :data:`MOST`.

    Raises:
        LabelError: another type, nan, infinity, or an absurd size.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise LabelError("form", f"{where} is {show(value)}; expected a number")
    if not -MOST <= value <= MOST:
        raise LabelError("number", f"{where} is {show(value)}; expected a finite number of at most {MOST:.0f}")
    return float(value)


def as_numbers(value: Any, where: str, count: int | None = None) -> npt.NDArray[np.float64]:
    """Return a list of finite numbers as float64 ``(n,)``.

    Args:
        value: what stands there.
        where: file and place.
        count: n, where it is known.

    Raises:
        LabelError: no list, another length, or an entry that is no finite number of a sane size.
    """
    numbers = as_list(value, where)
    if count is not None and len(numbers) != count:
        raise LabelError("form", f"{where} holds {len(numbers)} numbers; expected {count}")
    if set(map(type, numbers)) <= {int, float}:
        try:
            array = np.array(numbers, dtype=np.float64)
            # A comparison with nan is False.
            if (np.abs(array) <= MOST).all():
                return array
        except OverflowError:
            pass  # a whole number beyond any float: told with its place below
    return np.array([as_number(number, f"{where}[{i}]") for i, number in enumerate(numbers)], dtype=np.float64)


def as_triples(value: Any, where: str, count: int) -> npt.NDArray[np.float64]:
    """Return COCO's triples x, y, v as float64 ``(count, 3)``.

    A point with v = 0 is not labelled, whatever its x and y are: null, nan and infinity become 0 there.

    Raises:
        LabelError: no list, another length, or an entry that is no finite number of a sane size.
    """
    numbers = as_list(value, where)
    if len(numbers) != 3 * count:
        raise LabelError("form", f"{where} holds {len(numbers)} numbers; expected {3 * count} (x, y, v a point)")
    try:
        return as_numbers(numbers, where).reshape(-1, 3)
    except LabelError:
        codes = [v for v in numbers[2::3] for _ in range(3)]
        zeros = [v == 0 and type(v) in (int, float) and _is_nothing(n) for n, v in zip(numbers, codes, strict=True)]
        if not any(zeros):
            raise
    filled = [0 if zero else number for number, zero in zip(numbers, zeros, strict=True)]
    return as_numbers(filled, where).reshape(-1, 3)


def _is_nothing(value: Any) -> bool:
    """Tell whether a value stands for no number: null, nan or infinity."""
    return value is None or (isinstance(value, float) and not np.isfinite(value))


def plain_numbers(words: Sequence[str]) -> npt.NDArray[np.float64] | None:
    """Return the numbers that words stand for, or None where :func:`as_word_number` has something to say about one.

    This is the quick way for tables with millions of cells, nearly all of which are plain.
    """
    if not set().union(*words) <= _DIGITS:
        return None
    try:
        numbers = np.array(list(map(float, words)))
    except ValueError:
        return None
    return numbers if (np.abs(numbers) <= MOST).all() else None


def as_word_number(word: str, where: str) -> float:
    """Return the number that a word of a text file stands for.

    Raises:
        LabelError: no number in the form of programming languages (a decimal comma is named), or not finite and sane.
    """
    tidy = word.strip()
    if _NUMBER.fullmatch(tidy) is None:
        if _COMMA.fullmatch(tidy):
            raise LabelError(
                "form", f"{where} is {tidy[:40]!r}, with a decimal comma; write {tidy.replace(',', '.')[:40]}"
            )
        kind = "number" if tidy.lower().lstrip("+-") in ("nan", "inf", "infinity") else "form"
        raise LabelError(kind, f"{where} is {tidy[:40]!r}; expected a finite number")
    value = float(tidy)
    if not -MOST <= value <= MOST:
        raise LabelError("number", f"{where} is {tidy[:40]!r}; expected a finite number of at most {MOST:.0f}")
    return value
