"""Labels that a trained network has a share in: self-distillation against the noise of annotators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..recipes.sections import DataConfig
from ..structures import Record
from ..errors import UsageError
from ..evaluation.locate import Settings, find_points
from .styles import label_shifts

__all__ = ["blend_labels"]


def blend_labels(records: Sequence[Record], data: DataConfig, device: str = "cpu") -> list[Record]:
    """Move the labels of training faces a share of the way to what other weights find, with the flip test; first to one style.

    Two annotators place a contour's points differently along it, and a network trained on thousands of faces learns part of
    that by heart. What a network says that saw the same faces is their labels with most of the noise averaged out. Held-out and
    test faces keep theirs. With ``data.style`` the labels of the other parts, and the teachers' points, are moved to the style
    of the part of that name before (:func:`~fiducia.training.styles.label_shifts`).

    Args:
        records: training faces of one landmark set.
        data: ``teacher``, whose points are averaged, ``teacher_share`` in [0, 1], ``style`` and ``style_gain``; its crops are
            ``box_source``'s.
        device: where the teachers run.

    Returns:
        the records with new ``xy``; points without a label, and labels without an answer, stay as they are.

    Raises:
        UsageError: no such weights, weights of another landmark set, a style without a teacher or without faces.
        FiduciaError: a photograph that cannot be read.
    """
    if data.style is not None and not data.teacher:
        raise UsageError("data.style: styles are told by a network's points; name weights in data.teacher too")
    if not data.teacher or not records:
        return list(records)
    answers = []
    for name in data.teacher:
        predictor = Settings(weights=name, flip=True).predictor(device)
        if predictor.runtime.scheme.name != records[0].scheme:
            raise UsageError(
                f"data.teacher: {name} finds {predictor.runtime.scheme.name}, the faces have {records[0].scheme}"
            )
        answers.append(find_points(predictor, records, data.box_source))
    found = np.mean(answers, axis=0)
    share = data.teacher_share
    labels = [record.xy for record in records]
    if data.style is not None:
        of_labels, of_found = label_shifts(records, found, data.style, data.style_gain)
        labels = [xy + shift for xy, shift in zip(labels, of_labels, strict=True)]
        found = found + of_found
    return [
        replace(record, xy=np.where(np.isfinite(own), (1 - share) * xy + share * own, xy))
        for record, xy, own in zip(records, labels, found, strict=True)
    ]
