"""A few faces to check something on: annotated ones, or drawn ones where there are none."""

from __future__ import annotations

import numpy as np

from ..data.source import datasets, find_dataset, load_records
from ..data.usable import usable
from ..errors import FiduciaError
from ..structures import Record
from .subsets import default_split

__all__ = ["check_faces"]


def check_faces(
    source: str | None, split: str | None, count: int, scheme: str, box_source: str = "landmarks"
) -> tuple[str, str, list[Record]]:
    """Return the name, the split and ``count`` faces of the data that a certificate is measured on.

    Faces that cannot be cropped are skipped.

    Args:
        source: ``NAME:ROOT``; None = faces that fiducia draws.
        split: None = the test split.
        count: at most so many faces, evenly spread over the split.
        scheme: the landmark set of the weights; drawn faces carry it where they can.
        box_source: what the weights are cropped by: ``landmarks`` or ``dataset``.

    Raises:
        UsageError: an unknown data set or split.
        FiduciaError: no faces there, or none that can be cropped.
    """
    wanted = None
    if source is None:
        source = f"synthetic:{4 * count}"
        wanted = scheme if scheme in datasets["synthetic"].schemes else None
    spec, _ = find_dataset(source)
    split = split or default_split(spec)
    found = load_records(source, split, wanted)
    if not found:
        raise FiduciaError(f"{source}: no face in split {split!r}; run: fiducia data check {source}")
    records, skipped = usable(found, box_source)
    if not records:
        raise FiduciaError(f"{source}: no face can be cropped: {skipped[0]}")
    at = np.linspace(0, len(records) - 1, min(count, len(records))).round().astype(int)
    return spec.name, split, [records[i] for i in at]
