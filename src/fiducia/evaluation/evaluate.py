"""Evaluation: trained weights and annotated faces in, figures with their protocol out.

Points are compared in the photograph's pixels with the unrounded annotation. The crop comes from the annotated face,
as in nearly every published table, or from a face detector, as for a user; the stamp says which.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..data.source import exclude, find_dataset, load_records
from ..data.usable import usable
from ..detectors.registry import DEFAULT
from ..errors import FiduciaError
from ..files import text_bytes
from ..metrics.errors import NORMALISERS
from ..metrics.figures import FaceScores, figures, point_nme, region_errors, reliability, score, without_nan
from ..metrics.protocol import Protocol
from ..metrics.trust import expected_gap, risk_coverage, roc_area
from ..runtimes.opening import computed_by, read_card
from ..schemes.sets import Scheme, convert
from ..structures import Record
from ..weights.card import card_scheme
from ..weights.places import load_saved_plugins
from .locate import MATCH_IOU, Settings, find_points, find_shared
from .plan import make_plan
from .subsets import default_split, require_parts, subsets
from .sweep import box_sweep, summary

Array = npt.NDArray[np.float64]

_SELECTIONS = {"ema": "last epoch", "last": "last epoch", "best": "best on validation"}
"""``which`` of a run's weights → how the epoch was chosen; averages, ensembles and converted weights do not say."""

