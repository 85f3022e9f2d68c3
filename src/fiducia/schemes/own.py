"""Own landmark sets, from a short TOML file or a plain table.

The file::

    name = "muzzle4"
    points = 4                        # or names = ["right_ear", "left_ear", "nose", "chin"]
    mirror = [[0, 1]]                 # pairs that change places, or the whole permutation; [] = each stays in place
    edges = [[0, 2, 1], [2, 3]]       # lines to draw, through two or more points each
    inter_ocular = [0, 1]             # the normaliser of NME, where there is one

``inter_pupil = [[0], [1]]`` and a table ``[regions]`` with ``ears = [0, 1]`` may follow; points may be given by name.
``mirror = "none"`` says that nothing is known of mirroring: no picture is mirrored then.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from ..errors import FiduciaError
from ..text import read_text
from .scheme import Scheme, SchemeError

__all__ = ["load_scheme", "pairs", "scheme_from_table"]

_KEYS = ("name", "points", "names", "mirror", "edges", "inter_ocular", "inter_pupil", "regions")
_MOST = 10_000
"""The largest number of points; a network's head would hardly fit into memory with more."""


def load_scheme(path: str | Path) -> Scheme:
    """Read an own landmark set from a TOML file; the module's head shows its form.

    Raises:
        SchemeError: unreadable file, unknown or missing key, or a scheme that contradicts itself.
    """
    try:
        table = tomllib.loads(read_text(path, "a scheme file (TOML)"))
    except FiduciaError as error:
        raise SchemeError(str(error)) from error
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise SchemeError(f"{path}: cannot be read as TOML ({reason}); docs/schemes.md shows a scheme file") from error
    try:
        return scheme_from_table({"name": Path(path).stem, **table})
    except SchemeError as error:
        raise SchemeError(f"{path}: {error}") from error


def scheme_from_table(table: Mapping[str, Any]) -> Scheme:
    """Build a scheme from plain values, as a TOML file or a weight card holds them.

    Raises:
        SchemeError: unknown or missing key, a value of the wrong kind, or a scheme that contradicts itself.
    """
    unknown = [key for key in table if key not in _KEYS]
    if unknown:
        raise SchemeError(f"unknown key {unknown[0]!r}; known: {', '.join(_KEYS)}")
    names = table.get("names")
    points = table.get("points", len(names) if isinstance(names, list) else None)
    if names is None and (not isinstance(points, int) or isinstance(points, bool) or not 1 <= points <= _MOST):
        raise SchemeError(f"points = {points!r}; give points = K, a number of 1 to {_MOST}, or names = [...]")
    if names is None:
        names = [f"point_{i}" for i in range(points)]
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        raise SchemeError(f"names is a list of words; found {names!r}")
    if points != len(names):
        raise SchemeError(f"points = {points}, but names holds {len(names)}")
    if "mirror" not in table:
        raise SchemeError("mirror is missing: give the pairs that change places, or [] where there are none")

    def index(value: Any, what: str) -> int:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, str) and value in names:
            return names.index(value)
        raise SchemeError(f"{what}: {value!r} is neither a point's number nor one of the names")

    def indices(value: Any, what: str) -> tuple[int, ...]:
        if not isinstance(value, list):
            raise SchemeError(f"{what} is a list of points; found {value!r}")
        return tuple(index(v, what) for v in value)

    def lists(value: Any, what: str) -> list[tuple[int, ...]]:
        if not isinstance(value, list):
            raise SchemeError(f"{what} is a list of lists of points; found {value!r}")
        return [indices(v, what) for v in value]

    mirror = [] if table["mirror"] == "none" else table["mirror"]
    if not isinstance(mirror, list):
        raise SchemeError(f'mirror is a list of pairs, a permutation or "none"; found {mirror!r}')
    permutation = tuple(range(len(names)))
    if mirror and not isinstance(mirror[0], list):
        permutation = indices(mirror, "mirror")
    elif mirror:
        permutation = _from_pairs(lists(mirror, "mirror"), len(names))
    regions = table.get("regions", {"all": list(range(len(names)))})
    if not isinstance(regions, Mapping):
        raise SchemeError(f"regions is a table, [regions]; found {regions!r}")
    ocular, pupil = table.get("inter_ocular"), table.get("inter_pupil")
    return Scheme(
        name=str(table.get("name", "own")),
        names=tuple(names),
        regions={str(key): indices(value, f"region {key!r}") for key, value in regions.items()},
        mirror=permutation,
        edges=tuple(pair for line in lists(table.get("edges", []), "edges") for pair in pairs(line)),
        inter_ocular=None if ocular is None else indices(ocular, "inter_ocular"),  # type: ignore[arg-type]
        inter_pupil=None if pupil is None else tuple(lists(pupil, "inter_pupil")),  # type: ignore[arg-type]
        mirrors=table["mirror"] != "none",
    )


def pairs(line: Sequence[int]) -> list[tuple[int, int]]:
    """Return the edges of a line through two or more points."""
    return list(pairwise(line))


def _from_pairs(given: Sequence[Sequence[int]], k: int) -> tuple[int, ...]:
    permutation = list(range(k))
    seen: set[int] = set()
    for pair in given:
        if len(pair) != 2 or pair[0] == pair[1]:
            raise SchemeError(f"mirror: {list(pair)} is not a pair of two points")
        for i in pair:
            if not 0 <= i < k:
                raise SchemeError(f"mirror names point {i}; the points are 0 to {k - 1}")
            if i in seen:
                raise SchemeError(f"mirror: point {i} stands in two pairs")
        seen |= set(pair)
        permutation[pair[0]], permutation[pair[1]] = pair[1], pair[0]
    return tuple(permutation)
