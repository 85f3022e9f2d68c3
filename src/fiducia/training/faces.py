"""Which faces a run trains on, and which it is validated on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..augment.views import plain_crop
from ..data.source import carve, exclude, keep, load_records
from ..data.usable import usable
from ..errors import FiduciaError
from ..geometry import affine_apply
from ..recipes.sections import DataConfig
from ..schemes.sets import Scheme, get_scheme
from ..structures import Record

__all__ = ["RunFaces", "mean_face", "split_records"]


@dataclass(frozen=True, kw_only=True)
class RunFaces:
    """The faces of a run.

    Attributes:
        training: faces to train on.
        validation: faces held out, drawn by image.
        scheme: their landmark set.
        remarks: lines for the user: what the reader assumed, and how many faces were skipped and why.
    """

    training: list[Record]
    validation: list[Record]
    scheme: Scheme
    remarks: list[str]


def split_records(data: DataConfig) -> RunFaces:
    """Read a recipe's faces, skip those that cannot be cropped, and draw the validation faces by image.

    Raises:
        FiduciaError: no face is left, or the faces are of several landmark sets.
    """
    found = load_records(data.source, data.split, data.scheme)
    remaining = exclude(found, data.exclude)
    if found and not remaining:
        raise FiduciaError(f"{data.source}: data.exclude leaves none of {len(found):,} faces; take a pattern out of it")
    if not remaining:
        raise FiduciaError(f"{data.source}: no face in split {data.split!r}; run: fiducia data check {data.source}")
    records, skipped = usable(remaining, data.box_source)
    if not records:
        raise FiduciaError(f"{data.source}: no face can be cropped: {skipped[0]}")
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
    scheme = get_scheme(names[0])
    return RunFaces(training=training, validation=validation, scheme=scheme, remarks=[*found.remarks, *skipped])


def mean_face(records: Sequence[Record], data: DataConfig) -> Tensor | None:
    """Return the mean of the plain crops' landmarks, float32 ``(K, 2)`` fractions of the crop's side: f is crop pixel ``f * S``.

    None where some landmark is labelled in no face.
    """
    crops = np.stack([affine_apply(plain_crop(record, data), record.xy) for record in records])
    labelled = np.isfinite(crops).all(-1, keepdims=True)
    count = labelled.sum(0)
    if not count.all():
        return None
    mean = np.where(labelled, crops, 0.0).sum(0) / count
    return torch.tensor(mean / data.side, dtype=torch.float32)
