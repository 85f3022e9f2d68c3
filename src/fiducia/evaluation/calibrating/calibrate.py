"""Weights and faces → the same weights with a calibration in their card, and how well it holds on other photographs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...calibration import Calibration, judge
from ...calibration.features import face_sizes
from ...calibration.fitting import Trials, fit_calibration
from ...errors import FiduciaError
from ...faces import Face
from ...geometry import box_iou, tight_box
from ...metrics.trust import expected_gap, risk_coverage, roc_area
from ...predict.inputs import open_photo
from ...predict.predictor import Predictor, load
from ...schemes.sets import Scheme
from ...structures import Record
from ...weights.card import WeightCard
from ...weights.store import read_card, read_weights, save_weights
from ..locate import MATCH_IOU
from .looks import PLAIN, draw_looks

__all__ = ["Calibrated", "calibrate_weights", "check_calibration", "collect_trials", "detected_faces"]

Array = npt.NDArray[np.float64]
_UNIT = 0.6
"""Inter-ocular distance in sizes of a face, where the landmark set has none."""
_WEIGHT = {"detected": 1.5, "box": 1.5}
"""In the fit of the quality, looks as detectors give them count for more than the others, which have ..."""
_OTHER = 0.7
"""... this weight."""


@dataclass(frozen=True, eq=False)
class Calibrated:
    """What came of it: the calibration, the card that now holds it, and the check's figures."""

    calibration: Calibration
    card: WeightCard
    check: dict[str, Any]


