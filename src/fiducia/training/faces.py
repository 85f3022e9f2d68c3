"""Which faces a run trains on, and which it is validated on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..augment.views import plain_crop
from ..data.dataset import FaceDataset, Supply, Views
from ..data.source import carve, exclude, find_dataset, keep, load_records
from ..data.stream import FaceStream
from ..data.streamed import StreamedFaces
from ..data.usable import usable
from ..errors import FiduciaError
from ..geometry import affine_apply
from ..recipes.sections import DataConfig, TrainConfig
from ..schemes.sets import Scheme, get_scheme
from ..structures import Record
from .choosing import choose, dressed

__all__ = ["RunFaces", "faces_of_stages", "mean_face", "split_records", "training_supply"]

_MOST_FOR_MEAN = 100_000


@dataclass(frozen=True, kw_only=True)
class RunFaces:
    """The faces of a run.

    Attributes:
        training: faces to train on; of a run that streams they are not in memory.
        validation: faces held out, drawn by image.
        scheme: their landmark set.
        remarks: lines for the user: what the reader assumed, and how many faces were skipped and why.
    """

    training: Sequence[Record]
    validation: list[Record]
    scheme: Scheme
    remarks: list[str]


def split_records(data: DataConfig) -> RunFaces:
    """Read a recipe's faces, skip those that cannot be cropped, and draw the validation faces by image.

    Of several sources each is split by itself, so a source's validation faces are the same alone and beside others. Every
    face is tagged with its ``source`` and, where the reader tells no ``collection``, with the source's name as that.

    Raises:
        FiduciaError: no face is left, or the faces are of several landmark sets.
    """
    if any(find_dataset(source)[0].blocks is not None for source in data.sources):
        return _streamed(data)
    parts = [_split(data, source) for source in data.sources]
    training = [record for part in parts for record in part.training]
    validation = [record for part in parts for record in part.validation]
    remarks = [line for part in parts for line in part.remarks]
    names = sorted({part.scheme.name for part in parts})
    if len(names) > 1:
        raise _several(data.shown, names)
    if data.only and not training:
        raise FiduciaError(f"{data.shown}: data.only matches no face; mend a pattern")
    remarks += _absent(data, {str(record.tags["collection"]) for record in training})
    repeated = [r for r in training for _ in range(data.repeat.get(str(r.tags["collection"]), 1))]
    return RunFaces(training=repeated, validation=validation, scheme=parts[0].scheme, remarks=remarks)


def faces_of_stages(faces: RunFaces, run: DataConfig, stages: Sequence[DataConfig]) -> list[RunFaces]:
    """Return the faces of every stage: those of the run where a stage chooses no others by ``data.only`` and ``data.repeat``.

    The validation split is drawn before either, so no stage trains on another's validation faces.

    Args:
        faces: of the run, from :func:`split_records`.
        run: the run's section.
        stages: the section of each stage, in order.

    Raises:
        FiduciaError: a stage is left without a face.
    """
    found = [(_choice(run), faces)]
    chosen: list[RunFaces] = []
    for number, data in enumerate(stages, start=1):
        same = next((kept for choice, kept in found if choice == _choice(data)), None)
        if same is None:
            try:
                same = split_records(data)
            except FiduciaError as error:
                raise FiduciaError(f"stage {number}: {error}") from error
            found.append((_choice(data), same))
        chosen.append(same)
    return chosen


def _choice(data: DataConfig) -> tuple[tuple[str, ...], dict[str, int]]:
    """Return what a stage may choose of the run's faces."""
    return data.only, data.repeat


def _streamed(data: DataConfig) -> RunFaces:
    """Return the faces of sources of which one at least is read in blocks; the others' faces are blocks in memory."""
    chosen = [choose(data, source) for source in data.sources]
    names = sorted({one.scheme for one in chosen})
    if len(names) > 1:
        raise _several(data.shown, names)
    training = StreamedFaces([part for one in chosen for part in one.training])
    if not len(training):
        raise FiduciaError(f"{data.shown}: data.only matches no face; mend a pattern")
    absent = _absent(data, set().union(*(one.collections for one in chosen)))
    return RunFaces(
        training=training,
        validation=[record for one in chosen for record in one.validation],
        scheme=get_scheme(names[0]),
        remarks=[*(line for one in chosen for line in one.remarks), *absent],
    )


def _absent(data: DataConfig, known: set[str]) -> list[str]:
    """Return a line where ``data.repeat`` names collections that the sources lack: a slip, or a recipe for more sources."""
    names = [name for name in data.repeat if name not in known]
    if not names:
        return []
    return [
        f"{data.shown}: no face of {' or '.join(names)} to repeat; the training faces are of {', '.join(sorted(known))}"
    ]


def training_supply(faces: Sequence[Record], views: Views, data: DataConfig, train: TrainConfig) -> Supply:
    """Return where the run's batches come from.

    Args:
        faces: to train on.
        views: what is made of each.
        data: how much is kept in memory.
        train: seed and workers.
    """
    if isinstance(faces, StreamedFaces):
        return FaceStream(faces, views, seed=train.seed, buffer=data.shuffle_buffer, lanes=data.interleave)
    dataset = FaceDataset(faces, views, seed=train.seed, cache=data.cache)
    if train.workers > 0 and data.cache:
        dataset.fill()  # workers inherit it; what they would read themselves is forgotten after every epoch
    return dataset


def _split(data: DataConfig, source: str) -> RunFaces:
    """Return the faces of one source."""
    found = load_records(source, data.split, data.scheme)
    remaining = exclude(found, data.exclude)
    if found and not remaining:
        raise FiduciaError(f"{source}: data.exclude leaves none of {len(found):,} faces; take a pattern out of it")
    if not remaining:
        raise FiduciaError(f"{source}: no face in split {data.split!r}; run: fiducia data check {source}")
    records, skipped = usable(remaining, data.box_source)
    if not records:
        raise FiduciaError(f"{source}: no face can be cropped: {skipped[0]}")
    names = sorted({record.scheme for record in records})
    if len(names) > 1:
        raise _several(source, names)
    records = dressed(records, source, data.together)
    training, validation = carve(records, data.val_fraction, data.val_seed)
    if data.only:
        training, validation = keep(training, data.only), keep(validation, data.only)
        if not training and len(data.sources) == 1:
            raise FiduciaError(f"{source}: data.only matches none of {len(records):,} faces; mend a pattern")
    if data.limit is not None:
        training, validation = training[: data.limit], validation[: data.limit]
    remarks = [*found.remarks, *skipped]
    return RunFaces(training=training, validation=validation, scheme=get_scheme(names[0]), remarks=remarks)


def mean_face(records: Sequence[Record], data: DataConfig) -> Tensor | None:
    """Return the mean of the plain crops' landmarks, float32 ``(K, 2)`` fractions of the crop's side: f is crop pixel ``f * S``.

    Of more than 100,000 faces as many are taken, evenly spaced. None where some landmark is labelled in none of them.
    """
    step = -(-len(records) // _MOST_FOR_MEAN)
    crops = np.stack([affine_apply(plain_crop(record, data), record.xy) for record in records[::step]])
    labelled = np.isfinite(crops).all(-1, keepdims=True)
    count = labelled.sum(0)
    if not count.all():
        return None
    mean = np.where(labelled, crops, 0.0).sum(0) / count
    return torch.tensor(mean / data.side, dtype=torch.float32)


def _several(source: str, names: Sequence[str]) -> FiduciaError:
    return FiduciaError(f"{source}: faces of several landmark sets ({', '.join(names)}); train on one at a time")
