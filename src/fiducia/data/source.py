"""Data sets by name: ``NAME:ROOT`` → records; which faces are left out, and which are carved for validation.

A data set is one :class:`DatasetSpec` in a file of its own in ``readers`` or ``formats``, registered there; the registry
finds it by itself. What writes faces in a format of labels is found in the same way (:data:`label_writers`).
"""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import FiduciaError, UsageError
from ..registry import Registry, did_you_mean
from ..schemes.sets import NONE, SchemeError, conversion, convert, get_scheme, is_none
from ..structures import Record
from ..text import read_text
from .doubts import doubts
from .holding import held_out, photo_of
from .places import user_path

if TYPE_CHECKING:
    from .blocks import Block

__all__ = [
    "DatasetSpec",
    "Faces",
    "Fault",
    "LabelWriter",
    "carve",
    "datasets",
    "describe_datasets",
    "exclude",
    "excluded",
    "keep",
    "existing_root",
    "find_dataset",
    "known_scheme",
    "label_writers",
    "load_records",
    "one_set",
    "pattern_of",
    "to_scheme",
    "unreadable",
]


@dataclass(frozen=True)
class Fault:
    """Labels that cannot be used as they stand.

    Attributes:
        message: one line that names the file and the place in it.
        broken: True = the labels must be corrected; False = a remark.
        kind: a key of :data:`fiducia.data.kinds.KINDS`, by which ``data check`` counts them.
    """

    message: str
    broken: bool
    kind: str = "other"


class Faces(list[Record]):
    """Records, and what their reader has to say about them.

    Attributes:
        remarks: lines for the user: what was assumed, scaled or left out.
        assumed: nothing but the number of points told the landmark set.
    """

    def __init__(self, records: Iterable[Record] = (), remarks: Iterable[str] = (), assumed: bool = False) -> None:
        super().__init__(records)
        self.remarks = list(remarks)
        self.assumed = assumed


LabelWriter = Callable[[Path, Sequence[Record]], None]
"""Writes faces to a file or folder."""


@dataclass(frozen=True, kw_only=True)
class DatasetSpec:
    """What a data set is and how it is read.

    Attributes:
        name: the word before the colon in ``NAME:ROOT``.
        summary: one line for ``fiducia list datasets``.
        schemes: landmark sets that its files can be read in; empty = whatever the user names.
        splits: what ``--split`` takes.
        counts: official number of faces of a split or part, where there is one.
        read: ``(root, split, scheme)`` → records in a stable order; ``root`` is the text after the colon and ``scheme``
            is None or one of ``schemes``. It raises FiduciaError where nothing is found, and tells what to fetch.
        fetch: where the files come from.
        licence: what may be done with them.
        parts: the parts whose counts ``fiducia data check`` compares; empty = every split.
        scan: as ``read``, but yields a :class:`Fault` for each file that cannot be used and goes on, and nothing at all
            for a part that is not there; for ``fiducia data check``.
        blocks: for a source that may be larger than memory: ``(root, split)`` → its :class:`~fiducia.data.blocks.Block` parts
            in order, whose faces together are those of ``read``. Training then streams them.
    """

    name: str
    summary: str
    splits: tuple[str, ...]
    read: Callable[[str, str, str | None], list[Record]]
    schemes: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    fetch: str = ""
    licence: str = ""
    parts: tuple[str, ...] = ()
    scan: Callable[[str, str, str | None], Iterator[Record | Fault]] | None = None
    blocks: Callable[[str, str], Sequence[Block]] | None = None


_HOMES = ("fiducia.data.readers", "fiducia.data.formats", "fiducia.data.synthetic")
datasets: Registry[DatasetSpec] = Registry("data set", *_HOMES)
"""Name → :class:`DatasetSpec`, for ``NAME:ROOT``.

Example:
    >>> datasets["wflw"].counts["test"]
    2500
"""
label_writers: Registry[LabelWriter] = Registry("label format", "fiducia.data.formats")
"""Every format that labels can be written in, by name; ``fiducia data convert --to``.

A writer takes a path and the faces, such as those of ``faces.to_labels()``.

Example:
    >>> from fiducia import label_writers
    >>> {"coco", "csv", "cvat", "labelstudio", "pts"} <= set(label_writers)
    True
"""


