"""People's own faces: what the readers of COCO, CSV, CVAT and the other formats have in common.

An own landmark set is named with ``scheme`` (a TOML file). Without it the points' names in the file count, then the file's
own word, then the number of points, where that tells the set; what is assumed is said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import FiduciaError, UsageError
from ...schemes.sets import SchemeError, get_scheme
from ...structures import Record
from ..doubts import upright
from ..kinds import LabelError
from ..naming import Meaning, assumed
from ..readers.official import boxes_outside, duplicates
from ..sizes import Size, orient, photo_size, proportional, rescale
from ..source import Faces, Fault, existing_root
from ..values import short, show

__all__ = [
    "MARKS",
    "Notes",
    "Parse",
    "Placed",
    "at_real_size",
    "choose_split",
    "declared_scheme",
    "encoded",
    "first_of",
    "kind_of",
    "marks",
    "one_scheme",
    "read_all",
    "scan_all",
]

Placed = tuple[str, "Record | FiduciaError"]
"""Where a face stands in its file, such as ``line 3``, and the face or what is wrong with it."""

MARKS = ("source", "weights", "weights_sha256")
"""Tags that tell where labels come from: ``source`` is ``auto`` or ``semi-auto`` for those that a machine made or moved,
``weights`` and ``weights_sha256`` name the network."""
_MACHINE = ("auto", "semi-auto")


@dataclass
class Notes:
    """What a reader has to say of a file besides its faces.

    Attributes:
        remarks: for the user, each with its kind.
        assumed: nothing but the number of points told the landmark set.
        scaled: how many faces were moved to their photograph's size, and the first one's line.
        order: which of the file's points each point of the face is that was read last; for those who change labels.
        file: where that face's points stand, in a folder of label files.
    """

    remarks: list[Fault] = field(default_factory=list)
    assumed: bool = False
    scaled: dict[str, list[str]] = field(default_factory=dict)
    order: tuple[int, ...] = ()
    file: Path | None = None

    def say(self, kind: str, message: str) -> None:
        """Keep a remark."""
        self.remarks.append(Fault(message, broken=False, kind=kind))

    def meaning(self, origin: str, found: Meaning) -> None:
        """Keep what was assumed of a landmark set; once a file."""
        line = assumed(origin, found)
        self.assumed = self.assumed or found.how == "count"
        if line is not None and line not in {remark.message for remark in self.remarks}:
            self.say("assumed" if found.how == "count" else "scheme", line)

    def all(self, origin: str, records: Sequence[Record]) -> list[Fault]:
        """Return every remark, once all faces of a file are read."""
        more = [
            Fault(
                f"{origin}: {len(lines)} face{'s' * (len(lines) != 1)} scaled: {lines[0]}", broken=False, kind="scaled"
            )
            for lines in self.scaled.values()
        ]
        made: Counter[tuple[str, str]] = Counter(
            (str(r.tags["source"]), str(r.tags.get("weights") or r.tags.get("weights_sha256") or "unknown weights"))
            for r in records
            if marks(r.tags)
        )
        more += [
            Fault(
                f"{origin}: {count} of {len(records)} faces have labels that a machine made (source {source}, {short(weights)}); "
                "do not measure a network with them",
                broken=False,
                kind="machine",
            )
            for (source, weights), count in made.items()
        ]
        return [*self.remarks, *_placeholders(origin, records), *more]


def _placeholders(origin: str, records: Sequence[Record]) -> list[Fault]:
    """Return a remark where points lie at (0, 0), (-1, -1) or (-2, -2): what (0, 0) or (-1, -1) is that counts from 0 or from 1."""
    found: list[tuple[Record, float]] = []
    for record in records:
        x, y = record.xy.T
        odd = (x == y) & ((x == 0) | (x == -1) | (x == -2))
        if odd.any():
            found.append((record, float(x[odd.argmax()])))
    if not found:
        return []
    record, at = found[0]
    faces = f"{len(found)} face{'s' * (len(found) != 1)}"
    return [
        Fault(
            f"{origin}: {faces} with points at exactly ({at:g}, {at:g}) or the like, which often stand for absent ones but are "
            f"read as labels; the first is {short(record.id)}",
            broken=False,
            kind="placeholder",
        )
    ]


Parse = Callable[[Path, "str | None", Notes], Iterator[Placed]]
"""Yields the faces of a file. What it raises is a fault of the whole file."""


def read_all(name: str, root: str, what: str, parse: Parse, split: str, scheme: str | None) -> Faces:
    """Return the faces of a file in which nothing is wrong.

    Args:
        name: the data set.
        root: the file.
        what: what it should be, for errors.
        parse: reads it.
        split: as in :func:`choose_split`.
        scheme: the landmark set that the user named.

    Raises:
        FiduciaError: the first fault.
        UsageError: no path, an unknown landmark set or split.
    """
    path = existing_root(name, root, what)
    notes = Notes()
    records = []
    for _, face in parse(path, scheme, notes):
        if isinstance(face, FiduciaError):
            raise face
        records.append(face)
    remarks = [remark.message for remark in notes.all(str(path), records)]
    return Faces(choose_split(str(path), records, split), remarks, notes.assumed)


def scan_all(name: str, root: str, what: str, parse: Parse, scheme: str | None) -> Iterator[Record | Fault]:
    """Yield the faces of a file and every fault in it; then remarks on boxes elsewhere, faces that stand twice, and more."""
    path = existing_root(name, root, what)
    notes = Notes()
    places: dict[str, Record] = {}

    def found() -> Iterator[Record | Fault]:
        try:
            for place, face in parse(path, scheme, notes):
                if isinstance(face, FiduciaError):
                    yield Fault(str(face), broken=True, kind=kind_of(face))
                    continue
                places[place] = face
                yield face
        except UsageError as error:
            yield Fault(str(error), broken=True, kind="scheme")
        except FiduciaError as error:
            yield Fault(str(error), broken=True, kind=kind_of(error, "file"))

    yield from boxes_outside(found())
    yield from duplicates(places, str(path))
    yield from notes.all(str(path), list(places.values()))


def kind_of(error: FiduciaError, kind: str = "form") -> str:
    """Return the kind of a fault, or ``kind`` where the error has none."""
    return error.kind if isinstance(error, LabelError) else kind


def choose_split(origin: str, records: Sequence[Record], split: str) -> list[Record]:
    """Return the faces of a split: those whose ``split`` tag says so; a file without such tags is one split.

    Raises:
        UsageError: the file has no such split. A file without splits is ``all`` and ``train``, never a test set by
            accident.
    """
    if split == "all":
        return list(records)
    names = sorted({str(record.tags["split"]) for record in records if "split" in record.tags})
    if not names and split == "train":
        return list(records)
    chosen = [record for record in records if record.tags.get("split") == split]
    if not chosen:
        there = f"its splits are {', '.join(names)}" if names else "it names no splits"
        raise UsageError(f"{origin}: has no split {split!r}; {there}; use --split all for the whole file")
    return chosen


def marks(tags: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tags that say that a machine made the labels; none where a person did."""
    if not isinstance(tags.get("source"), str) or tags["source"] not in _MACHINE:
        return {}
    return {key: str(tags[key]) for key in MARKS if tags.get(key)}


