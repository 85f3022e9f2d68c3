"""Is a data set all there, and can it be read? Every photograph is decoded, every point is looked at."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import FiduciaError, UsageError
from ..images.pixels import read_image
from ..schemes.sets import SchemeError, get_scheme
from ..structures import Record
from .shapes import farthest, lone_pairs
from .source import DatasetSpec, Fault, find_dataset, one_set

__all__ = ["LISTED", "CheckReport", "PartCount", "check"]

LISTED = 10
"""At most so many faces with points outside their photograph are listed, the farthest first."""


@dataclass(frozen=True)
class PartCount:
    """A part's readable annotations and its official number of faces, None where there is none."""

    part: str
    found: int
    official: int | None


@dataclass(kw_only=True)
class CheckReport:
    """What was found.

    Attributes:
        source: ``NAME:ROOT``.
        parts: faces of each part.
        faces: annotated faces in all.
        photographs: different photographs that decode in full.
        broken: a line for each file that is needed and missing, unreadable or contradictory.
        remarks: a line for each file that is there and not used.
        outside: faces with a point outside their photograph.
        worst_px: the largest distance of a point from its photograph, in photograph pixels.
        worst_id: that point's face.
        listed: the faces farthest outside, with their farthest point and its distance.
        odd: the faces farthest from the median face, with their score and oddest points; look at them.
        fetch: where the data set comes from.
        licence: what may be done with it.
    """

    source: str
    parts: list[PartCount] = field(default_factory=list)
    faces: int = 0
    photographs: int = 0
    broken: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    outside: int = 0
    worst_px: float = 0.0
    worst_id: str = ""
    listed: list[dict[str, Any]] = field(default_factory=list)
    odd: list[dict[str, Any]] = field(default_factory=list)
    fetch: str = ""
    licence: str = ""

    @property
    def ok(self) -> bool:
        """True where nothing is broken; parts may be absent."""
        return not self.broken

    @property
    def absent(self) -> list[str]:
        """The parts of which there is no face."""
        return [part.part for part in self.parts if part.found == 0]

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain values."""
        return {
            "source": self.source,
            "ok": self.ok,
            "parts": [{"part": p.part, "found": p.found, "official": p.official} for p in self.parts],
            "absent": self.absent,
            "faces": self.faces,
            "photographs": self.photographs,
            "broken": self.broken,
            "remarks": self.remarks,
            "outside": {
                "faces": self.outside,
                "worst_px": round(self.worst_px, 3),
                "worst_id": self.worst_id,
                "listed": self.listed,
            },
            "odd": self.odd,
            "fetch": self.fetch,
            "licence": self.licence,
        }

    def lines(self) -> list[str]:
        """Return the report as text, a line each."""
        width = max([len(p.part) for p in self.parts], default=4)
        text = [f"{'part':<{width}}  {'found':>6}  {'official':>8}"]
        for p in self.parts:
            official = "-" if p.official is None else f"{p.official:,}"
            gap = 0 if p.official is None else p.official - p.found
            note = "absent" if p.found == 0 else f"{gap:,} missing" if gap > 0 else f"{-gap:,} more" if gap else ""
            text.append(f"{p.part:<{width}}  {p.found:>6,}  {official:>8}  {note}".rstrip())
        text.append(f"{self.faces:,} faces; {self.photographs:,} photographs decode in full; {len(self.broken)} broken")
        if self.outside:
            text.append(
                f"{self.outside:,} faces have points outside their photograph, by at most {self.worst_px:.1f} px "
                f"({self.worst_id})"
            )
            text += [
                f"outside: {row['id']} ({row['px']:.1f} px, {row['point']}); correct it, or exclude the face"
                for row in self.listed
            ]
        else:
            text.append("every point lies inside its photograph")
        for row in self.odd:
            text.append(
                f"farthest from the median face: {row['id']} ({row['score']:.1f} times the usual; "
                f"{' and '.join(row['points'])})"
            )
        short = any(p.official is not None and p.found < p.official for p in self.parts)
        if short and self.fetch:
            text.append(f"what is missing: {self.fetch}")
        if self.licence:
            text.append(f"licence: {self.licence}")
        return text + [f"remark: {line}" for line in self.remarks]


def check(
    source: str, scheme: str | None = None, *, on_progress: Callable[[int, int], None] | None = None
) -> CheckReport:
    """Count, decode and measure a data set.

    Args:
        source: ``NAME:ROOT``.
        scheme: the landmark set that own points are in, by name or TOML file; None = the source's own.
        on_progress: called with photographs done and photographs in all.

    Returns:
        The report; what is broken is in it and raises nothing.

    Raises:
        UsageError: no data set or landmark set of that name.
        FiduciaError: there is no face at all; the line says what was looked for, what is there and what to fetch.
    """
    spec, root = find_dataset(source)
    if scheme is not None:
        try:
            get_scheme(scheme)
        except SchemeError as error:
            raise UsageError(f"{source}: {error}") from error
        if spec.schemes and scheme not in spec.schemes:
            raise UsageError(f"{source}: its points are in {' or '.join(spec.schemes)}; leave --scheme out")
    report = CheckReport(source=source, fetch=spec.fetch, licence=spec.licence)
    parts = spec.parts or spec.splits
    records: dict[str, Record] = {}
    for part in parts:
        found = 0
        for item in _scan(spec, root, part, scheme):
            if isinstance(item, Record):
                found += 1
                records[item.id] = item
            else:
                (report.broken if item.broken else report.remarks).append(item.message)
        report.parts.append(PartCount(part, found, spec.counts.get(part)))
    report.faces = len(records)
    if not records and not report.broken:
        spec.read(root, spec.splits[0] if spec.splits else "all", scheme)
        raise FiduciaError(f"{source}: holds no face; expected some in {', '.join(parts)}; fetch: {spec.fetch}")
    several = one_set(records.values())
    if several is not None:
        report.broken.append(f"{source}: {several}")
    _look(records.values(), report, on_progress)
    for name in dict.fromkeys(record.scheme for record in records.values()):
        same = [record for record in records.values() if record.scheme == name]
        report.odd += [
            {"id": same[o.index].id, "score": round(o.score, 2), "points": list(o.points)} for o in farthest(same)
        ]
        labels = get_scheme(name).names
        report.remarks += [
            f"{name}: points {a} ({labels[a]}) and {b} ({labels[b]}) lie opposite each other, but mirror leaves both in "
            f"place; add [{a}, {b}] to mirror in the landmark set, unless they do not change places in a mirror"
            for a, b in lone_pairs(same)
        ]
    return report


def _scan(spec: DatasetSpec, root: str, part: str, scheme: str | None) -> Iterator[Record | Fault]:
    if spec.scan is not None:
        yield from spec.scan(root, part, scheme)
        return
    try:
        yield from spec.read(root, part, scheme)
    except FiduciaError as error:
        yield Fault(str(error), broken=True)


def _look(records: Any, report: CheckReport, on_progress: Callable[[int, int], None] | None) -> None:
    """Decode each photograph once, and measure how far the points of its faces lie outside."""
    by_photo: dict[Path, list[Record]] = {}
    for record in records:
        by_photo.setdefault(record.image, []).append(record)
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        sizes = pool.map(_size, by_photo)
        for done, (faces, size) in enumerate(zip(by_photo.values(), sizes, strict=True), start=1):
            if on_progress is not None:
                on_progress(done, len(by_photo))
            if isinstance(size, str):
                report.broken.append(size)
                continue
            report.photographs += 1
            for face in faces:
                distances = _outside(face, *size)
                distance = float(distances.max(initial=0.0))
                if distance > 0:
                    report.outside += 1
                    point = get_scheme(face.scheme).names[int(distances.argmax())]
                    report.listed.append({"id": face.id, "px": round(distance, 3), "point": point})
                if distance > report.worst_px:
                    report.worst_px, report.worst_id = distance, face.id
    report.listed = sorted(report.listed, key=lambda row: -row["px"])[:LISTED]


def _size(path: Path) -> tuple[int, int] | str:
    """Return height and width, or the error's line; only this is kept, not the pixels."""
    try:
        height, width = read_image(path).shape[:2]
    except FiduciaError as error:
        return str(error)
    return height, width


def _outside(face: Record, height: int, width: int) -> npt.NDArray[np.float64]:
    """Return the distance in pixels ``(K,)`` of each point from the photograph ``[-0.5, W - 0.5]``; 0 where unlabelled."""
    xy = face.xy
    distance: npt.NDArray[np.float64] = np.linalg.norm(xy - np.clip(xy, -0.5, [width - 0.5, height - 0.5]), axis=1)
    return np.nan_to_num(distance)
