"""Which landmark set a file's points are in, and in which order the file has them.

Points are mapped by name where the file names them. Without names the user's word counts, then the file's own, then the
number of points; what is assumed in this way is said (:func:`assumed`) and checked (:mod:`fiducia.data.doubts`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ..errors import UsageError
from ..schemes.sets import NONE, Scheme, SchemeError, former_names, get_scheme, is_none, scheme_names
from .kinds import LabelError

__all__ = ["Meaning", "all_names", "assumed", "find_declared", "meaning", "tidy_name"]

_PLACEHOLDER = re.compile(r"([^\W\d_]*)[\W_]*(\d{1,6})")
_NAMED = 12
"""At most so many names are told in a line."""


@dataclass(frozen=True)
class Meaning:
    """What a file's points are.

    Attributes:
        scheme: the landmark set's name or file, or ``none:K``.
        order: K places: point k of the set is the file's point ``order[k]``.
        how: what told it: ``asked`` the user, ``declared`` the file, ``names`` the points' names, ``count`` their number.
        renamed: pairs (the file's name, the set's name) that are alike but not equal.
    """

    scheme: str
    order: tuple[int, ...]
    how: str
    renamed: tuple[tuple[str, str], ...] = ()


def meaning(
    origin: str, points: int, names: Sequence[str] | None = None, wanted: str | None = None, declared: str | None = None
) -> Meaning:
    """Tell which landmark set a file's points are in.

    Names count as equal whatever their case and separators (``Left Eye``, ``left_eye``), and where each is the beginning of
    one name of the set (``right_eye`` of ``right_eye_centre``), in one way only. Mere numbers (``p0``, ``kp_1``, ``7``) are
    no names, but give the order.

    Args:
        origin: the file, for errors.
        points: K, as the file has it.
        names: the points' names, in the file's order.
        wanted: the set that the user asked for; where its count differs, points are converted to it later.
        declared: the set that the file names.

    Raises:
        LabelError: names that fit no set, or only some of a set's names; as many names as there are points are expected.
        UsageError: nothing tells which set it is, or what tells it has another number of points.
    """
    if points < 1:
        raise LabelError("form", f"{origin}: a face has no point; expected x and y of one or more")
    if names is not None:
        names = [str(name) for name in names]
        _once(origin, names)
        if len(names) != points:
            raise LabelError("names", f"{origin}: names {len(names)} points, but its faces have {points}; correct one")
    order = _numbered(names) if names is not None else tuple(range(points))
    if wanted is not None and is_none(wanted):
        if wanted not in (NONE, f"{NONE}:{points}"):
            raise UsageError(f"{origin}: {points} points a face found, but {wanted} asked for; use --scheme none")
        return Meaning(f"{NONE}:{points}", order or tuple(range(points)), "asked")
    if names is None or order is not None:
        scheme, how = _by_count(origin, points, wanted, declared)
        return Meaning(scheme, order or tuple(range(points)), how)
    return _by_names(origin, names, wanted, declared)


def assumed(origin: str, found: Meaning) -> str | None:
    """Return the line that says which set was assumed and what that means; None where the user or the file said it."""
    names = get_scheme(found.scheme).names
    if found.how == "count":
        listed = ", ".join(f"{i} = {name}" for i, name in enumerate(names[:5])) + (", …" if len(names) > 5 else "")
        return (
            f"{origin}: names no landmark set; its {len(names)} points are taken for {found.scheme} and its mirror pairs "
            f"({listed}); confirm with --scheme {found.scheme}, or take bare points with --scheme none"
        )
    if found.renamed:
        listed = ", ".join(f"{theirs} = {ours}" for theirs, ours in found.renamed[:_NAMED])
        return (
            f"{origin}: its points are taken for those of {found.scheme}: {listed}; left and right are the person's own"
        )
    return None


def all_names(found: Sequence[str], wanted: str | None, declared: str | None) -> list[str]:
    """Return the names of all points of a file that leaves out those that are not labelled.

    Args:
        found: the different names in the file.
        wanted: the set that the user asked for.
        declared: the set that the file names.

    Returns:
        the set's names in its order and the file's spelling, where all that were found are among them; else ``found``.
    """
    for name in (wanted, declared):
        if name is None or (is_none(name) and ":" not in name):
            continue
        try:
            own = list(get_scheme(name).names)
        except SchemeError:
            continue
        known = {tidy_name(o): o for o in own}
        if set(map(tidy_name, found)) <= set(known):
            spelled = {tidy_name(f): f for f in found}
            return [spelled.get(tidy, o) for tidy, o in known.items()]
    return list(found)


def find_declared(declared: str, folder: Path) -> str:
    """Return a landmark set that a file names, where it is a TOML file also looked for below the label file's folder."""
    if declared.endswith(".toml"):
        for name in (declared, declared.replace("\\", "/")):
            try:
                if (folder / name).is_file():
                    return os.path.normpath(folder / name)
            except (OSError, ValueError):
                continue
    return declared


