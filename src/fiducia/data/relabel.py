"""Labels that a trained network has a share in, written as a data set of their own.

Two annotators place a contour's points differently along it, and a network trained on thousands of faces learns part of
that by heart. What a network says that saw the same faces is their labels with most of the noise averaged out. So the labels
can be moved a share of the way to a network's points (self-distillation), and before that to the style of one part of the
data set (:mod:`fiducia.data.styles`). All of it happens before training, which reads the result like any other labels.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import UsageError
from ..structures import Record
from .source import label_writers
from .styles import style_shifts

__all__ = ["relabel", "write_relabelled"]

Array = npt.NDArray[np.float64]


def relabel(
    records: Sequence[Record],
    predicted: npt.ArrayLike,
    share: float,
    *,
    style: str | None = None,
    gain: float = 1.0,
    keep: Collection[str] = (),
    weights: str = "",
    weights_sha256: str = "",
) -> list[Record]:
    """Move labels towards a network's points: ``(1 - share) * label + share * point``.

    Args:
        records: N faces of one landmark set.
        predicted: ``(N, K, 2)`` a network's points in photograph pixels, such as the mean of several networks with flip
            test-time augmentation; nan = not found.
        share: in [0, 1]: 0 = the labels as they are, 1 = the network's points alone.
        style: the part of the data set whose style labels and points are moved to first; None = none.
        gain: of the style, as in :func:`~fiducia.data.styles.style_shifts`.
        keep: ids of faces whose labels stay as they are, such as those held out for validation.
        weights: the network's name, and
        weights_sha256: the SHA-256 of its tensors, which the moved labels are marked with.

    Returns:
        the faces in their order. Points without a label, and labels without a prediction, stay as they are. Faces whose
        labels were moved are marked: tags ``source`` (``semi-auto``, or ``auto`` where the share is 1), ``weights``,
        ``weights_sha256`` and ``relabel``.

    Raises:
        UsageError: a share outside [0, 1], predictions of another shape, or no face of the style.
    """
    if not 0.0 <= share <= 1.0:
        raise UsageError(f"share = {share}; expected 0 (the labels) to 1 (the network's points)")
    if not records:
        return []
    labels = np.stack([record.xy for record in records]).astype(np.float64)
    found = np.asarray(predicted, dtype=np.float64)
    if found.shape != labels.shape:
        raise UsageError(
            f"predictions of shape {found.shape} for labels of shape {labels.shape}; expected one point for each label: is "
            "the network of another landmark set?"
        )
    moved = labels
    if style is not None:
        of_labels, of_found = style_shifts(records, found, style, gain)
        moved, found = labels + of_labels, found + of_found
    moved = np.where(np.isfinite(found), (1 - share) * moved + share * found, moved)
    facts: dict[str, Any] = {"share": share, **({} if style is None else {"style": style, "gain": gain})}
    made = {
        "source": "auto" if share == 1.0 else "semi-auto",
        "weights": weights,
        "weights_sha256": weights_sha256,
        "relabel": facts,
    }
    return [
        record
        if record.id in keep or np.array_equal(xy, record.xy, equal_nan=True)
        else replace(record, xy=xy, tags={**record.tags, **{key: value for key, value in made.items() if value}})
        for record, xy in zip(records, moved, strict=True)
    ]


def write_relabelled(path: str | Path, records: Sequence[Record], form: str) -> None:
    """Write faces as a data set that training reads like any other.

    Args:
        path: a file for ``coco``, ``csv`` and ``cvat``, which name the photographs where they are; a directory for ``pts``,
            which copies them.
        records: faces of one landmark set.
        form: a name of :data:`fiducia.data.source.label_writers`.

    Raises:
        UsageError: an unknown format.
        FiduciaError: no face, an unlabelled point where the format cannot say so, or a place that cannot be written.
    """
    label_writers.get(form, "--to: ")(Path(path), records)