def calibrate_weights(
    weights: str | Path,
    out: Path,
    groups: Mapping[str, Sequence[Record]],
    *,
    held_out: float = 0.5,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> Calibrated:
    """Fit what the confidence of some weights is worth, and write them with it in their card.

    Args:
        weights: named as in :func:`fiducia.weights.places.find_weights`.
        out: the file to write; it may be the same one.
        groups: name of a data set → its faces, in the weights' landmark set; the weights were not trained on them.
        held_out: share of the photographs that fit nothing, and give the check's figures; above 0, below 1.
        seed: of the drawing.
        on_progress: called after each face with the number done and of all.

    Raises:
        UsageError: no such weights.
        FiduciaError: damaged weights, too few faces, or a photograph that cannot be read.
    """
    state, card = read_weights(weights)
    predictor = load(weights, detector="auto", device="cpu", runtime="torch")
    predictor.calibration = None
    records = [record for group in groups.values() for record in group]
    told = [one for group in groups.values() for one in [any((r.visible < 2).any() for r in group)] * len(group)]
    trials, kinds, owner = collect_trials(predictor, records, told, seed, on_progress)
    photos = sorted({record.image.as_posix() for record in records})
    chosen = set(np.random.default_rng(seed).permutation(len(photos))[: round(held_out * len(photos))].tolist())
    away = {photo for i, photo in enumerate(photos) if i in chosen}
    held = np.array([records[i].image.as_posix() in away for i in owner])
    unit = _unit(records, predictor.runtime.scheme)
    faces = len({int(i) for i, out_ in zip(owner, held, strict=True) if not out_})
    try:
        calibration = fit_calibration(trials.take(~held), unit=unit, data="; ".join(groups), faces=faces)
    except ValueError as error:
        raise FiduciaError(f"{weights}: cannot be calibrated: {error}") from error
    check = check_calibration(calibration, trials.take(held), kinds[held])
    half = any(value.dtype.itemsize == 2 for value in state.values() if value.is_floating_point())
    save_weights(out, state, card.model_copy(update={"calibration": calibration}), half=half)
    return Calibrated(calibration, read_card(out), check)


def collect_trials(
    predictor: Predictor,
    records: Sequence[Record],
    told: Sequence[bool],
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[Trials, npt.NDArray[np.str_], npt.NDArray[np.int64]]:
    """Look at every face in several ways.

    Args:
        predictor: with a detector.
        records: N faces of the predictor's landmark set.
        told: of each face, whether its labels tell visible from hidden points.
        seed: of the drawing.
        on_progress: called after each face with the number done and of all.

    Returns:
        the looks, the kind of each, and the place of its face among the records.
    """
    rows: list[tuple[Face, Array, npt.NDArray[np.int8], str, int]] = []
    for i, (record, found) in enumerate(zip(records, detected_faces(predictor, records), strict=True)):
        if found is not None:
            rows.append((found, record.xy, record.visible, "detected", i))
        image = open_photo(record.image).image
        looks = draw_looks(np.random.default_rng((seed, i)), i, image, record.xy)
        answers = predictor([look.image for look in looks], boxes=[[look.box] for look in looks])
        rows += [
            (faces[0], look.truth, np.where(look.covered & (record.visible == 2), 1, record.visible), look.kind, i)
            for look, faces in zip(looks, answers, strict=True)
        ]
        if on_progress is not None:
            on_progress(i + 1, len(records))
    if not rows:
        raise FiduciaError("no face to calibrate by")
    faces, truth, visible, kinds, owner = zip(*rows, strict=True)
    trials = Trials(
        xy=np.stack([face.xy for face in faces]).astype(np.float64),
        confidence=np.stack([face.confidence for face in faces]).astype(np.float64),
        boxes=np.stack([face.box for face in faces]).astype(np.float64),
        truth=np.stack(truth),
        visible=np.stack(visible),
        told=np.array([told[i] for i in owner], dtype=bool),
        weight=np.array([_WEIGHT.get(kind, _OTHER) for kind in kinds]),
        plain=np.isin(kinds, PLAIN),
    )
    return trials, np.array(kinds), np.array(owner, dtype=np.int64)


def check_calibration(calibration: Calibration, trials: Trials, kinds: npt.NDArray[np.str_]) -> dict[str, Any]:
    """Return figures of a calibration on looks at other photographs.

    Returns:
        ``quality``: for all looks and for detected faces, their number, the share that ``failed`` in percent, the
        ``roc_area`` of failures, and ``risk``, as :func:`fiducia.metrics.trust.risk_coverage` gives it; ``sigma``: for
        detected and for hidden faces what :func:`fiducia.metrics.trust.expected_gap` gives, in percent of the unit.
    """
    told = judge(calibration, trials.xy, trials.confidence, trials.boxes)
    failed = trials.face_errors(calibration.unit) > calibration.limit
    errors = 100 * trials.errors(calibration.unit)
    check: dict[str, Any] = {"quality": {}, "sigma": {}}
    for name, chosen in (("all", np.ones(len(kinds), bool)), ("detected", kinds == "detected")):
        if chosen.any():
            check["quality"][name] = {
                "looks": int(chosen.sum()),
                "failed": 100 * float(failed[chosen].mean()),
                "roc_area": roc_area(told.quality[chosen], failed[chosen]),
                "risk": risk_coverage(told.quality[chosen], failed[chosen]),
            }
    for name in ("detected", "hidden", "worse"):
        gap = expected_gap(told.relative[kinds == name], errors[kinds == name])
        if gap is not None:
            check["sigma"][name] = gap
    return check


def detected_faces(predictor: Predictor, records: Sequence[Record]) -> Iterator[Face | None]:
    """Yield the detected face of each record, or None where the detector does not find it."""
    for record in records:
        faces = predictor(record.image)
        overlap = box_iou([tight_box(record.xy)], [face.box for face in faces])[0] if faces else np.zeros(0)
        best = int(overlap.argmax()) if len(overlap) else -1
        yield faces[best] if best >= 0 and overlap[best] >= MATCH_IOU else None


def _unit(records: Sequence[Record], scheme: Scheme) -> float:
    """Return the inter-ocular distance of a face in sizes of its box: the median over faces of which all points are visible."""
    ends = scheme.inter_ocular
    whole = [record.xy for record in records if (record.visible == 2).all() and np.isfinite(record.xy).all()]
    if ends is None or not whole:
        return _UNIT
    xy = np.stack(whole)
    return float(np.median(np.linalg.norm(xy[:, ends[0]] - xy[:, ends[1]], axis=1) / face_sizes(xy)))