@lru_cache(maxsize=4096)
def tidy_name(name: str) -> str:
    """Return a point's name in lower case with ``_`` between its words: ``Left-Eye outer`` → ``left_eye_outer``."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return "_".join(word for word in re.split(r"[\W_]+", spaced.lower()) if word)


def _by_count(origin: str, points: int, wanted: str | None, declared: str | None) -> tuple[str, str]:
    """Return the set and what told it, for points without names."""
    if wanted is not None and get_scheme(wanted).num_points == points:
        return wanted, "asked"
    if declared is not None:
        try:
            scheme = get_scheme(declared)
        except SchemeError as error:
            raise UsageError(
                f"{origin}: says that it is in {declared[:80]!r}; {error}; name its file as scheme"
            ) from error
        if scheme.num_points != points:
            raise LabelError(
                "scheme", f"{origin}: {points} points found, but {declared} has {scheme.num_points}; correct one"
            )
        return declared, "declared"
    known = [name for name in scheme_names() if get_scheme(name).num_points == points]
    if known:
        return known[0], "count"
    what = (
        f"{wanted} has {get_scheme(wanted).num_points}" if wanted is not None else "no known landmark set has so many"
    )
    raise UsageError(
        f"{origin}: {points} points a face found; {what}; describe yours in a scheme file (docs/schemes.md) and name it "
        "with --scheme, or in a recipe as data.scheme; --scheme none takes them as bare points"
    )


def _by_names(origin: str, names: Sequence[str], wanted: str | None, declared: str | None) -> Meaning:
    """Return the set that has the file's names."""
    tidy = [tidy_name(name) for name in names]
    asked = [name for name in (wanted, declared) if name is not None and _points(name) == len(names)]
    candidates = list(dict.fromkeys([*asked, *(s for s in scheme_names() if _points(s) == len(names))]))
    schemes = {name: get_scheme(name) for name in candidates}
    for name, scheme in schemes.items():
        order = _match(tidy, [tidy_name(own) for own in scheme.names])
        if order is not None:
            renamed = tuple(
                (names[i], scheme.names[k]) for k, i in enumerate(order) if tidy[i] != tidy_name(scheme.names[k])
            )
            return Meaning(name, order, "names", renamed)
        before = _match(tidy, former_names(name) or ())
        if before is not None:
            return Meaning(name, before, "names")
        if name in asked and _numbered(scheme.names) is not None:
            # A set of mere numbers has no names that could differ: the file's order counts.
            return Meaning(name, tuple(range(len(names))), "asked")
    raise LabelError("names", f"{origin}: {_misfit(names, tidy, asked, schemes)}")


def _match(tidy: Sequence[str], own: Sequence[str]) -> tuple[int, ...] | None:
    """Return which of the file's names each of the set's names is, or None where they are not the same names."""
    places = {name: i for i, name in enumerate(tidy)}
    if set(places) == set(own):
        return tuple(places[name] for name in own)
    found: dict[str, str] = {}
    for name in tidy:
        longer = [name] if name in own else [o for o in own if o.startswith(f"{name}_")]
        if len(longer) != 1 or longer[0] in found:
            return None
        found[longer[0]] = name
    return tuple(places[found[name]] for name in own)


def _misfit(names: Sequence[str], tidy: Sequence[str], asked: Sequence[str], schemes: dict[str, Scheme]) -> str:
    """Say how the file's names differ from those of the nearest set, and what to do."""
    listed = ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")
    cure = (
        "rename them, describe the set in a scheme file with names = [...] (docs/schemes.md) and name it with --scheme, or "
        "take bare points with --scheme none"
    )
    shared = {name: len({tidy_name(o) for o in s.names} & set(tidy)) for name, s in schemes.items()}
    nearest = asked[0] if asked else max(shared, key=lambda name: shared[name], default=None)
    if nearest is None or (not asked and not shared[nearest]):
        return f"its points are called {listed}, which are the names of no known landmark set; {cure}"
    own = schemes[nearest].names
    odd = [name for name, t in zip(names, tidy, strict=True) if t not in {tidy_name(o) for o in own}]
    missing = [o for o in own if tidy_name(o) not in tidy]
    return (
        f"its points are called {listed}, and {len(names) - len(odd)} of the {len(names)} are names of {nearest}: it has no "
        f"{', '.join(odd[:_NAMED])}, and lacks {', '.join(missing[:_NAMED])}; {cure}"
    )


def _numbered(names: Sequence[str] | None) -> tuple[int, ...] | None:
    """Return the order that mere numbers with one common word give (from 0 or 1), or None where they are names."""
    if not names:
        return None
    found = [_PLACEHOLDER.fullmatch(name.strip()) for name in names]
    if not all(found) or len({m[1] for m in found if m}) != 1:
        return None
    numbers = [int(m[2]) for m in found if m]
    first = min(numbers)
    if first > 1 or sorted(numbers) != list(range(first, first + len(numbers))):
        return None
    places = {number: i for i, number in enumerate(numbers)}
    return tuple(places[first + k] for k in range(len(numbers)))


def _once(origin: str, names: Sequence[str]) -> None:
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise LabelError("names", f"{origin}: the point {twice[:40]!r} stands twice; each point stands once")


def _points(scheme: str) -> int:
    try:
        return get_scheme(scheme).num_points
    except SchemeError:
        return 0
