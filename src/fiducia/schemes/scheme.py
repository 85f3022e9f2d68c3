"""The landmark set as a value that checks itself. Left and right are the person's own."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import UsageError

__all__ = ["GROUPS", "Scheme", "SchemeError", "UnknownName", "require_mirror"]

GROUPS: Mapping[str, tuple[str, ...]] = {
    "brows": ("right_brow", "left_brow"),
    "eyes": ("right_eye", "left_eye"),
    "mouth": ("outer_lip", "inner_lip"),
}
"""Names for several regions together, in a set that has them."""


class SchemeError(ValueError):
    """A landmark set that contradicts itself, does not exist, or cannot be converted."""


class UnknownName(SchemeError, KeyError):
    """A region or a point that a landmark set does not have."""

    __str__ = Exception.__str__  # KeyError would print the message in quotation marks


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
        mirrors: False = nothing is known of what a mirror does to these points, so no picture may be mirrored. The
            permutation then leaves every point in place.

    Raises:
        SchemeError: an index out of range or used twice, a name that is empty or stands twice, or a mirror that is not its
            own inverse.

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
    mirrors: bool = True

    def __post_init__(self) -> None:
        k = len(self.names)
        if k == 0:
            self._fail("no points; give points = K or names = [...]")
        if len(set(self.names)) != k:
            twice = next(name for name in self.names if self.names.count(name) > 1)
            self._fail(f"the name {twice!r} stands twice in names; each point has a name of its own")
        if not all(name.strip() for name in self.names):
            self._fail(f"point {[bool(name.strip()) for name in self.names].index(False)} has an empty name; name it")
        if len(self.mirror) != k:
            self._fail(f"mirror has {len(self.mirror)} entries for {k} points; expected one a point, or pairs")
        self._in_range("mirror", self.mirror)
        for i, j in enumerate(self.mirror):
            if self.mirror[j] != i:
                self._fail(f"mirroring twice moves point {i} to {self.mirror[j]}; give pairs that change places")
            if i != j and not self.mirrors:
                self._fail(f"points {i} and {j} change places in a mirror, but the set says that it cannot be mirrored")
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
            pupils = [i for group in self.inter_pupil for i in group]
            self._in_range("inter_pupil", pupils)
            self._once("inter_pupil", pupils)

    def __hash__(self) -> int:
        return hash((self.name, self.names, self.mirror))

    def __repr__(self) -> str:
        return f"Scheme({self.name!r}, {self.num_points} points)"

    @property
    def num_points(self) -> int:
        """K, the number of points."""
        return len(self.names)

    def region(self, name: str) -> tuple[int, ...]:
        """Return a region's indices; ``eyes``, ``brows`` and ``mouth`` are the regions that belong to them.

        Raises:
            SchemeError: the scheme has no such region.
        """
        if name in self.regions:
            return self.regions[name]
        parts = [self.regions[part] for part in GROUPS.get(name, ()) if part in self.regions]
        if not parts:
            raise UnknownName(f"{self.name} has no region {name!r}; it has: {', '.join(self.regions)}")
        return tuple(dict.fromkeys(i for part in parts for i in part))

    def point(self, name: str) -> int:
        """Return the index of a point, such as 30 for ``nose_tip`` of ``ibug68``.

        Raises:
            SchemeError: no point is called so.
        """
        if name not in self.names:
            near = difflib.get_close_matches(str(name), self.names, n=1, cutoff=0.6)
            hint = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(self.names[:5])}, …"
            raise UnknownName(f"{self.name} has no point {str(name)[:60]!r}; {hint}")
        return self.names.index(name)

    def to_table(self) -> dict[str, Any]:
        """Return the scheme as plain values that :func:`scheme_from_table` reads back, for TOML or JSON."""
        mirror: Any = list(self.mirror) if self.mirrors else "none"
        table: dict[str, Any] = {"name": self.name, "names": list(self.names), "mirror": mirror}
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


def require_mirror(scheme: Scheme, what: str) -> None:
    """Refuse to mirror a picture whose points have no known mirror image.

    Args:
        scheme: the landmark set of the points.
        what: what asked for a mirror image, such as ``"augment.mirror = 0.5"``.

    Raises:
        UsageError: the set says nothing about mirroring.
    """
    if not scheme.mirrors:
        raise UsageError(
            f"{what}: the landmark set {scheme.name} does not say which points a mirror swaps; set it to 0, or describe "
            "the set in a scheme file with mirror pairs and name that"
        )
