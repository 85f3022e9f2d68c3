"""Which faces of a source that is read in blocks a run trains on: the same that it would take if all were in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial

import numpy as np
import numpy.typing as npt

from ..data.blocks import Block, RecordBlock
from ..data.holding import photo_keys, share_of_keys
from ..data.source import excluded, find_dataset, known_scheme, load_records, to_scheme
from ..data.streamed import Dress, Part
from ..data.usable import fault_of, skipped_lines
from ..errors import FiduciaError, UsageError
from ..recipes.sections import DataConfig
from ..schemes.sets import SchemeError, conversion, is_none
from ..structures import Record

__all__ = ["Chosen", "choose", "dressed"]


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The faces of one source.

    Attributes:
        training: parts of its blocks.
        validation: faces held out, in memory.
        scheme: their landmark set.
        collections: of the training faces, where a recipe repeats some.
        remarks: lines for the user.
    """

    training: list[Part]
    validation: list[Record]
    scheme: str
    collections: set[str]
    remarks: list[str]


def dressed(
    records: Iterable[Record], source: str, together: Sequence[Sequence[str]], scheme: str | None = None
) -> list[Record]:
    """Return faces with the tags of a run: ``source``, ``collection``, and ``photo`` where they are of a group.

    Args:
        records: the faces.
        source: ``NAME:ROOT``.
        together: groups of glob patterns on ids; faces of a group pass for faces of one photograph.
        scheme: the landmark set wanted; None = their own.
    """
    name = source.partition(":")[0]
    found = []
    for record in records:
        tags = {"collection": name, **record.tags, "source": name}
        group = _group(record.id, together)
        if group is not None:
            tags["photo"] = group
        found.append(replace(record if scheme is None else to_scheme(record, scheme), tags=tags))
    return found


def _group(face: str, together: Sequence[Sequence[str]]) -> str | None:
    for number, patterns in enumerate(together):
        if any(fnmatchcase(face, pattern) for pattern in patterns):
            return f"together {number}"
    return None


def choose(data: DataConfig, source: str) -> Chosen:
    """Return the faces of one source: those of :func:`~fiducia.training.faces.split_records`, block by block.

    Raises:
        FiduciaError: no face is left, labels or files that cannot be used.
        UsageError: another landmark set than the source converts to.
    """
    blocks, remarks = _blocks(data, source)
    scheme = _wanted(source, blocks[0].scheme, data.scheme)
    dress = partial(dressed, source=source, together=data.together, scheme=scheme)
    kept: list[npt.NDArray[np.int32]] = []
    keys: list[npt.NDArray[np.uint64]] = []
    wanted: list[npt.NDArray[np.bool_]] = []
    dropped: dict[str, list[str]] = {}
    out = excluded(data.exclude)
    found = remaining = 0
    for block in blocks:
        facts = block.facts(data.box_source)
        good = facts.good if scheme is None else np.zeros(len(facts.ids), dtype=bool)
        rows = np.array([i for i, face in enumerate(facts.ids) if not out(face)], dtype=np.int32)
        found, remaining = found + len(facts.ids), remaining + len(rows)
        faulty = _faulty(block, rows[~good[rows]], dress, data.box_source)
        for row, fault in faulty.items():
            dropped.setdefault(fault, []).append(facts.ids[row])
        rows = rows[[row not in faulty for row in rows.tolist()]]
        photos = (_group(facts.ids[row], data.together) or facts.photos[row] for row in rows.tolist())
        keys.append(photo_keys(photos, data.val_seed))
        wanted.append(
            np.array([not data.only or _match(facts.ids[row], data.only) for row in rows.tolist()], dtype=bool)
        )
        kept.append(rows)
    lines = skipped_lines(dropped)
    if not sum(map(len, kept)):
        raise FiduciaError(f"{source}: {_nothing(data, found, remaining, lines)}")
    held = share_of_keys(np.concatenate(keys), data.val_fraction)
    held_by_block = np.split(held, np.cumsum([len(rows) for rows in kept])[:-1])
    training, validation = [], []
    for block, rows, aside, asked in zip(blocks, kept, held_by_block, wanted, strict=True):
        training.append(Part(block, rows[~aside & asked], dress))
        validation.append(Part(block, rows[aside & asked], dress))
    if data.only and len(data.sources) == 1 and not any(len(part.rows) for part in training):
        raise FiduciaError(f"{source}: data.only matches none of {len(held):,} faces; mend a pattern")
    training, validation = _limited(training, data.limit), _limited(validation, data.limit)
    training, collections = _repeated(training, data.repeat)
    return Chosen(
        training=training,
        validation=[record for part in validation for record in part.records()],
        scheme=scheme or blocks[0].scheme,
        collections=collections,
        remarks=[*remarks, *lines],
    )


def _blocks(data: DataConfig, source: str) -> tuple[Sequence[Block], list[str]]:
    """Return a source's blocks, and what its reader says; a source without blocks is one, in memory."""
    spec, root = find_dataset(source)
    if spec.blocks is not None:
        return spec.blocks(root, data.split), []
    records = load_records(source, data.split, data.scheme)
    if not records:
        raise FiduciaError(f"{source}: no face in split {data.split!r}; run: fiducia data check {source}")
    return [RecordBlock(source, records[0].scheme, records)], list(records.remarks)


def _wanted(source: str, own: str, asked: str | None) -> str | None:
    """Return the landmark set to convert to, or None where the faces are of it already.

    Raises:
        UsageError: there is no such set, or no way to it.
    """
    known_scheme(source, asked)
    if asked is None or asked == own:
        return None
    try:
        if not is_none(asked):
            conversion(own, asked)
    except SchemeError as error:
        raise UsageError(f"{source}: {error}") from error
    return asked


def _match(face: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(face, pattern) for pattern in patterns)


def _faulty(block: Block, rows: npt.NDArray[np.int32], dress: Dress, box_source: str) -> dict[int, str]:
    """Return which of these rows cannot be cropped, and why."""
    if not len(rows):
        return {}
    faults = (
        (row, fault_of(record, box_source))
        for row, record in zip(rows.tolist(), dress(block.records(rows)), strict=True)
    )
    return {row: fault for row, fault in faults if fault is not None}


def _nothing(data: DataConfig, found: int, remaining: int, lines: Sequence[str]) -> str:
    """Say why no face of a source is left."""
    if found and not remaining:
        return f"data.exclude leaves none of {found:,} faces; take a pattern out of it"
    return (
        f"no face can be cropped: {lines[0]}" if lines else f"no face in split {data.split!r}; run: fiducia data check"
    )


def _limited(parts: Sequence[Part], limit: int | None) -> list[Part]:
    """Return the first faces of several parts, and no part without faces."""
    left, found = limit, []
    for part in parts:
        rows = part.rows if left is None else part.rows[:left]
        left = None if left is None else left - len(rows)
        if len(rows):
            found.append(Part(part.block, rows, part.dress))
    return found


def _repeated(parts: Sequence[Part], repeat: dict[str, int]) -> tuple[list[Part], set[str]]:
    """Return parts in which faces stand as often as their collection says, and the collections there are."""
    if not repeat:
        return list(parts), set()
    found, collections = [], set()
    for part in parts:
        names = [str(record.tags["collection"]) for record in part.records()]
        collections |= set(names)
        times = [repeat.get(name, 1) for name in names]
        found.append(Part(part.block, np.repeat(part.rows, times), part.dress))
    return found, collections