def find_dataset(source: str) -> tuple[DatasetSpec, str]:
    """Split ``NAME:ROOT`` into the data set and its root.

    Raises:
        UsageError: no data set has that name.
    """
    name, _, root = source.partition(":")
    if name not in datasets:
        raise UsageError(
            f"{source}: expected NAME:ROOT, and no data set is called {name!r}{did_you_mean(name, list(datasets))}"
        )
    return datasets[name], root


def known_scheme(source: str, scheme: str | None) -> None:
    """Refuse a landmark set that does not exist; None and ``none`` pass.

    Raises:
        UsageError: an unknown name, or a scheme file that is none.
    """
    if scheme is not None and scheme != NONE:
        try:
            get_scheme(scheme)
        except SchemeError as error:
            raise UsageError(f"{source}: {error}") from error


def load_records(source: str | Sequence[str], split: str, scheme: str | None = None) -> Faces:
    """Read one split of a data set, or of several data sets of one landmark set.

    Args:
        source: ``NAME:ROOT``, for example ``300w:/data/300w``; or several.
        split: one of the data set's splits.
        scheme: the landmark set wanted, by name or TOML file, converted to where possible; None = the source's own;
            ``none`` = bare points.

    Returns:
        Records in an order that depends on the files alone, with the remarks that a user should see.

    Raises:
        UsageError: unknown data set, split or landmark set, or one that the points cannot be converted to.
        FiduciaError: files that are missing or unreadable, labels that are broken, faces of several landmark sets, or
            faces that contradict a landmark set that nothing but their number of points told.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     records = load_records(f"synthetic:4@{folder}", "train", scheme="five")
        >>> len(records), records[0].xy.shape
        (4, (5, 2))
    """
    if not isinstance(source, str):
        parts = [load_records(one, split, scheme) for one in source]
        joined = Faces([r for part in parts for r in part], [line for part in parts for line in part.remarks])
        several = one_set(joined)
        if several is not None:
            raise FiduciaError(f"{', '.join(source)}: {several}")
        return joined
    spec, root = find_dataset(source)
    if spec.splits and split not in spec.splits:
        raise UsageError(f"{source}: no split is called {split!r}{did_you_mean(split, list(spec.splits))}")
    known_scheme(source, scheme)
    own = scheme is None or not spec.schemes or scheme in spec.schemes
    try:
        found = spec.read(root, split, scheme if own else None)
        remarks = list(found.remarks) if isinstance(found, Faces) else []
        assumed = isinstance(found, Faces) and found.assumed
        several = one_set(found)
        if several is not None:
            raise FiduciaError(f"{source}: {several}")
        for doubt in [] if spec.schemes else doubts(found):
            if assumed and doubt.sure:
                raise FiduciaError(f"{source}: {doubt.message}; if it is right, confirm it with --scheme")
            remarks.append(f"{source}: {doubt.message}")
        records = found if scheme is None else [to_scheme(record, scheme) for record in found]
    except SchemeError as error:
        raise UsageError(f"{source}: {error}") from error
    except OSError as error:
        raise unreadable(source, error) from error
    return Faces(records, remarks, assumed)


def unreadable(source: str, error: OSError) -> FiduciaError:
    """Return the line for a folder or file of a data set that the system refuses to a reader."""
    place = error.filename if isinstance(error.filename, str) else source
    return FiduciaError(f"{place}: cannot be read ({error.strerror or error}); check the path and its permissions")


def one_set(records: Iterable[Record]) -> str | None:
    """Return None where all faces are of one landmark set, else what is wrong, with a face of each set."""
    first: dict[str, str] = {}
    for record in records:
        first.setdefault(record.scheme, record.id)
    if len(first) < 2:
        return None
    found = ", ".join(f"{name} (as {face})" for name, face in sorted(first.items()))
    return f"faces of several landmark sets: {found}; put each into a file of its own, or name one that all convert to"


