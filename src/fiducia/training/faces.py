"""Which faces a run trains on, and which it is validated on."""

from __future__ import annotations

from ..data.source import carve, exclude, keep, load_records
from ..errors import FiduciaError
from ..recipes.sections import DataConfig
from ..schemes.sets import Scheme, get_scheme
from ..structures import Record

__all__ = ["split_records"]


def split_records(data: DataConfig) -> tuple[list[Record], list[Record], Scheme]:
    """Return training faces, validation faces (drawn by image), and their landmark set.

    Raises:
        FiduciaError: no face is left, or the faces are of several landmark sets.
    """
    found = load_records(data.source, data.split, data.scheme)
    records = exclude(found, data.exclude)
    if found and not records:
        raise FiduciaError(f"{data.source}: data.exclude leaves none of {len(found):,} faces; take a pattern out of it")
    if not records:
        raise FiduciaError(f"{data.source}: no face in split {data.split!r}; run: fiducia data check {data.source}")
    names = sorted({record.scheme for record in records})
    if len(names) > 1:
        raise FiduciaError(
            f"{data.source}: faces of several landmark sets ({', '.join(names)}); train on one at a time"
        )
    training, validation = carve(records, data.val_fraction, data.val_seed)
    if data.only:
        training, validation = keep(training, data.only), keep(validation, data.only)
        if not training:
            raise FiduciaError(f"{data.source}: data.only matches none of {len(records):,} faces; mend a pattern")
    if data.limit is not None:
        training, validation = training[: data.limit], validation[: data.limit]
    return training, validation, get_scheme(names[0])
