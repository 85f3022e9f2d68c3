"""Landmark sets: what each point is called, which belong together, which change places in a mirror.

Left and right are the person's own. A scheme is a value that checks itself; an own one is a short TOML file::

    name = "muzzle4"
    points = 4                        # or names = ["right_ear", "left_ear", "nose", "chin"]
    mirror = [[0, 1]]                 # the pairs that change places, or the whole permutation; [] where there are none
    edges = [[0, 2, 1], [2, 3]]       # lines to draw, through two or more points each
    inter_ocular = [0, 1]             # the normaliser of NME, where there is one

``inter_pupil = [[0], [1]]`` and a table ``[regions]`` with ``ears = [0, 1]`` may follow; points may be given by name.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .tables import CONVERSIONS, TABLES

__all__ = [
    "Scheme",
    "SchemeError",
    "conversion",
    "convert",
    "get_scheme",
    "load_scheme",
    "scheme_from_table",
    "scheme_names",
]

_KEYS = ("name", "points", "names", "mirror", "edges", "inter_ocular", "inter_pupil", "regions")


class SchemeError(ValueError):
    """A landmark set that contradicts itself, does not exist, or cannot be converted."""


@dataclass(frozen=True)
class Scheme:
    """A landmark set.

    Attributes:
        name: ``"ibug68"``, or the name in an own TOML file.
        names: K names, each once.
        regions: region → indices in drawing order; left and right are the person's own.
        mirror: ``new[i] = old[mirror[i]]`` once the picture is mirrored; mirroring twice is the identity.
        edges: pairs of indices, to draw.
        inter_ocular: the outer eye corners, or None.
        inter_pupil: two groups of indices whose means are the pupils, or None.

    Raises:
        SchemeError: an index out of range or used twice, or a mirror that is not its own inverse.

    Example:
        >>> pair = Scheme("pair", names=("right", "left"), regions={"all": (0, 1)}, mirror=(1, 0), edges=((0, 1),))
        >>> pair.num_points, pair.region("all")
        (2, (0, 1))
    """

    name: str
    names: tuple[str, ...]
    regions: Mapping[str, tuple[int, ...]]
    mirror: tuple[int, ...]
    edges: tuple[tuple[int, int], ...]
    inter_ocular: tuple[int, int] | None = None
    inter_pupil: tuple[tuple[int, ...], tuple[int, ...]] | None = None

    def __post_init__(self) -> None:
        k = len(self.names)
        if k == 0:
            self._fail("no points; give points = K or names = [...]")
        for name in self.names:
            if self.names.count(name) > 1:
                self._fail(f"the name {name!r} stands twice in names; each point has a name of its own")
        if len(self.mirror) != k:
            self._fail(f"mirror has {len(self.mirror)} entries for {k} points; expected one a point, or pairs")
        self._in_range("mirror", self.mirror)
        for i, j in enumerate(self.mirror):
            if self.mirror[j] != i:
                self._fail(f"mirroring twice moves point {i} to {self.mirror[j]}; give pairs that change places")
        for region, indices in self.regions.items():
            self._in_range(f"region {region!r}", indices)
            self._once(f"region {region!r}", indices)
        for edge in self.edges:
            self._in_range("edges", edge)
            self._once(f"the edge {list(edge)}", edge)
        if self.inter_ocular is not None:
            self._in_range("inter_ocular", self.inter_ocular)
            self._once("inter_ocular", self.inter_ocular)
            if len(self.inter_ocular) != 2:
                self._fail(f"inter_ocular is two points; found {list(self.inter_ocular)}")
        if self.inter_pupil is not None:
            if len(self.inter_pupil) != 2 or not all(self.inter_pupil):
                self._fail("inter_pupil is two groups of points, such as [[0], [1]]")
            self._in_range("inter_pupil", [i for group in self.inter_pupil for i in group])

    def __hash__(self) -> int:
        return hash((self.name, self.names, self.mirror))

    def __repr__(self) -> str:
        return f"Scheme({self.name!r}, {self.num_points} points)"

    @property
    def num_points(self) -> int:
        """K, the number of points."""
        return len(self.names)

    def region(self, name: str) -> tuple[int, ...]:
        """Return a region's indices.

        Raises:
            SchemeError: the scheme has no such region.
        """
        if name not in self.regions:
            raise SchemeError(f"{self.name} has no region {name!r}; it has: {', '.join(self.regions)}")
        return self.regions[name]

    def to_table(self) -> dict[str, Any]:
        """Return the scheme as plain values that :func:`scheme_from_table` reads back, for TOML or JSON."""
        table: dict[str, Any] = {"name": self.name, "names": list(self.names), "mirror": list(self.mirror)}
        table["edges"] = [list(edge) for edge in self.edges]
        if self.inter_ocular is not None:
            table["inter_ocular"] = list(self.inter_ocular)
        if self.inter_pupil is not None:
            table["inter_pupil"] = [list(group) for group in self.inter_pupil]
        table["regions"] = {region: list(indices) for region, indices in self.regions.items()}
        return table

    def _in_range(self, what: str, indices: Sequence[int]) -> None:
        for i in indices:
            if not 0 <= i < len(self.names):
                self._fail(f"{what} names point {i}; the points are 0 to {len(self.names) - 1}")

    def _once(self, what: str, indices: Sequence[int]) -> None:
        if len(set(indices)) != len(indices):
            self._fail(f"{what} holds a point twice: {list(indices)}")

    def _fail(self, message: str) -> None:
        raise SchemeError(f"scheme {self.name!r}: {message}")


def scheme_names() -> list[str]:
    """Return the names of the known landmark sets, largest user first."""
    return list(TABLES)


def get_scheme(name: str | Path) -> Scheme:
    """Return a known landmark set by name, or an own one by the path of its TOML file.

    Raises:
        SchemeError: there is neither such a name nor such a file, or the file is not a scheme.

    Example:
        >>> scheme = get_scheme("ibug68")
        >>> scheme.num_points, scheme.names[30], scheme.inter_ocular
        (68, 'nose_tip', (36, 45))
    """
    if str(name) in TABLES:
        return _builtin(str(name))
    path = Path(name).expanduser()
    if path.suffix == ".toml" or path.is_file():
        return load_scheme(path)
    near = difflib.get_close_matches(str(name), scheme_names(), n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(scheme_names())}, or a TOML file of your own"
    raise SchemeError(f"no landmark set is called {str(name)!r}; {hint}")


def load_scheme(path: str | Path) -> Scheme:
    """Read an own landmark set from a TOML file; the module's head shows its form.

    Raises:
        SchemeError: unreadable file, unknown or missing key, or a scheme that contradicts itself.
    """
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SchemeError(f"{path}: there is no such scheme file") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SchemeError(f"{path}: cannot be read as TOML ({error})") from error
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
    if names is None and (not isinstance(points, int) or isinstance(points, bool) or points < 1):
        raise SchemeError(f"points = {points!r}; give points = K, a number of 1 or more, or names = [...]")
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

    mirror = table["mirror"]
    if not isinstance(mirror, list):
        raise SchemeError(f"mirror is a list of pairs or a permutation; found {mirror!r}")
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
        edges=tuple(pair for line in lists(table.get("edges", []), "edges") for pair in _pairs(line)),
        inter_ocular=None if ocular is None else indices(ocular, "inter_ocular"),  # type: ignore[arg-type]
        inter_pupil=None if pupil is None else tuple(lists(pupil, "inter_pupil")),  # type: ignore[arg-type]
    )


def conversion(source: str | Scheme, target: str | Scheme) -> tuple[tuple[int, ...], ...]:
    """Return, for each point of ``target``, the points of ``source`` whose mean it is.

    Raises:
        SchemeError: the source lacks what the target marks; no point is guessed.
    """
    a, b = _scheme(source), _scheme(target)
    if a == b:
        return tuple((i,) for i in range(a.num_points))
    if (a.name, b.name) not in CONVERSIONS:
        known = [to for (start, to) in CONVERSIONS if start == a.name]
        offer = f"{a.name} converts to {', '.join(known)}" if known else f"{a.name} converts to nothing else"
        raise SchemeError(f"{a.name} cannot be converted to {b.name} without guessing points; {offer}")
    return CONVERSIONS[a.name, b.name]


def convert(xy: npt.ArrayLike, source: str | Scheme, target: str | Scheme) -> npt.NDArray[np.float64]:
    """Turn points of one landmark set into another's, such as 98 → 68; a mean over an unlabelled (nan) point is nan.

    Args:
        xy: ``(..., K, 2)`` in any frame.
        source: the set that ``xy`` is in.
        target: the set that is wanted.

    Returns:
        float64 ``(..., K', 2)`` in the same frame.

    Raises:
        SchemeError: the source lacks what the target marks, or ``xy`` is not of the source.
    """
    groups = conversion(source, target)
    points = np.asarray(xy, dtype=np.float64)
    start = _scheme(source)
    if points.ndim < 2 or points.shape[-2:] != (start.num_points, 2):
        raise SchemeError(f"{start.name} has {start.num_points} points (x, y); found an array of shape {points.shape}")
    return np.stack([points[..., list(group), :].mean(axis=-2) for group in groups], axis=-2)


def _scheme(scheme: str | Scheme) -> Scheme:
    return scheme if isinstance(scheme, Scheme) else get_scheme(scheme)


def _pairs(line: Sequence[int]) -> list[tuple[int, int]]:
    return list(pairwise(line))


def _from_pairs(pairs: Sequence[Sequence[int]], k: int) -> tuple[int, ...]:
    permutation = list(range(k))
    seen: set[int] = set()
    for pair in pairs:
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


@lru_cache
def _builtin(name: str) -> Scheme:
    table = TABLES[name]
    names: dict[int, str] = dict(table["marks"])
    for region, indices in table["regions"].items():
        for number, i in enumerate(indices):
            names.setdefault(i, f"{region}_{number}")
    lines = [*table["paths"], *((*ring, ring[0]) for ring in table["rings"])]
    return Scheme(
        name=name,
        names=tuple(names[i] for i in range(len(table["mirror"]))),
        regions=table["regions"],
        mirror=table["mirror"],
        edges=tuple(pair for line in lines for pair in _pairs(line)),
        inter_ocular=table["inter_ocular"],
        inter_pupil=table["inter_pupil"],
    )