def one_scheme(path: Path, records: Sequence[Record], what: str) -> str:
    """Return the landmark set that all faces share.

    Raises:
        FiduciaError: no face, faces of several sets, or a set that does not exist.
    """
    names = sorted({record.scheme for record in records})
    if len(names) != 1:
        raise FiduciaError(f"{path}: a {what} holds one landmark set; found {', '.join(names) or 'no face'}")
    try:
        points = get_scheme(names[0]).num_points
    except SchemeError as error:
        raise FiduciaError(f"{path}: {error}") from error
    odd = next((record for record in records if len(record.xy) != points), None)
    if odd is not None:
        raise FiduciaError(f"{path}: the face {odd.id} has {len(odd.xy)} points, but {names[0]} has {points}")
    return names[0]


def encoded(path: Path, text: str) -> bytes:
    """Return a label file's text as UTF-8.

    Raises:
        FiduciaError: the name of a photograph is not text; the line shows it.
    """
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        part = ascii(text[max(0, error.start - 20) : error.end + 20])
        raise FiduciaError(
            f"{path}: {part} holds a name that is not UTF-8; rename the photograph, or write COCO"
        ) from None


def at_real_size(where: str, record: Record, stated: Size | None, notes: Notes) -> Record:
    """Move a face's labels to the size of the photograph that is there, where the file states another one.

    Args:
        where: file and place, for errors.
        record: the face, in the pixels of a picture of the stated size.
        stated: width and height that the file gives; None or 0 x 0 = not given, and nothing is compared.
        notes: gets a line for the faces that are moved.

    Returns:
        the face in the photograph's own pixels, with the EXIF orientation applied. Labels made on a resized copy are
        scaled. Labels made on the stored pixels of a photograph that EXIF turns by a quarter are turned with it, unless
        the face stands upright as it is: then the file merely states width and height in the wrong order.

    Raises:
        LabelError: another shape of picture, or a side that is not positive; the line gives the sizes. Or an id that is
            neither a text nor a number.
    """
    _plain_tags(where, record.tags)
    if stated is not None and stated != (0, 0) and min(stated) <= 0:
        raise LabelError(
            "size", f"{where}: the size is stated as {stated[0]} x {stated[1]}; expected two positive numbers of pixels"
        )
    real = photo_size(record.image) if stated not in (None, (0, 0)) else None
    if real is None or stated is None or stated == real.shown:
        return record
    name = short(record.image.name)
    sizes = f"stated as {stated[0]} x {stated[1]}, but the photograph has {real.shown[0]} x {real.shown[1]} pixels"
    if proportional(stated, real.shown):
        return _moved(record, lambda xy: rescale(xy, stated, real.shown), "resized", f"{name} is {sizes}", notes)
    if real.shown != real.stored and proportional(stated, real.stored):

        def turn(xy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
            return orient(rescale(xy, stated, real.stored), real.stored, real.orientation)

        stands, turned = (_upright(xy, record.scheme) for xy in (record.xy, turn(record.xy)))
        sizes += f" once EXIF orientation {real.orientation} is applied"
        if stands and not turned:
            swapped = (stated[1], stated[0])
            return _moved(record, lambda xy: rescale(xy, swapped, real.shown), "swapped", f"{name} is {sizes}", notes)
        if turned or stands is None:
            return _moved(record, turn, "turned", f"{name} is {sizes}", notes)
        sizes += ", and the face is upright in neither"
    raise LabelError("size", f"{where}: {name} is {sizes}; label the photograph that lies there, or correct the size")


def _plain_tags(where: str, tags: Mapping[str, Any]) -> None:
    """Refuse tags that name a face, its photograph or its split by a list or a table."""
    for key in ("id", "photo", "split"):
        if key in tags and (isinstance(tags[key], bool) or not isinstance(tags[key], str | int | float)):
            raise LabelError("form", f"{where}: {key} is {show(tags[key])}; expected a text or a number")


def _moved(
    record: Record,
    move: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]],
    how: str,
    line: str,
    notes: Notes,
) -> Record:
    notes.scaled.setdefault(how, []).append(f"{line} ({how})")
    box = None
    if record.box is not None:
        corners = move(record.box.reshape(2, 2))
        box = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
    return replace(record, xy=move(record.xy), box=box)


def _upright(xy: npt.NDArray[np.float64], scheme: str) -> bool | None:
    """Tell whether a face stands upright, to 45 degrees; None where its points do not tell."""
    angle = upright(xy, get_scheme(scheme))
    return None if angle is None else abs(angle) < 45.0


def first_of(counts: Iterable[int]) -> int:
    """Return the most frequent number, the first one where several are."""
    return Counter(counts).most_common(1)[0][0]


def declared_scheme(name: str | None) -> int | None:
    """Return the number of points of a landmark set that a file names, or None where there is no such set."""
    try:
        return None if name is None else get_scheme(name).num_points
    except SchemeError:
        return None