def to_scheme(record: Record, scheme: str) -> Record:
    """Return a record in another landmark set; a point made of several is as visible as the least visible of them.

    Args:
        record: a face.
        scheme: the landmark set wanted, by name or TOML file; ``none`` keeps the points and drops their meaning.

    Raises:
        SchemeError: the record's points cannot be converted.
    """
    if record.scheme == scheme:
        return record
    if is_none(scheme) and scheme in (NONE, f"{NONE}:{len(record.xy)}"):
        return replace(record, scheme=f"{NONE}:{len(record.xy)}")
    groups = conversion(record.scheme, scheme)
    visible = np.array([record.visible[list(group)].min() for group in groups], dtype=np.int8)
    return replace(record, xy=convert(record.xy, record.scheme, scheme), visible=visible, scheme=scheme)


def excluded(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Return what tells whether a face of some id is left out.

    Args:
        patterns: glob patterns on ids, such as ``afw/237815567_*``; a pattern may match nothing. ``@FILE`` names a text file
            of ids, one a line, such as the rejected faces of ``fiducia data review``.

    Raises:
        FiduciaError: such a file cannot be read.
    """
    globs = [pattern for pattern in patterns if not pattern.startswith("@")]
    files = [pattern[1:] for pattern in patterns if pattern.startswith("@")]
    ids = {line.strip() for file in files for line in read_text(file, "a file of ids, one a line").splitlines()}
    return lambda face: face in ids or any(fnmatchcase(face, pattern) for pattern in globs)


def pattern_of(face: str) -> str:
    """Return the pattern of :func:`excluded` that matches this id and no other: one that starts with ``@`` names no file."""
    pattern = glob.escape(face)
    return f"[@]{pattern[1:]}" if pattern.startswith("@") else pattern


def exclude(records: Iterable[Record], patterns: Sequence[str]) -> list[Record]:
    """Drop the faces that :func:`excluded` names.

    Raises:
        FiduciaError: as :func:`excluded`.
    """
    out = excluded(patterns)
    return [record for record in records if not out(record.id)]


def keep(records: Iterable[Record], patterns: Sequence[str]) -> list[Record]:
    """Keep the faces whose id matches a glob pattern, such as ``lfpw/*``, in their order."""
    return [record for record in records if any(fnmatchcase(record.id, pattern) for pattern in patterns)]


def carve(records: Sequence[Record], fraction: float, seed: int) -> tuple[list[Record], list[Record]]:
    """Part faces into training and validation, all faces of one photograph on the same side.

    Photographs are put in an order drawn from their names and the seed, and taken until the share is reached; so the
    order of the records changes nothing, and a few faces more or fewer change little.

    Args:
        records: any faces; ``tags["photo"]`` names the photograph, else the image's path does.
        fraction: share of the faces for validation, in [0, 1); at least one photograph stays in training.
        seed: another seed, another choice.

    Returns:
        ``(training, validation)``, both in the order of ``records``.
    """
    held = held_out([photo_of(record) for record in records], fraction, seed).tolist()
    training = [record for record, out in zip(records, held, strict=True) if not out]
    return training, [record for record, out in zip(records, held, strict=True) if out]


def describe_datasets() -> list[dict[str, Any]]:
    """Return a row for each data set: name, landmark sets, splits, official faces, what it is, origin, licence."""
    return [
        {
            "name": spec.name,
            "schemes": ", ".join(spec.schemes) or "any",
            "splits": ", ".join(spec.splits) or "any",
            "faces": ", ".join(f"{split} {spec.counts[split]}" for split in spec.splits[:4] if split in spec.counts),
            "what": spec.summary,
            "fetch": spec.fetch,
            "licence": spec.licence,
        }
        for spec in (datasets[name] for name in datasets)
    ]


def existing_root(name: str, root: str, what: str) -> Path:
    """Return ``root`` as a path that exists; ``what`` tells what should lie there.

    Raises:
        UsageError: no root was given, or none that a path can be.
        FiduciaError: there is no such folder or file.
    """
    if not root.strip():
        raise UsageError(f"{name}: gives no path; expected {name}:PATH, {what}")
    path = user_path(root)
    if not path.exists():
        raise FiduciaError(f"{path}: no such file or folder; expected {what}")
    return path
