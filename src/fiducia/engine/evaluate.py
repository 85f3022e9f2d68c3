"""Evaluation: trained weights and annotated faces in, figures with their protocol out.

Points are compared in the photograph's pixels with the unrounded annotation. The crop comes from the annotated face,
as in nearly every published table, or from a face detector, as for a user; the stamp says which.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .._version import __version__
from ..data.source import exclude, find_dataset, load_records, to_scheme
from ..metrics.errors import NORMALISERS
from ..metrics.figures import FaceScores, figures, region_errors, score, without_nan
from ..metrics.protocol import Protocol, normaliser_indices
from ..predict.detector import DEFAULT
from ..predict.runtime import card_scheme, read_card
from ..schemes import Scheme, SchemeError, convert, get_scheme
from ..structures import FiduciaError, Record, UsageError
from .locate import MATCH_IOU, Settings, find_points, find_shared
from .subsets import default_split, require_parts, subsets

Array = npt.NDArray[np.float64]

__all__ = ["MATCH_IOU", "Evaluation", "Settings", "evaluate", "evaluate_faces", "find_points", "judge"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """A result, and the faces behind it.

    Attributes:
        result: what ``--json`` prints.
        protocol: the stamp.
        records: N faces, in the landmark set that was scored.
        found: ``(N, K, 2)`` predicted points in photograph pixels; nan = not found.
        scores: per-face errors.
        scheme: the landmark set that was scored.
        lead: False in the processes of a torchrun other than the first, which should stay silent.
    """

    result: dict[str, Any]
    protocol: Protocol
    records: list[Record]
    found: Array
    scores: FaceScores
    scheme: Scheme
    lead: bool = True

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
        return text.getvalue().encode()


def evaluate(weights: str | Path, source: str, split: str | None = None, **options: Any) -> dict[str, Any]:
    """Return the figures of :func:`evaluate_faces` alone, ready for JSON: percent, null where there is none."""
    return evaluate_faces(Settings(weights=str(weights), **_settings(options)), source, split, **options).result


def evaluate_faces(
    settings: Settings,
    source: str,
    split: str | None = None,
    *,
    scheme: str | None = None,
    leave_out: Sequence[str] = (),
    box: Literal["auto", "landmarks", "dataset"] = "auto",
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

    Raises:
        UsageError: unknown names, or landmark sets that cannot be converted into each other.
        FiduciaError: a photograph that cannot be read, a part of the split that is absent, or no face.
    """
    spec, root = find_dataset(source)
    split = split or default_split(spec)
    records = load_records(source, split, scheme)
    require_parts(spec.name, root, split, records)
    records = exclude(records, leave_out)
    if not records:
        raise FiduciaError(f"{source}: no face in split {split!r}; run: fiducia data check {source}")
    card = read_card(settings.weights)
    own = card_scheme(card)
    _check_schemes(records, own)
    found, lead = find_shared(settings, records, card.box_source)
    return judge(
        records,
        found,
        own,
        lead=lead,
        box=box,
        stamp={
            "data": spec.name,
            "split": split,
            "official": spec.counts.get(split),
            "excluded": tuple(leave_out),
            "crop_source": "detector" if settings.detector else card.box_source,
            "crop_scale": card.scale,
            "detector": DEFAULT if settings.detector == "auto" else settings.detector,
            "detector_iou": MATCH_IOU if settings.detector else None,
            "second_pass": bool(settings.detector) and settings.second_pass,
            "decode": settings.decode or card.decode,
            "size": card.size,
            "weights": card.name,
            "weights_sha256": card.sha256 or None,
            "runtime": settings.runtime,
        },
    )


def judge(
    records: Sequence[Record],
    found: Array,
    own: Scheme,
    *,
    stamp: dict[str, Any],
    box: str = "auto",
    lead: bool = True,
) -> Evaluation:
    """Score predicted points against the annotation and stamp the result.

    Args:
        records: N annotated faces of one landmark set.
        found: ``(N, K, 2)`` predicted points in photograph pixels; nan = not found.
        own: the landmark set of ``found``; it or the annotation is converted where they differ.
        stamp: the fields of :class:`~fiducia.metrics.protocol.Protocol` that only the caller knows.
        box: as in :func:`evaluate_faces`.
        lead: as in :class:`Evaluation`.

    Raises:
        UsageError: the landmark sets cannot be converted, or ``box = "dataset"`` where the data set has none.
    """
    scheme, kept, found, converted = _meet(list(records), found, own)
    annotated = all(record.box is not None for record in kept)
    if box == "dataset" and not annotated:
        raise UsageError(f"--box dataset: {stamp.get('data')} has no boxes of its own; use --box landmarks")
    use = box == "dataset" or (box == "auto" and scheme.name == "aflw19" and annotated)
    truth = np.stack([record.xy for record in kept])
    scores = score(
        found, truth, scheme, np.stack([record.box for record in kept if record.box is not None]) if use else None
    )
    protocol = Protocol(
        faces=len(kept),
        scheme=scheme.name,
        points=scheme.num_points,
        converted=converted,
        box="dataset" if use else "landmarks",
        normaliser=normaliser_indices(scheme),
        fiducia=__version__,
        **stamp,
    )
    result = figures(scores)
    result["regions"] = region_errors(scores, scheme, "ic" if "ic" in scores.nme else "box")
    result["subsets"] = {name: figures(scores, mask) for name, mask in subsets(protocol.data, kept).items()}
    result["protocol"] = protocol.model_dump(mode="json")
    return Evaluation(
        result=without_nan(result),
        protocol=protocol,
        records=kept,
        found=found,
        scores=scores,
        scheme=scheme,
        lead=lead,
    )


def _meet(records: list[Record], found: Array, own: Scheme) -> tuple[Scheme, list[Record], Array, str | None]:
    """Bring predictions and annotation into one landmark set, the data's where that can be."""
    data = get_scheme(records[0].scheme)
    if _same(data, own):
        return data, records, found, None
    try:
        return data, records, convert(found, own, data), f"prediction {own.name} -> {data.name}"
    except SchemeError:
        pass
    try:
        kept = [to_scheme(record, own.name) for record in records]
    except SchemeError:
        raise UsageError(
            f"the weights give {own.name} ({own.num_points} points) and the data has {data.name} ({data.num_points}); "
            f"neither can be converted into the other; fit a new head with: fiducia train RECIPE --init WEIGHTS on {data.name}"
        ) from None
    return own, kept, found, f"truth {data.name} -> {own.name}"


def _same(a: Scheme, b: Scheme) -> bool:
    """Whether two landmark sets are one; an own one is known to its weights by name and number alone."""
    return a == b or (a.name == b.name and a.num_points == b.num_points)


def _check_schemes(records: list[Record], own: Scheme) -> None:
    """Say before anything is computed that two landmark sets do not meet."""
    _meet(records[:1], np.zeros((1, own.num_points, 2)), own)


def _settings(options: dict[str, Any]) -> dict[str, Any]:
    """Take the settings' own keys out of ``options``."""
    return {key: options.pop(key) for key in list(options) if key in Settings.__dataclass_fields__ and key != "weights"}
