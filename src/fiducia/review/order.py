"""The order in which faces are looked at: those first whose labels and predictions disagree most.

A prediction may be wrong too. Its expected error (:mod:`fiducia.calibration`) is what a disagreement is measured by, so
that a blurred face or a profile does not come before a wrong label in a clear one. And labels that lie elsewhere than
the face would give the network a crop without the face. So a detector is asked as well, and the better crop counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..data.shapes import MIN_FACES, align, median_face, oddness
from ..data.sizes import photo_size
from ..errors import FiduciaError, UsageError
from ..evaluation.found import Found
from ..evaluation.locate import find_at
from ..geometry import box_iou, tight_box
from ..predict.predictor import Predictor, load
from ..schemes.sets import SchemeError, conversion, get_scheme
from ..structures import Record

__all__ = ["Doubtful", "in_order", "predict"]

Array = npt.NDArray[np.float64]
Tell = Callable[[int, int], None]

_SAME_CROP = 0.6
"""From this intersection over union on, the labels' box and the detector's give the same crop."""
_MINE = 0.1
"""Below this intersection over union, a detected face is another one than the labels'."""
_BATCH = 32


@dataclass(frozen=True, eq=False)
class Doubtful:
    """A face and how much its labels are doubted.

    Attributes:
        index: its place in the data set.
        found: ``(K, 2)`` what the network says, in pixels of the image; nan = nothing.
        score: mean of the two largest point errors, each in units of what is usual at that point and of what is expected
            of this prediction; 1 = as usual, 0 = nothing known.
        points: the two worst points, worst first.
        quality: of the prediction in [0, 1]; nan = unknown.
        note: what keeps the face from being judged; empty = nothing.
    """

    index: int
    found: Array
    score: float
    points: tuple[int, ...]
    quality: float
    note: str = ""


def predict(
    records: Sequence[Record],
    weights: Sequence[str],
    device: str = "auto",
    on_progress: Tell | None = None,
    load_predictor: Callable[..., Predictor] = load,
) -> tuple[Found, dict[int, str]]:
    """Ask one network or several about every face; of several, the mean counts.

    Args:
        records: faces of one landmark set.
        weights: names or files, at least one.
        device: where the networks are computed.
        on_progress: called with faces done and faces in all.
        load_predictor: builds what is asked.

    Returns:
        what was found in the records' landmark set, and why a face could not be asked about, by its place.

    Raises:
        UsageError: weights of a landmark set that does not convert.
    """
    found: list[Found] = []
    notes: dict[int, str] = {}
    total = len(records) * len(weights)
    for turn, name in enumerate(weights):
        predictor = load_predictor(name, device=device)
        groups = _groups(name, predictor, records)
        mine = Found.nothing(len(records), len(groups))
        for start in range(0, len(records), _BATCH):
            for i, one in _ask(predictor, records, range(start, min(start + _BATCH, len(records))), notes):
                mine.put(i, _converted(one, groups))
            if on_progress is not None:
                on_progress(min(start + _BATCH, len(records)) + turn * len(records), total)
        found.append(mine)
    if len(found) == 1:
        return found[0], notes
    arrays = zip(*((one.xy, one.confidence, one.quality, one.sigma) for one in found), strict=True)
    return Found(*(_mean(np.stack(several)) for several in arrays)), notes


def in_order(records: Sequence[Record], found: Found | None, notes: dict[int, str]) -> list[Doubtful]:
    """Return the faces, the most doubtful first; those of which nothing is known last.

    Args:
        records: faces of one landmark set.
        found: as :func:`predict` gives it; None = judge by the shapes alone.
        notes: why a face could not be asked about.
    """
    truth = np.stack([record.xy for record in records])
    nothing = np.full(truth.shape, np.nan)
    xy = nothing if found is None else found.xy
    quality = np.full(len(records), np.nan) if found is None else found.quality
    scores, worst = _disagreement(truth, found) if found is not None else _shape_oddness(truth)
    return sorted(
        (
            Doubtful(
                index=i,
                found=xy[i],
                score=float(scores[i]),
                points=tuple(int(k) for k in worst[i] if np.isfinite(truth[i, k]).all()),
                quality=float(quality[i]),
                note=notes.get(i, ""),
            )
            for i in range(len(records))
        ),
        key=lambda one: (-one.score, one.index),
    )


def _disagreement(truth: Array, found: Found) -> tuple[Array, npt.NDArray[np.intp]]:
    """Return scores ``(N,)`` and the two worst points ``(N, 2)`` by predictions."""
    size = _sizes(truth)
    size = np.where(size > 0, size, _sizes(found.xy))
    size = np.where(size > 0, size, 1.0)[:, None]
    errors = np.linalg.norm(found.xy - truth, axis=2) / size
    # In units of the usual expected error, so that an easy face keeps its score and a hard one loses some of it.
    expected = np.nan_to_num(found.sigma / size, nan=0.0)
    known = expected[expected.max(axis=1) > 0]
    usual = np.maximum(np.median(known, axis=0), 1e-6) if len(known) else np.ones(truth.shape[1])
    return oddness(errors / np.maximum(expected / usual, 1.0))


def _shape_oddness(truth: Array) -> tuple[Array, npt.NDArray[np.intp]]:
    """Return the same by the distance from the median face; zeros for too few faces to have one."""
    if len(truth) < MIN_FACES:
        return np.zeros(len(truth)), np.zeros((len(truth), 2), dtype=np.intp)
    middle = median_face(truth)
    return oddness(np.linalg.norm(np.stack([align(xy, middle) for xy in truth]) - middle, axis=2))


