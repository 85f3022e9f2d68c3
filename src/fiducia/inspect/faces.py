"""What of a recipe is looked at: the faces that its training would take, before the validation split, and the stage of an epoch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..data.source import exclude, keep, load_records
from ..data.usable import fault_of
from ..errors import FiduciaError
from ..recipes.sections import DataConfig
from ..structures import Record
from ..training.faces import split_records

__all__ = ["every_face", "some_faces", "stage_at"]


def every_face(data: DataConfig) -> tuple[list[Record], list[str]]:
    """Return all faces that a recipe names, validation faces too, each once, and lines for the user on those left out.

    Args:
        data: its sources, ``exclude``, ``only``, ``limit`` and ``together`` count, as in training.

    Raises:
        UsageError: unknown data set, split or landmark set.
        FiduciaError: no face is left, or files that cannot be read.
    """
    found = split_records(data.model_copy(update={"val_fraction": 0.0, "repeat": {}}))
    return list(found.training), found.remarks


def some_faces(data: DataConfig, count: int, seed: int) -> list[Record]:
    """Return up to ``count`` faces that can be cropped, drawn by ``seed``, in the data's order.

    Args:
        data: its sources, ``exclude`` and ``only`` count.
        count: of faces.
        seed: of the draw.

    Raises:
        UsageError: unknown data set, split or landmark set.
        FiduciaError: no face is left, or files that cannot be read.
    """
    everyone = load_records(data.source, data.split, data.scheme)
    records = exclude(everyone, data.exclude)
    if data.only:
        records = keep(records, data.only)
    if not records:
        left = f"data.exclude and data.only leave none of {len(everyone):,} faces; mend a pattern"
        none = f"no face in split {data.split!r}; run: fiducia data check {data.shown}"
        raise FiduciaError(f"{data.shown}: {left if everyone else none}")
    chosen: list[int] = []
    for i in np.random.default_rng(seed).permutation(len(records)).tolist():
        if fault_of(records[i], data.box_source) is None:
            chosen.append(i)
        if len(chosen) == count:
            break
    if not chosen:
        raise FiduciaError(f"{data.shown}: no face can be cropped; run: fiducia data check {data.shown}")
    return [records[i] for i in sorted(chosen)]


def stage_at(lengths: Sequence[int], epoch: int) -> int:
    """Return the number, from 0, of the stage that an epoch is in; the last one for those beyond the run's end.

    Args:
        lengths: epochs of each stage.
        epoch: of the whole run, from 1.
    """
    return min(int(np.searchsorted(np.cumsum(lengths), epoch)), len(lengths) - 1)
