"""Photographs whose faces wait for the network, and when there are enough of them for a batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any

from ..errors import UsageError
from ..structures import Detection
from .inputs import Photo

__all__ = ["Found", "enough", "one_each", "paired"]

Found = tuple[Photo, Sequence[Detection]]
"""A photograph and the boxes of its faces."""

_MAX_PIXELS = 64_000_000
"""Pixels of photographs that wait, at most: 0.2 GB."""


def enough(waiting: Sequence[Found], batch_size: int) -> bool:
    """Whether these are enough: a batch of faces, or as many photographs or pixels as may wait.

    Photographs without a face let the others wait a little longer: batches of one size take less memory than of all sizes.
    """
    return (
        sum(len(found) for _, found in waiting) >= batch_size
        or len(waiting) >= 4 * batch_size
        or sum(photo.image.shape[0] * photo.image.shape[1] for photo, _ in waiting) > _MAX_PIXELS
    )


def one_each(boxes: Any, photographs: int) -> Any:
    """Return tables of boxes for several photographs, or None where there are none.

    Raises:
        UsageError: no list of tables, or one of another length.
    """
    if boxes is None:
        return None
    count = len(boxes) if hasattr(boxes, "__len__") else f"none, in a {type(boxes).__name__}"
    if count != photographs:
        raise UsageError(f"{photographs} photographs, but boxes for {count}; give one table of boxes each")
    return boxes


def paired(photographs: Iterable[Any], boxes: Iterable[Any] | None) -> Iterator[tuple[Any, Any]]:
    """Yield each photograph with its table of boxes, or with None where there are no tables.

    Raises:
        UsageError: there are more of the one than of the other.
    """
    if boxes is None:
        yield from ((photograph, None) for photograph in photographs)
        return
    nothing = object()
    for number, (photograph, table) in enumerate(zip_longest(photographs, boxes, fillvalue=nothing)):
        if photograph is nothing or table is nothing:
            more, fewer = ("photographs", "tables of boxes") if table is nothing else ("tables of boxes", "photographs")
            raise UsageError(f"{number} {fewer}, but more {more}; give one table of boxes each")
        yield photograph, table