def _sizes(points: Array) -> Array:
    """Return the root of each face's box area ``(N,)``; 0 where there is none."""
    high = np.where(np.isfinite(points), points, -np.inf).max(axis=1)
    low = np.where(np.isfinite(points), points, np.inf).min(axis=1)
    side = np.where(
        np.isfinite(high) & np.isfinite(low), np.nan_to_num(high, neginf=0) - np.nan_to_num(low, posinf=0), 0
    )
    return np.sqrt(np.maximum(side, 0).prod(axis=1))


def _groups(name: str, predictor: Predictor, records: Sequence[Record]) -> tuple[tuple[int, ...], ...]:
    """Return which of the network's points each point of the records is the mean of."""
    own, wanted = predictor.runtime.scheme, get_scheme(records[0].scheme)
    if own == wanted or (own.name == wanted.name and own.num_points == wanted.num_points):
        return tuple((k,) for k in range(own.num_points))
    try:
        return conversion(own, wanted)
    except SchemeError:
        raise UsageError(
            f"--weights {name}: they give {own.name} ({own.num_points} points) and the data has {wanted.name} "
            f"({wanted.num_points}); give weights of this landmark set, or --weights none to go by the shapes alone"
        ) from None


def _converted(one: Found, groups: tuple[tuple[int, ...], ...]) -> Found:
    """Return a face in the records' landmark set."""
    return Found(
        np.stack([one.xy[:, list(group)].mean(axis=1) for group in groups], axis=1),
        np.stack([one.confidence[:, list(group)].min(axis=1) for group in groups], axis=1),
        one.quality,
        np.stack([one.sigma[:, list(group)].max(axis=1) for group in groups], axis=1),
    )


def _ask(
    predictor: Predictor, records: Sequence[Record], part: range, notes: dict[int, str]
) -> list[tuple[int, Found]]:
    """Return what is found of some faces, of each in its better crop."""
    boxes: dict[int, list[Array]] = {}
    for i in part:
        if i in notes:
            continue
        if photo_size(records[i].image) is None:
            notes[i] = "the image is missing or cannot be read"
            continue
        try:
            boxes[i] = [tight_box(records[i].xy)]
        except ValueError:
            boxes[i] = []
    by_photo: dict[Path, list[int]] = {}
    for i in boxes:
        by_photo.setdefault(records[i].image, []).append(i)
    found: list[tuple[int, Found]] = []
    for faces in by_photo.values():
        try:
            _add_detected(predictor, records, faces, boxes)
        except FiduciaError as error:
            notes |= dict.fromkeys(faces, str(error))
    asked = [i for i in boxes if i not in notes and boxes[i]]
    for i in boxes:
        if i not in notes and not boxes[i]:
            notes[i] = "no face was found in the image, and the labels give no crop"
    try:
        answers = find_at(predictor, [records[i] for i in asked], [boxes[i] for i in asked])
    except FiduciaError:
        # One box or image that cannot be used: ask one by one.
        answers = []
        for i in list(asked):
            answers.append(_alone(predictor, records[i], boxes[i], notes, i))
    for i, answer in zip(asked, answers, strict=True):
        if len(answer.xy):
            found.append((i, _best(answer)))
    return found


def _alone(predictor: Predictor, record: Record, boxes: list[Array], notes: dict[int, str], index: int) -> Found:
    """Return what is found of one face in the boxes that lie in its image."""
    for chosen in (boxes, boxes[1:]):
        if not chosen:
            continue
        try:
            found = find_at(predictor, [record], [chosen])[0]
        except FiduciaError as error:
            notes[index] = str(error)
        else:
            notes.pop(index, None)  # of the labels' box, where the detector's did
            return found
    return Found.nothing(0, len(record.xy))


def _add_detected(
    predictor: Predictor, records: Sequence[Record], faces: Sequence[int], boxes: dict[int, list[Array]]
) -> None:
    """Add a detected box to each face of an image whose labels do not lie on it."""
    if predictor.detector is None:
        return
    detected = [np.asarray(one.box, dtype=np.float64) for one in predictor.find(records[faces[0]].image)[1]]
    if not detected:
        return
    overlap = {i: np.asarray(box_iou(boxes[i], detected))[0] if boxes[i] else np.zeros(len(detected)) for i in faces}
    taken = {int(overlap[i].argmax()) for i in faces if overlap[i].max() >= _SAME_CROP}
    for i in faces:
        best = int(overlap[i].argmax())
        if overlap[i][best] >= _SAME_CROP:
            continue
        if overlap[i][best] < _MINE:
            free = [n for n in range(len(detected)) if n not in taken]
            if not free:
                continue
            best = min(free, key=lambda n: _apart(boxes[i], detected[n]))
        boxes[i].append(detected[best])


def _apart(labelled: list[Array], box: Array) -> float:
    """Return how far two boxes' centres lie apart; smaller is larger where there are no labels."""
    if not labelled:
        return -float((box[2:] - box[:2]).prod())
    return float(np.linalg.norm(labelled[0].reshape(2, 2).mean(axis=0) - box.reshape(2, 2).mean(axis=0)))


def _best(answer: Found) -> Found:
    """Return the answer to one of a face's crops: the one of the best quality, else of the most confidence."""
    rank = np.where(np.isfinite(answer.quality), answer.quality, answer.confidence.mean(axis=1))
    best = slice(int(rank.argmax()), int(rank.argmax()) + 1)
    return Found(answer.xy[best], answer.confidence[best], answer.quality[best], answer.sigma[best])


def _mean(values: Array) -> Array:
    """Return the mean over the first axis, nan left out, in silence."""
    known = np.isfinite(values)
    total = np.where(known, values, 0).sum(axis=0)
    return np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan)