__all__ = ["MATCH_IOU", "Evaluation", "Settings", "evaluate", "evaluate_faces", "find_points", "judge"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """A result, and the faces behind it.

    Attributes:
        result: what ``--json`` prints.
        protocol: the stamp.
        records: N faces, in the landmark set that was scored.
        found: ``(N, K, 2)`` predicted points in photograph pixels; nan = not found.
        confidence: ``(N, K)`` in [0, 1]; nan = not found; None where nobody asked the network.
        scores: per-face errors.
        scheme: the landmark set that was scored.
        lead: False in the processes of a torchrun other than the first, which should stay silent.
        remarks: lines for the user: what the reader assumed, and how many faces were skipped and why.
    """

    result: dict[str, Any]
    protocol: Protocol
    records: list[Record]
    found: Array
    scores: FaceScores
    scheme: Scheme
    confidence: Array | None = None
    lead: bool = True
    remarks: list[str] = field(default_factory=list)

    @property
    def kind(self) -> Literal["ic", "box"]:
        """The normaliser that faces are ranked by: between the outer eye corners, or the box where there are no eyes."""
        return "ic" if "ic" in self.scores.nme else "box"

    @property
    def masks(self) -> dict[str, npt.NDArray[np.bool_]]:
        """The named subsets, as masks ``(N,)``."""
        return subsets(self.protocol.data, self.records)

    def faces_csv(self) -> bytes:
        """Return one row for each face: id, photograph, part, whether it was found, errors in percent."""
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(["id", "image", "part", "detected", *(f"nme_{kind}" for kind in NORMALISERS)])
        for i, record in enumerate(self.records):
            values = [self.scores.nme[kind][i] if kind in self.scores.nme else np.nan for kind in NORMALISERS]
            shown = ["" if np.isnan(v) else f"{100 * v:.6f}" for v in values]
            part = str(record.tags.get("part", ""))
            rows.writerow([record.id, record.image.as_posix(), part, int(self.scores.found[i]), *shown])
        return text_bytes(text.getvalue())


def evaluate(weights: str | Path, source: str, split: str | None = None, **options: Any) -> dict[str, Any]:
    """Evaluate weights on a split of a data set, and return the figures with their protocol, ready for JSON.

    Args:
        weights: a shipped name, a safetensors file or a run's directory.
        source: ``NAME:ROOT``.
        split: None = the test split.
        **options: of ``fiducia evaluate``, such as ``detector``, ``flip``, ``decode``, ``scheme``, ``box``.

    Returns:
        Figures in percent, None where the landmark set cannot have one; ``protocol`` says how they were measured.

    Raises:
        UsageError: unknown names, or landmark sets that cannot be converted into each other.
        FiduciaError: an image that cannot be read, a part of the split that is absent, or no face.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     result = evaluate("fifa_tiny", f"synthetic:8@{folder}", "test", device="cpu")
        >>> result["faces"], result["nme_ic"] < 20, result["protocol"]["crop_source"]
        (2, True, 'landmarks')
    """
    return evaluate_faces(Settings(weights=str(weights), **_settings(options)), source, split, **options).result


def evaluate_faces(
    settings: Settings,
    source: str,
    split: str | None = None,
    *,
    scheme: str | None = None,
    leave_out: Sequence[str] = (),
    box: Literal["auto", "landmarks", "dataset"] = "auto",
    check: Callable[[Protocol, list[str]], None] | None = None,
    robustness: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Measure weights on a split of a data set.

    Args:
        settings: weights, and how they are run.
        source: ``NAME:ROOT``.
        split: None = the test split.
        scheme: read the data in this landmark set.
        leave_out: glob patterns on a face's id.
        box: which box ``nme_box`` and ``nme_diag`` divide by; ``auto`` = the annotated one on AFLW, else the tight box
            of the true points.
        check: called with the stamp and the faces' ids before the network is run, to refuse by raising.
        robustness: measure with moved and scaled boxes too, in 29 times the time.
        on_progress: called with photographs done and photographs in all.

    Raises:
        UsageError: unknown names, or landmark sets that cannot be converted into each other.
        FiduciaError: a photograph that cannot be read, a part of the split that is absent, or no face.
    """
    load_saved_plugins(settings.weights)
    spec, root = find_dataset(source)
    split = split or default_split(spec)
    read = load_records(source, split, scheme)
    require_parts(spec.name, root, split, read)
    remaining = exclude(read, leave_out)
    if read and not remaining:
        raise FiduciaError(f"{source}: --exclude leaves none of {len(read):,} faces; take a pattern out of it")
    if not remaining:
        raise FiduciaError(f"{source}: no face in split {split!r}; run: fiducia data check {source}")
    card = read_card(settings.weights)
    records, skipped = usable(remaining, card.box_source)
    if not records:
        raise FiduciaError(f"{source}: no face can be cropped: {skipped[0]}")
    own = card_scheme(card)
    stamp = {
        "data": spec.name,
        "split": split,
        "official": spec.counts.get(split),
        "excluded": tuple(leave_out),
        "crop_source": "detector" if settings.detector else card.box_source,
        "crop_scale": card.scale,
        "detector": DEFAULT if settings.detector == "auto" else settings.detector,
        "detector_iou": MATCH_IOU if settings.detector else None,
        "flip_test": settings.flips(card),
        "second_pass": bool(settings.detector) and settings.second_pass,
        "decode": settings.decoder(card),
        "size": card.size,
        "which": card.which,
        "selection": _SELECTIONS.get(card.which),
        "weights": settings.label(card),
        "weights_sha256": card.sha256 or None,
        "runtime": computed_by(settings.weights, settings.runtime, settings.device, decode=settings.decode),
    }
    # What cannot be scored or compared is refused before hours are spent on it.
    plan = make_plan(records, own, stamp, box)
    if check is not None:
        check(plan.protocol, [record.id for record in records])
    found, lead = find_shared(settings, records, card.box_source, on_progress)
    told = {"confidence": found.confidence, "quality": found.quality, "sigma": found.sigma}
    done = judge(records, found.xy, own, **told, lead=lead, box=box, stamp=stamp)
    done.result["skipped"] = len(remaining) - len(records)
    done.remarks.extend([*read.remarks, *skipped])
    if robustness and lead:
        sweep = box_sweep(settings, records, card.box_source)
        done.result["robustness"] = without_nan(
            summary([judge(records, xy, own, box=box, stamp=stamp).result[f"nme_{done.kind}"] for xy in sweep])
        )
    return done


def judge(
    records: Sequence[Record],
    found: Array,
    own: Scheme,
    *,
    stamp: dict[str, Any],
    confidence: Array | None = None,
    quality: Array | None = None,
    sigma: Array | None = None,
    box: str = "auto",
    lead: bool = True,
) -> Evaluation:
    """Score predicted points against the annotation and stamp the result.

    Args:
        records: N annotated faces of one landmark set.
        found: ``(N, K, 2)`` predicted points in photograph pixels; nan = not found.
        own: the landmark set of ``found``; it or the annotation is converted where they differ.
        stamp: the fields of :class:`~fiducia.metrics.protocol.Protocol` that only the caller knows.
        confidence: ``(N, K)`` of ``found``, where it is known.
        quality: ``(N,)`` of the faces; nan = not known.
        sigma: ``(N, K)`` expected errors of ``found`` in photograph pixels; nan = not known.
        box: as in :func:`evaluate_faces`.
        lead: as in :class:`Evaluation`.

    Raises:
        UsageError: the landmark sets cannot be converted, or ``box = "dataset"`` where the data set has none.
    """
    plan = make_plan(records, own, stamp, box)
    if plan.groups is not None:
        found = convert(found, own, plan.scheme)
        confidence, sigma = (
            None if v is None else np.stack([v[:, list(group)].mean(axis=1) for group in plan.groups], axis=1)
            for v in (confidence, sigma)
        )
    truth = np.stack([record.xy for record in plan.records])
    scores = score(found, truth, plan.scheme, plan.boxes)
    kind = "ic" if "ic" in scores.nme else "box"
    result = figures(scores)
    result["regions"] = region_errors(scores, plan.scheme, kind)
    result["points"] = point_nme(scores, plan.scheme, kind)
    if confidence is not None:
        result["reliability"] = reliability(confidence, 100 * scores.points / scores.lengths[kind][:, None])
    if quality is not None and sigma is not None and np.isfinite(quality).any():
        result["trust"] = _trust(quality, 100 * sigma / scores.lengths[kind][:, None], scores, kind)
    masks = subsets(plan.protocol.data, plan.records)
    result["subsets"] = {name: figures(scores, mask) for name, mask in masks.items()}
    result["protocol"] = plan.protocol.model_dump(mode="json")
    return Evaluation(
        result=without_nan(result),
        protocol=plan.protocol,
        records=plan.records,
        found=found,
        scores=scores,
        scheme=plan.scheme,
        confidence=confidence,
        lead=lead,
    )


def _trust(quality: Array, sigma: Array, scores: FaceScores, kind: str) -> dict[str, Any]:
    """Return how far the quality foresees faces with an NME above 8 %, and how near expected errors are to actual ones."""
    there = np.isfinite(quality) & np.isfinite(scores.nme[kind])
    failed = scores.nme[kind][there] > 0.08
    return {
        "limit": 8.0,
        "roc_area": roc_area(quality[there], failed),
        "risk": risk_coverage(quality[there], failed) if there.any() else [],
        "sigma": expected_gap(sigma, 100 * scores.points / scores.lengths[kind][:, None]),
    }


def _settings(options: dict[str, Any]) -> dict[str, Any]:
    """Take the settings' own keys out of ``options``."""
    return {key: options.pop(key) for key in list(options) if key in Settings.__dataclass_fields__ and key != "weights"}
