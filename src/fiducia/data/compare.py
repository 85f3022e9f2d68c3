"""What changed between two data sets of the same faces: faces, points, visibility and boxes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import FiduciaError
from ..schemes.sets import get_scheme
from ..structures import Record
from ..words import one_line

__all__ = ["Difference", "FaceChange", "compare"]

_SHOWN = 50
_NAMED = 4
_CODES = {0: "absent", 1: "occluded", 2: "visible"}


@dataclass(frozen=True)
class FaceChange:
    """What changed of a face that is in both.

    Attributes:
        id: of the face.
        moved: point's name → pixels, the largest first.
        visibility: point's name → code before and after.
        box: pixels by which the corner that moved farthest did; None = unchanged, infinite = it came or went.
        image: names of the photographs before and after; None = the same.
    """

    id: str
    moved: dict[str, float] = field(default_factory=dict)
    visibility: dict[str, tuple[int, int]] = field(default_factory=dict)
    box: float | None = None
    image: tuple[str, str] | None = None

    def __bool__(self) -> bool:
        return bool(self.moved or self.visibility or self.box is not None or self.image)

    def line(self) -> str:
        """Return one line for people."""
        parts = []
        if self.moved:
            largest = list(self.moved.items())
            named = ", ".join(f"{name} {pixels:.2f}" for name, pixels in largest[:_NAMED])
            mean = sum(self.moved.values()) / len(self.moved)
            more = ", …" if len(largest) > _NAMED else ""
            points = f"{len(largest)} point{'s' * (len(largest) != 1)}"
            parts.append(f"{points} moved, mean {mean:.2f} px, max {largest[0][1]:.2f} px ({named}{more})")
        if self.visibility:
            words = [f"{name} {_CODES[a]} → {_CODES[b]}" for name, (a, b) in self.visibility.items()]
            parts.append(
                ", ".join(words[:_NAMED]) + (f", and {len(words) - _NAMED} more" if len(words) > _NAMED else "")
            )
        if self.box is not None:
            parts.append(f"box moved by up to {self.box:.2f} px" if np.isfinite(self.box) else "box added or removed")
        if self.image is not None:
            parts.append(f"image {self.image[0]} → {self.image[1]}")
        return f"{one_line(self.id, 120)}: {'; '.join(parts)}"


@dataclass(frozen=True)
class Difference:
    """What changed between two data sets.

    Attributes:
        before: how many faces there were.
        after: how many there are.
        added: ids of the faces that came.
        removed: ids of those that went.
        changed: faces that are in both and differ, the one whose point moved farthest first.
    """

    before: int
    after: int
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[FaceChange, ...]

    @property
    def differ(self) -> bool:
        """Whether anything changed."""
        return bool(self.added or self.removed or self.changed)

    def lines(self) -> list[str]:
        """Return lines for people; at most 50 of each kind."""
        lines = []
        for word, ids in (("added", self.added), ("removed", self.removed)):
            lines += [f"{word}: {one_line(name, 120)}" for name in ids[:_SHOWN]]
            if len(ids) > _SHOWN:
                lines.append(f"{word}: {len(ids) - _SHOWN:,} more faces")
        lines += [change.line() for change in self.changed[:_SHOWN]]
        if len(self.changed) > _SHOWN:
            lines.append(f"changed: {len(self.changed) - _SHOWN:,} more faces; --json lists all")
        moved = [pixels for change in self.changed for pixels in change.moved.values()]
        points = f", {len(moved):,} points moved by up to {max(moved):.2f} px" if moved else ""
        same = self.before - len(self.removed) - len(self.changed)
        lines.append(
            f"{same:,} faces are equal, {len(self.changed):,} changed{points}, "
            f"{len(self.added):,} added, {len(self.removed):,} removed"
        )
        return lines

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "differ": self.differ,
            "faces": {"before": self.before, "after": self.after},
            "added": list(self.added),
            "removed": list(self.removed),
            "changed": [
                {
                    "id": change.id,
                    "moved": change.moved,
                    "max": max(change.moved.values(), default=0.0),
                    "mean": sum(change.moved.values()) / len(change.moved) if change.moved else 0.0,
                    "visibility": {name: list(codes) for name, codes in change.visibility.items()},
                    "box": change.box if change.box is None or np.isfinite(change.box) else "added or removed",
                    "image": change.image,
                }
                for change in self.changed
            ],
        }


def compare(before: Sequence[Record], after: Sequence[Record], least: float = 0.0) -> Difference:
    """Compare faces by their ids.

    Args:
        before: faces.
        after: faces of the same landmark set.
        least: pixels; points and boxes that moved no farther count as unchanged.

    Raises:
        FiduciaError: an id that stands for two faces, or two landmark sets.
    """
    sets = sorted({record.scheme for record in (*before, *after)})
    if len({get_scheme(name).names for name in sets}) > 1:
        raise FiduciaError(
            f"faces of {' and '.join(sets)} cannot be compared; name one that both convert to with --scheme"
        )
    old, new = _by_id(before), _by_id(after)
    changes = [_change(old[name], new[name], least) for name in old if name in new]
    changed = sorted((one for one in changes if one), key=lambda one: -max(one.moved.values(), default=0.0))
    return Difference(
        before=len(old),
        after=len(new),
        added=tuple(name for name in new if name not in old),
        removed=tuple(name for name in old if name not in new),
        changed=tuple(changed),
    )


def _by_id(records: Sequence[Record]) -> dict[str, Record]:
    twice = [name for name, count in Counter(record.id for record in records).items() if count > 1]
    if twice:
        raise FiduciaError(f"the id {one_line(twice[0], 80)!r} stands for two faces; give each its own")
    return {record.id: record for record in records}


def _change(old: Record, new: Record, least: float) -> FaceChange:
    names = get_scheme(old.scheme).names
    distance = np.linalg.norm(new.xy - old.xy, axis=1)
    both = np.isfinite(distance)
    # A point that is labelled in one only shows as visibility, for an absent point has the code 0.
    moved = {names[k]: float(distance[k]) for k in np.argsort(-np.where(both, distance, -1)) if distance[k] > least}
    codes = np.flatnonzero(old.visible != new.visible).tolist()
    seen = {names[k]: (int(old.visible[k]), int(new.visible[k])) for k in codes}
    box: float | None = None
    if (old.box is None) != (new.box is None):
        box = float("inf")
    elif old.box is not None and new.box is not None:
        most = float(np.linalg.norm((new.box - old.box).reshape(2, 2), axis=1).max())
        box = most if most > least else None
    image = (old.image.name, new.image.name) if old.image.name != new.image.name else None
    return FaceChange(old.id, moved, seen, box, image)
