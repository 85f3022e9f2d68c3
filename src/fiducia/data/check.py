"""Is a data set all there, and can it be read? Every photograph is decoded, every point is looked at.

What is found is counted by kind (:data:`fiducia.data.kinds.KINDS`), with the first examples and what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..cpu import wanted_threads
from ..errors import FiduciaError, UsageError
from ..images import read_image
from ..schemes.sets import get_scheme, is_none
from ..structures import Record
from .doubts import doubts
from .kinds import KINDS
from .shapes import farthest, lone_pairs
from .source import DatasetSpec, Fault, find_dataset, known_scheme, one_set, unreadable
from .usable import fault_of

__all__ = ["EXAMPLES", "LISTED", "CheckReport", "PartCount", "check"]

LISTED = 10
"""At most so many faces with points outside their photograph are listed, the farthest first."""
EXAMPLES = 5
"""At most so many faults of one kind are written out; the JSON lists all of them."""


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
        faults: everything that is wrong or worth a remark, in the order found.
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
    faults: list[Fault] = field(default_factory=list)
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
    def broken(self) -> list[str]:
        """A line for each file or face that is needed and missing, unreadable or contradictory."""
        return [fault.message for fault in self.faults if fault.broken]

    @property
    def remarks(self) -> list[str]:
        """A line for everything that a user should know and that stops nothing."""
        return [fault.message for fault in self.faults if not fault.broken]

    def kinds(self) -> list[dict[str, Any]]:
        """Return a row for each kind of fault, broken ones first: kind, broken, count, what, cure, first examples."""
        groups: dict[tuple[bool, str], list[str]] = {}
        for fault in self.faults:
            groups.setdefault((fault.broken, fault.kind), []).append(fault.message)
        return [
            {
                "kind": kind,
                "broken": broken,
                "count": len(lines),
                "what": KINDS[kind][0] if kind in KINDS else kind,
                "cure": KINDS[kind][1] if kind in KINDS else "",
                "first": lines[:EXAMPLES],
            }
            for (broken, kind), lines in sorted(groups.items(), key=lambda item: not item[0][0])
        ]

    def examples(self, broken: bool) -> list[str]:
        """Return the first lines of each kind, and how many more there are."""
        lines = []
        for row in self.kinds():
            if row["broken"] == broken:
                lines += row["first"]
                if row["count"] > len(row["first"]):
                    lines.append(f"… and {row['count'] - len(row['first']):,} more {row['what']} (--json lists all)")
        return lines

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
            "kinds": self.kinds(),
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
        broken, remarks = len(self.broken), len(self.remarks)
        said = f", {remarks:,} remark{'s' * (remarks != 1)}" if remarks else ""
        found = "nothing broken" if remarks and not broken else f"{broken:,} broken"
        text.append(f"{self.faces:,} faces; {self.photographs:,} photographs decode in full; {found}{said}")
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
        for row in self.kinds():
            if row["kind"] != "other":
                text.append(f"{row['count']:,} x {row['what']}" + (f": {row['cure']}" if row["cure"] else ""))
        return text + [f"remark: {line}" for line in self.examples(broken=False)]


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
    known_scheme(source, scheme)
    if scheme is not None and spec.schemes and scheme not in spec.schemes and not is_none(scheme):
        raise UsageError(f"{source}: its points are in {' or '.join(spec.schemes)}; leave --scheme out")
    report = CheckReport(source=source, fetch=spec.fetch, licence=spec.licence)
    own = scheme if not spec.schemes or scheme in spec.schemes else None
    parts = spec.parts or spec.splits
    records: list[Record] = []
    seen: dict[tuple[str, str], str] = {}
    for part in parts:
        found = 0
        for item in _scan(spec, root, part, own):
            if isinstance(item, Fault):
                report.faults.append(item)
                continue
            found += 1
            key = (item.id, item.image.as_posix())
            # A face of two parts, such as one of a subset, is one face.
            if seen.setdefault(key, part) == part:
                records.append(item)
        report.parts.append(PartCount(part, found, spec.counts.get(part)))
    report.faces = len(records)
    if not records and not report.broken:
        spec.read(root, spec.splits[0] if spec.splits else "all", scheme)
        raise FiduciaError(f"{source}: holds no face; expected some in {', '.join(parts)}; fetch: {spec.fetch}")
    several = one_set(records)
    if several is not None:
        report.faults.append(Fault(f"{source}: {several}", broken=True, kind="scheme"))
    report.faults += _ids(records)
    report.faults += [
        Fault(f"{record.image}: the face {record.id} has {fault}", broken=False, kind="unusable")
        for record in records
        if (fault := fault_of(record)) is not None
    ]
    _look(records, report, on_progress)
    for name in dict.fromkeys(record.scheme for record in records):
        same = [record for record in records if record.scheme == name]
        report.odd += [
            {"id": same[o.index].id, "score": round(o.score, 2), "points": list(o.points)} for o in farthest(same)
        ]
        if not spec.schemes:
            assumed = any(fault.kind == "assumed" for fault in report.faults)
            report.faults += [
                Fault(f"{source}: {doubt.message}", broken=assumed and doubt.sure, kind="scheme")
                for doubt in doubts(same)
            ]
        if not get_scheme(name).mirrors:
            continue
        labels = get_scheme(name).names
        report.faults += [
            Fault(
                f"{name}: points {a} ({labels[a]}) and {b} ({labels[b]}) lie opposite each other, but mirror leaves both in "
                f"place; add [{a}, {b}] to mirror in the landmark set, unless they do not change places in a mirror",
                broken=False,
                kind="scheme",
            )
            for a, b in lone_pairs(same)
        ]
    return report


def _ids(records: Sequence[Record]) -> Iterator[Fault]:
    """Yield a remark for each id that stands for more than one face."""
    faces: dict[str, list[Record]] = {}
    for record in records:
        faces.setdefault(record.id, []).append(record)
    for name, twins in faces.items():
        if len(twins) > 1:
            photos = ", ".join(dict.fromkeys(record.image.name for record in twins))
            yield Fault(
                f"the id {name!r} stands for {len(twins)} faces ({photos}); give each face its own",
                broken=False,
                kind="id",
            )


def _scan(spec: DatasetSpec, root: str, part: str, scheme: str | None) -> Iterator[Record | Fault]:
    try:
        yield from (spec.read if spec.scan is None else spec.scan)(root, part, scheme)
    except OSError as error:
        yield Fault(str(unreadable(f"{spec.name}:{root}", error)), broken=True, kind="file")
    except FiduciaError as error:
        if spec.scan is not None:
            raise
        yield Fault(str(error), broken=True, kind="file")


def _look(records: Sequence[Record], report: CheckReport, on_progress: Callable[[int, int], None] | None) -> None:
    """Decode each photograph once, and measure how far the points of its faces lie outside."""
    by_photo: dict[Path, list[Record]] = {}
    for record in records:
        by_photo.setdefault(record.image, []).append(record)
    pool = ThreadPoolExecutor(max_workers=min(8, wanted_threads()))
    try:
        sizes = pool.map(_size, by_photo)
        for done, (faces, size) in enumerate(zip(by_photo.values(), sizes, strict=True), start=1):
            if on_progress is not None:
                on_progress(done, len(by_photo))
            if isinstance(size, str):
                report.faults.append(Fault(size, broken=True, kind="photo"))
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
                far = _far(face, distances, size)
                if far is not None:
                    report.faults.append(far)
    finally:
        # An interruption does not wait for photographs that nobody will count.
        pool.shutdown(cancel_futures=True)
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


def _far(face: Record, distances: npt.NDArray[np.float64], size: tuple[int, int]) -> Fault | None:
    """Return a fault of a face wholly outside its photograph, a remark on one with a point a whole side away, else None."""
    labelled = distances[np.isfinite(face.xy).all(axis=1)]
    whole = len(labelled) > 0 and labelled.min() > 0
    if not whole and labelled.max(initial=0.0) <= max(size):
        return None
    where = "lies wholly outside" if whole else f"has a point {labelled.max():.0f} px outside"
    line = f"{face.image}: the face {face.id} {where} of the {size[1]} x {size[0]} photograph"
    return Fault(line, broken=bool(whole), kind="far")
