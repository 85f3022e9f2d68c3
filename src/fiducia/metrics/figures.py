"""Per-face errors → the figures of a result: NME, failure rates and areas, of all faces or of a subset."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..schemes.sets import Scheme
from .errors import NORMALISERS, auc, auc_grid, failure_rate, nme, normalizer, point_errors

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

__all__ = ["FIGURES", "FaceScores", "figures", "point_nme", "region_errors", "reliability", "score", "without_nan"]

FIGURES = (
    *(f"nme_{kind}" for kind in NORMALISERS),
    "fr10_ic",
    "fr8_ic",
    "fr5_ic",
    "auc10_ic",
    "auc8_ic",
    "auc5_ic",
    "auc7_box",
    "auc10_ic_grid",
    "auc7_box_grid",
)
"""The keys of :func:`figures`, all in percent."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FaceScores:
    """N faces, scored.

    Attributes:
        points: ``(N, K)`` pixel errors; nan = not labelled, inf = no answer.
        found: ``(N,)`` whether the face has an answer for every labelled point.
        nme: normaliser → ``(N,)`` fractions; nan where there is no answer or nothing to measure by.
        measured: normaliser → ``(N,)`` whether the truth gives a length to divide by and a point to compare. Faces
            without are not counted by that figure; faces without an answer are.
    """

    points: Array
    found: Mask
    nme: Mapping[str, Array]
    measured: Mapping[str, Mask]
    lengths: Mapping[str, Array]


def score(found: npt.ArrayLike, truth: npt.ArrayLike, scheme: Scheme, boxes: npt.ArrayLike | None = None) -> FaceScores:
    """Score N faces by every normaliser that their scheme has.

    Args:
        found: ``(N, K, 2)`` predicted points; nan = no answer.
        truth: ``(N, K, 2)`` in the same pixels; nan = not labelled.
        scheme: the landmark set of both.
        boxes: ``(N, 4)`` annotated boxes for ``box`` and ``diag``; None = the tight box of the true points.
    """
    errors = point_errors(found, truth)
    labelled = ~np.isnan(errors).all(axis=1)
    lengths: dict[str, Array] = {
        kind: normalizer(kind, truth, scheme, boxes)
        for kind in NORMALISERS
        if not (kind == "ic" and scheme.inter_ocular is None) and not (kind == "ip" and scheme.inter_pupil is None)
    }
    return FaceScores(
        points=errors,
        found=np.asarray(~np.isinf(errors).any(axis=1)),
        nme={kind: nme(errors, length) for kind, length in lengths.items()},
        measured={kind: np.isfinite(length) & labelled for kind, length in lengths.items()},
        lengths=lengths,
    )


def figures(scores: FaceScores, mask: npt.ArrayLike | None = None) -> dict[str, Any]:
    """Return the figures of all faces, or of those in ``mask (N,)``.

    Returns:
        :data:`FIGURES` in percent, None where the scheme has no such normaliser or no face has an answer; then
        ``faces``, ``detected`` (faces with an answer) and ``measured`` (normaliser → faces that its figures count).
        The NME is the mean over faces with an answer; failure rates and areas count all measured faces.
    """
    chosen = np.ones(len(scores.found), bool) if mask is None else np.asarray(mask, dtype=bool)
    values = {kind: v[chosen & scores.measured[kind]] for kind, v in scores.nme.items()}
    result: dict[str, Any] = dict.fromkeys(FIGURES)
    for kind, v in values.items():
        answered = v[~np.isnan(v)]
        if len(answered):
            result[f"nme_{kind}"] = 100 * float(answered.mean())
    if len(values.get("ic", ())):
        for percent in (10, 8, 5):
            result[f"fr{percent}_ic"] = 100 * failure_rate(values["ic"], percent / 100)
            result[f"auc{percent}_ic"] = 100 * auc(values["ic"], percent / 100)
        result["auc10_ic_grid"] = 100 * auc_grid(values["ic"], 0.10)
    if len(values["box"]):
        result["auc7_box"] = 100 * auc(values["box"], 0.07)
        result["auc7_box_grid"] = 100 * auc_grid(values["box"], 0.07)
    result["faces"] = int(chosen.sum())
    result["detected"] = int((chosen & scores.found).sum())
    result["measured"] = {kind: len(v) for kind, v in values.items()}
    return result


def region_errors(scores: FaceScores, scheme: Scheme, kind: str) -> dict[str, float]:
    """Return each region's NME in percent, by the normaliser ``kind``, over the faces with an answer."""
    out: dict[str, float] = {}
    for name, indices in scheme.regions.items():
        values = nme(scores.points[:, list(indices)], scores.lengths[kind])
        if np.isfinite(values).any():
            out[name] = 100 * float(np.nanmean(values))
    return out


def point_nme(scores: FaceScores, scheme: Scheme, kind: str) -> dict[str, float]:
    """Return each point's NME in percent by its name, by the normaliser ``kind``, over the faces with an answer.

    A point that no face has labelled is left out. Where every face has all points labelled, the mean over the points
    is the face's NME averaged over faces.
    """
    errors = np.where(np.isfinite(scores.points), scores.points, np.nan) / scores.lengths[kind][:, None]
    errors = np.where(np.isfinite(scores.nme[kind])[:, None], errors, np.nan)
    count = np.isfinite(errors).sum(axis=0)
    total = np.nansum(errors, axis=0)
    return {name: 100 * float(total[i] / count[i]) for i, name in enumerate(scheme.names) if count[i]}


def reliability(confidence: npt.ArrayLike, errors: npt.ArrayLike, *, limit: float = 5.0) -> dict[str, Any] | None:
    """Return what a confidence is worth: ten groups of points, as many in each, from the least sure to the surest.

    Args:
        confidence: of points, any shape; nan = no answer.
        errors: of the same points in percent; what is not finite is left out.
        limit: a point within so many percent is near the truth.

    Returns:
        ``bins``: mean ``confidence``, share of points that are ``near`` in percent, ``median`` error and its quartiles
        ``low`` and ``high``; ``rank_correlation`` (Spearman's) of confidence and error, ideally -1; ``limit`` and
        ``points``. None where all points are equally sure, or there are fewer than ten.
    """
    c, e = np.asarray(confidence, dtype=np.float64).ravel(), np.asarray(errors, dtype=np.float64).ravel()
    there = np.isfinite(c) & np.isfinite(e)
    c, e = c[there], e[there]
    if len(c) < 10 or np.ptp(c) < 1e-9:
        return None
    bins = []
    for part in np.array_split(np.argsort(c, kind="stable"), 10):
        low, median, high = np.quantile(e[part], [0.25, 0.5, 0.75])
        bins.append(
            {
                "confidence": float(c[part].mean()),
                "near": 100 * float(np.mean(e[part] <= limit)),
                "median": float(median),
                "low": float(low),
                "high": float(high),
            }
        )
    ranks = [_ranks(v) for v in (c, e)]
    spread = ranks[0].std() * ranks[1].std()
    rho = float(np.mean((ranks[0] - ranks[0].mean()) * (ranks[1] - ranks[1].mean())) / spread) if spread else 0.0
    return {"bins": bins, "rank_correlation": rho, "limit": limit, "points": len(c)}


def _ranks(values: Array) -> Array:
    """Return each value's rank; equal values share their mean rank."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[place], dtype=np.float64)


def without_nan(value: Any) -> Any:
    """Return the value with every number that is not finite replaced by None: JSON has no nan."""
    if isinstance(value, dict):
        return {key: without_nan(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
