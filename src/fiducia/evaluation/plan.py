"""What an evaluation will score, settled before a network runs: the landmark set, the boxes, the stamp."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .._version import __version__
from ..data.source import to_scheme
from ..errors import UsageError
from ..metrics.protocol import Protocol, normaliser_indices
from ..schemes.sets import Scheme, SchemeError, conversion, get_scheme
from ..structures import Record
from .subsets import is_partial

Array = npt.NDArray[np.float64]

__all__ = ["Plan", "make_plan"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """What is scored, and how; known before anything is found.

    Attributes:
        scheme: the landmark set that is scored.
        records: in that set.
        groups: for each of its points, the predicted points whose mean it is; None = the predictions are in that set.
        boxes: ``(N, 4)`` that ``box`` and ``diag`` divide by; None = the true points' tight boxes.
        protocol: the stamp.
    """

    scheme: Scheme
    records: list[Record]
    groups: tuple[tuple[int, ...], ...] | None
    boxes: Array | None
    protocol: Protocol


def make_plan(records: Sequence[Record], own: Scheme, stamp: dict[str, Any], box: str) -> Plan:
    """Bring predictions and annotation into one landmark set, the data's where that can be, and stamp it.

    Args:
        records: N annotated faces of one landmark set.
        own: the landmark set of the predictions.
        stamp: the fields of the protocol that only the caller knows.
        box: ``auto``, ``landmarks`` or ``dataset``.

    Raises:
        UsageError: the landmark sets cannot be converted, or ``box = "dataset"`` where the data set has none.
    """
    scheme, kept, groups, converted = _meet(list(records), own)
    annotated = [record.box for record in kept if record.box is not None]
    whole = len(annotated) == len(kept)
    if box == "dataset" and not whole:
        raise UsageError(f"--box dataset: {stamp.get('data')} has no boxes of its own; use --box landmarks")
    use = box == "dataset" or (box == "auto" and scheme.name == "aflw19" and whole)
    boxes = np.stack(annotated) if use else None
    protocol = Protocol(
        faces=len(kept),
        partial=is_partial(stamp.get("official"), len(kept)),
        scheme=scheme.name,
        points=scheme.num_points,
        converted=converted,
        box="dataset" if use else "landmarks",
        normaliser=normaliser_indices(scheme),
        labels_sha256=_labels_digest(kept, boxes),
        fiducia=__version__,
        **stamp,
    )
    return Plan(scheme=scheme, records=kept, groups=groups, boxes=boxes, protocol=protocol)


def _labels_digest(records: Sequence[Record], boxes: Array | None) -> str:
    """Return the SHA-256 of true points, and of boxes, to a thousandth of a pixel: machines differ in the last digits."""
    digest = hashlib.sha256()
    for array in (np.stack([record.xy for record in records]), boxes):
        if array is not None:
            whole = np.where(np.isfinite(array), np.round(1000 * array), -(2.0**40))
            digest.update(whole.astype("<i8").tobytes())
    return digest.hexdigest()


def _meet(
    records: list[Record], own: Scheme
) -> tuple[Scheme, list[Record], tuple[tuple[int, ...], ...] | None, str | None]:
    """Return the landmark set that is scored, the records in it, how predictions become it, and that in words."""
    data = get_scheme(records[0].scheme)
    if _same(data, own):
        return data, records, None, None
    try:
        return data, records, conversion(own, data), f"prediction {own.name} -> {data.name}"
    except SchemeError:
        pass
    try:
        kept = [to_scheme(record, own.name) for record in records]
    except SchemeError:
        raise UsageError(
            f"the weights give {own.name} ({own.num_points} points) and the data has {data.name} ({data.num_points}); "
            f"neither can be converted into the other; fit a new head with: fiducia train RECIPE --init WEIGHTS on {data.name}"
        ) from None
    return own, kept, None, f"truth {data.name} -> {own.name}"


def _same(a: Scheme, b: Scheme) -> bool:
    """Whether two landmark sets are one; an own one is known to its weights by name and number alone."""
    return a == b or (a.name == b.name and a.num_points == b.num_points)
