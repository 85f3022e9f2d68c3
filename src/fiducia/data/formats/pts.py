"""``.pts``, the iBUG landmark file: ``version: 1``, ``n_points: K``, braces and K lines ``x y``, counted from 1.

As found in the wild: spacing varies, the header may be lost (bare lines), there are blank lines and comments.
Numbers are shifted as decimals, not as binary floats, so that writing and reading gives the same points bit by bit.
"""

from __future__ import annotations

import re
from decimal import Context, Decimal
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...errors import FiduciaError
from ...files import write_atomic
from ...text import read_text
from ..kinds import LabelError
from ..values import as_word_number

__all__ = ["one_based", "parse_pts", "point_lines", "pts_text", "read_pts", "write_pts"]

# Enough digits for any float64 plus one.
_EXACT = Context(prec=1200)
_ONE = Decimal(1)
_WORD = re.compile(r"[^\s,{}]+")
_HEADER = re.compile(r"(version|n_points)\s*[:=]\s*(\S*)", re.IGNORECASE)


def read_pts(path: str | Path, expected: int | None = None) -> npt.NDArray[np.float64]:
    """Read a ``.pts`` file, with or without its header.

    Args:
        path: the file, 1-based.
        expected: K, where it is known.

    Returns:
        float64 ``(K, 2)`` photograph pixels, 0-based.

    Raises:
        FiduciaError: missing, empty or unreadable file; a word, nan or infinity where a number should be; or another
            count than the file's own ``n_points`` or ``expected``.
    """
    return parse_pts(read_text(path, "a .pts landmark file"), str(path), expected)


def parse_pts(text: str, origin: str = "pts", expected: int | None = None) -> npt.NDArray[np.float64]:
    """Parse the text of a ``.pts`` file as :func:`read_pts` does; ``origin`` names it in errors."""
    announced: int | None = None
    points: list[tuple[float, float]] = []
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.split("#")[0].split("//")[0].strip()
        header = _HEADER.match(line)
        if header is not None:
            if header[1].lower() == "n_points":
                count = header[2].rstrip("{")
                if not (count.isascii() and count.isdigit() and len(count) < 8):
                    raise LabelError(
                        "form", f"{origin}: line {number} says {line[:60]!r}; expected n_points: and a whole number"
                    )
                announced = int(count)
            continue
        line = line.strip("{} \t")
        if line:
            points.append(_point(line, origin, number))
    wanted = announced if announced is not None else expected
    if not points:
        what = f"{wanted} lines 'x y'" if wanted is not None else "lines 'x y'"
        raise LabelError("form", f"{origin}: holds no points; expected {what}; restore the file from its data set")
    if announced is not None and len(points) != announced:
        raise LabelError(
            "form",
            f"{origin}: n_points says {announced}, but {len(points)} were found; restore the file or leave it out",
        )
    if expected is not None and len(points) != expected:
        raise LabelError(
            "form",
            f"{origin}: {len(points)} points found, {expected} expected; is it of another landmark set? name that one",
        )
    return np.array(points, dtype=np.float64)


def pts_text(xy: npt.ArrayLike) -> str:
    """Return points ``(K, 2)``, 0-based, as the text of a headered 1-based ``.pts`` file; lossless.

    Raises:
        FiduciaError: a point is nan or infinite, which the format cannot say.
    """
    points = np.asarray(xy, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"points are (K, 2); found {points.shape}")
    bad = np.flatnonzero(~np.isfinite(points).all(axis=1))
    if len(bad):
        raise FiduciaError(f".pts cannot hold the unlabelled point {bad[0]}; write COCO or CSV instead")
    lines = [" ".join(one_based(v) for v in point) for point in points.tolist()]
    return "\n".join(["version: 1", f"n_points: {len(points)}", "{", *lines, "}", ""])


def one_based(value: float) -> str:
    """Return a 0-based coordinate as a ``.pts`` file has it; lossless."""
    return str(_EXACT.add(Decimal(repr(float(value))), _ONE))


def point_lines(text: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return where in a file's text x and y of each point stand; of a text that :func:`parse_pts` takes."""
    found: list[tuple[tuple[int, int], tuple[int, int]]] = []
    start = 0
    for raw in text.splitlines(keepends=True):
        line = raw.split("#")[0].split("//")[0]
        if _HEADER.match(line.strip()) is None:
            words = [(start + word.start(), start + word.end()) for word in _WORD.finditer(line)]
            if words:
                found.append((words[0], words[1]))
        start += len(raw)
    return found


def write_pts(path: str | Path, xy: npt.ArrayLike) -> None:
    """Write points ``(K, 2)``, 0-based photograph pixels, as a headered 1-based ``.pts`` file.

    Raises:
        FiduciaError: a point is nan or infinite, or the file cannot be written.
    """
    write_atomic(Path(path), pts_text(xy).encode())


def _point(line: str, origin: str, number: int) -> tuple[float, float]:
    where = f"{origin}: line {number}"
    words = line.replace(",", " ").split()
    if len(words) != 2:
        cure = " (are these decimal commas? write points)" if len(words) == 4 and line.count(",") == 2 else ""
        raise LabelError("form", f"{where} is {line[:60]!r}; expected two numbers 'x y'{cure}")
    try:
        for word in words:
            as_word_number(word, where)
        x, y = (float(_EXACT.subtract(Decimal(word), _ONE)) for word in words)
    except (LabelError, ArithmeticError) as error:
        kind = error.kind if isinstance(error, LabelError) else "number"
        raise LabelError(kind, f"{where} is {line[:60]!r}; expected two finite numbers 'x y'") from None
    return x, y
