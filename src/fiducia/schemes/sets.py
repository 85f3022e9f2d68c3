"""Landmark sets by name: the known ones, own ones from TOML files, bare points; and conversions between sets.

``none:K`` is K bare points: no names, no mirror pairs, no normaliser. A user says ``none``, and the reader of the labels
adds the number of points.
"""

from __future__ import annotations

import difflib
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .own import load_scheme, pairs, scheme_from_table
from .point_names import FORMER_MARKS, POINT_NAMES
from .scheme import Scheme, SchemeError, UnknownName, require_mirror
from .tables import CONVERSIONS, TABLES

__all__ = [
    "NONE",
    "Scheme",
    "SchemeError",
    "UnknownName",
    "conversion",
    "conversions_from",
    "convert",
    "former_names",
    "get_scheme",
    "is_another",
    "is_none",
    "load_scheme",
    "require_mirror",
    "scheme_from_table",
    "scheme_names",
]

NONE = "none"
"""The word for bare points; ``none:5`` is five of them."""


def scheme_names() -> list[str]:
    """Return the names of the known landmark sets, largest user first."""
    return list(TABLES)


def get_scheme(name: str | Path) -> Scheme:
    """Return a known landmark set by name, an own one by the path of its TOML file, or the bare points ``none:K``.

    Raises:
        SchemeError: there is neither such a name nor such a file, or the file is not a scheme.

    Example:
        >>> scheme = get_scheme("ibug68")
        >>> scheme.num_points, scheme.names[30], scheme.inter_ocular
        (68, 'nose_tip', (36, 45))
    """
    if str(name) in TABLES:
        return _builtin(str(name))
    if is_none(str(name)):
        return _bare(str(name))
    try:
        path = Path(name).expanduser()
        if path.suffix == ".toml" or path.is_file():
            return _own(path)
    except (OSError, ValueError, RuntimeError) as error:
        if isinstance(error, SchemeError):
            raise
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise SchemeError(f"{str(name)[:80]!r} is no path of a scheme file ({reason})") from error
    near = difflib.get_close_matches(str(name), scheme_names(), n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(scheme_names())}, or a TOML file of your own"
    raise SchemeError(f"no landmark set is called {str(name)[:80]!r}; {hint}")


def former_names(name: str) -> tuple[str, ...] | None:
    """Return what version 0.1 called the points of a known landmark set, where that differs; else None."""
    if name not in FORMER_MARKS:
        return None
    names = dict(FORMER_MARKS[name])
    for region, indices in TABLES[name]["regions"].items():
        for number, i in enumerate(indices):
            names.setdefault(i, f"{region}_{number}")
    return tuple(names[i] for i in range(len(names)))


def is_none(name: str) -> bool:
    """Tell whether a name stands for bare points: ``none`` or ``none:K``."""
    return name == NONE or name.startswith(f"{NONE}:")


def is_another(scheme: Scheme) -> bool:
    """Tell whether a landmark set has the name of a known one, but other points, mirror pairs or normalisers."""
    if scheme.name not in TABLES:
        return False
    known = _builtin(scheme.name)
    return any(
        getattr(scheme, part) != getattr(known, part) for part in ("names", "mirror", "inter_ocular", "inter_pupil")
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
        known = conversions_from(a.name)
        offer = f"{a.name} converts to {', '.join(known)}" if known else f"{a.name} converts to nothing else"
        raise SchemeError(f"{a.name} cannot be converted to {b.name} without guessing points; {offer}")
    return CONVERSIONS[a.name, b.name]


def conversions_from(name: str) -> list[str]:
    """Return the known landmark sets that a known one converts to."""
    return [to for (start, to) in CONVERSIONS if start == name]


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


@lru_cache
def _builtin(name: str) -> Scheme:
    table = TABLES[name]
    lines = [*table["paths"], *((*ring, ring[0]) for ring in table["rings"])]
    return Scheme(
        name=name,
        names=POINT_NAMES[name],
        regions=table["regions"],
        mirror=table["mirror"],
        edges=tuple(pair for line in lines for pair in pairs(line)),
        inter_ocular=table["inter_ocular"],
        inter_pupil=table["inter_pupil"],
    )


@lru_cache
def _bare(name: str) -> Scheme:
    word = name.partition(":")[2]
    if not (word.isascii() and word.isdigit() and len(word) < 8):
        raise SchemeError(f"{name[:40]!r} gives no number of points; expected none:K, such as none:5")
    return scheme_from_table({"name": name, "points": int(word), "mirror": "none"})


def _own(path: Path) -> Scheme:
    """Load a scheme file, again only where the file has changed: the readers ask for every face."""
    try:
        facts = path.stat()
    except OSError:
        return load_scheme(path)
    return _loaded(path, facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=64)
def _loaded(path: Path, changed: int, size: int) -> Scheme:
    scheme = load_scheme(path)
    if is_another(scheme):
        raise SchemeError(
            f"{path}: is called {scheme.name!r}, as a known landmark set with other points; give it another name = ..."
        )
    return scheme
