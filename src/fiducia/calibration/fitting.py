"""Fits a calibration to trials: faces whose points are known, and places without a face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .features import face_features, face_sizes, point_features
from .table import Calibration, Curve, Faces, Quadratic

__all__ = ["Trials", "fit_calibration"]

Array = npt.NDArray[np.float64]
_KNOTS = 20
_RIDGE = 3.0
_ROUNDS = 50
_PLACES = 6
"""Digits after the point that are kept."""


@dataclass(frozen=True, eq=False)
class Trials:
    """N looks at faces, and at places without one.

    Attributes:
        xy: ``(N, K, 2)`` predicted, in photograph pixels.
        confidence: ``(N, K)``.
        boxes: ``(N, 4)`` that the first crop was made from.
        truth: ``(N, K, 2)``; nan = no such point, and everywhere where there is no face.
        visible: int8 ``(N, K)``, as in :class:`fiducia.structures.Record`.
        weight: ``(N,)`` of each look in the fit of the quality.
        told: bool ``(N,)``: the face's labels tell visible from hidden points.
        plain: bool ``(N,)``: a face in a box as detectors give it. The points' errors are fitted to these alone: where the
            box is wrong or the face is cut, the quality says so.
    """

    xy: Array
    confidence: Array
    boxes: Array
    truth: Array
    visible: npt.NDArray[np.int8]
    weight: Array
    told: npt.NDArray[np.bool_]
    plain: npt.NDArray[np.bool_]

    def take(self, which: npt.NDArray[np.bool_]) -> Trials:
        """Return some of the looks."""
        return Trials(
            xy=self.xy[which],
            confidence=self.confidence[which],
            boxes=self.boxes[which],
            truth=self.truth[which],
            visible=self.visible[which],
            weight=self.weight[which],
            told=self.told[which],
            plain=self.plain[which],
        )

    def errors(self, unit: float) -> Array:
        """Return each point's error ``(N, K)`` in units of ``unit`` times the true face's size; nan = no truth."""
        return np.linalg.norm(self.xy - self.truth, axis=2) / (unit * face_sizes(self.truth))[:, None]

    def face_errors(self, unit: float) -> Array:
        """Return the mean of the errors of each face ``(N,)``; infinite where there is no face."""
        errors = self.errors(unit)
        there = np.isfinite(errors)
        mean = np.where(there, errors, 0.0).sum(axis=1) / np.maximum(there.sum(axis=1), 1)
        return np.where(there.any(axis=1), mean, np.inf)


def fit_calibration(trials: Trials, *, unit: float, data: str, faces: int, limit: float = 0.08) -> Calibration:
    """Fit a calibration.

    The quality is a logistic regression. The expected error is the mean of an exponential distribution with a log-linear
    mean, fitted by maximum likelihood, and then made monotone and unbiased by isotonic regression.

    Args:
        trials: looks at faces that the weights were not trained on.
        unit: inter-ocular distance in sizes of a face.
        data: where the faces come from, for the card.
        faces: how many there are.
        limit: a face is good up to this error.

    Raises:
        ValueError: fewer than 50 looks, or looks that are all good or all bad.
    """
    good = trials.face_errors(unit) <= limit
    if len(good) < 50 or good.all() or not good.any():
        raise ValueError(
            f"{len(good)} looks at faces, of which {int(good.sum())} are good; a fit needs 50 of both kinds"
        )
    quality = _logistic(face_features(trials.xy, trials.confidence, trials.boxes), good, trials.weight)
    plain = trials.take(trials.plain & np.isfinite(trials.face_errors(unit)))
    error, curve = _expected_error(plain, plain.errors(unit))
    return Calibration(
        unit=round(unit, _PLACES),
        limit=limit,
        quality=quality,
        error=error,
        curve=curve,
        visible=_visibility(plain.take(plain.told)),
        fitted=Faces(data=data, faces=faces, trials=len(good)),
    )


def _standard(features: Array) -> Quadratic:
    """Return a function that is zero everywhere, with the features' own means and deviations."""
    n = features.shape[-1]
    flat = features.reshape(-1, n)
    deviation = flat.std(axis=0)
    return Quadratic(
        mean=_rounded(flat.mean(axis=0)),
        scale=_rounded(np.where(deviation > 1e-6, deviation, 1.0)),
        weights=[0.0] * (n + n * (n + 1) // 2),
        points=[0.0],
    )


def _logistic(features: Array, yes: npt.NDArray[np.bool_], weight: Array) -> Quadratic:
    """Fit log-odds that are one function of all rows, by Newton's method with a ridge."""
    start = _standard(features)
    x = np.concatenate([np.ones((len(features), 1)), start.terms(features)], axis=1)
    ridge = np.full(x.shape[1], _RIDGE)
    ridge[0] = 1e-6
    w = np.zeros(x.shape[1])
    for _ in range(_ROUNDS):
        share = 1 / (1 + np.exp(-np.clip(x @ w, -30, 30)))
        slope = (x * (weight * share * (1 - share))[:, None]).T @ x + np.diag(ridge)
        step = np.linalg.solve(slope, x.T @ (weight * (share - yes)) + ridge * w)
        w = w - np.clip(step, -2.0, 2.0)
    return start.model_copy(update={"weights": _rounded(w[1:]), "points": _rounded(w[:1])})


def _expected_error(plain: Trials, errors: Array) -> tuple[Quadratic, Curve]:
    features = point_features(plain.xy, plain.confidence)
    start = _standard(features)
    there = np.isfinite(errors)
    k = errors.shape[1]
    point = np.broadcast_to(np.arange(k), errors.shape)[there]
    e, x = errors[there] + 1e-5, start.terms(features)[there]
    constant, w = np.full(k, np.log(e.mean())), np.zeros(x.shape[1])
    count = np.bincount(point, minlength=k) + 1.0
    normal = x.T @ x + _RIDGE * np.eye(x.shape[1])
    for _ in range(_ROUNDS):
        # Fisher scoring; the information of a log mean is one for each point.
        residual = np.clip(e * np.exp(-(constant[point] + x @ w)) - 1, -1.0, 5.0)
        constant += np.bincount(point, residual, k) / count
        residual = np.clip(e * np.exp(-(constant[point] + x @ w)) - 1, -1.0, 5.0)
        w += np.linalg.solve(normal, x.T @ residual)
    function = start.model_copy(update={"weights": _rounded(w), "points": _rounded(constant)})
    return function, _curve(function(features)[there], errors[there])


def _curve(value: Array, errors: Array) -> Curve:
    """Return the logarithm of the mean error over the predicted one, in groups of equal size, made monotone."""
    groups = [part for part in np.array_split(np.argsort(value, kind="stable"), _KNOTS) if len(part)]
    x = np.array([value[part].mean() for part in groups])
    y = np.log(_monotone(np.array([max(errors[part].mean(), 1e-6) for part in groups])))
    keep = np.concatenate([[True], np.diff(x.round(_PLACES)) > 0])
    return Curve(x=_rounded(x[keep]), y=_rounded(y[keep]))


def _monotone(values: Array) -> Array:
    """Return the nearest rising sequence in least squares (pool adjacent violators)."""
    level: list[tuple[float, int]] = []
    for value in values:
        mean, count = float(value), 1
        while level and level[-1][0] > mean:
            last, n = level.pop()
            mean, count = (mean * count + last * n) / (count + n), count + n
        level.append((mean, count))
    return np.concatenate([np.full(n, mean) for mean, n in level])


def _visibility(plain: Trials) -> Quadratic | None:
    """Fit the log-odds that a point is visible, with a constant for each point; None where hardly a point is hidden."""
    hidden = plain.visible < 2
    if hidden.sum() < 500 or (~hidden).sum() < 500:
        return None
    features = point_features(plain.xy, plain.confidence)
    start = _standard(features)
    x, y = start.terms(features), (~hidden).astype(float)
    k = y.shape[1]
    constant, w = np.zeros(k), np.zeros(x.shape[2])
    for _ in range(_ROUNDS):
        share = 1 / (1 + np.exp(-np.clip(constant + x @ w, -30, 30)))
        curved = share * (1 - share)
        constant -= np.clip(((share - y).sum(axis=0) + 0.5 * constant) / (curved.sum(axis=0) + 0.5), -1.0, 1.0)
        share = 1 / (1 + np.exp(-np.clip(constant + x @ w, -30, 30)))
        curved = share * (1 - share)
        slope = np.einsum("nki,nk,nkj->ij", x, curved, x) + _RIDGE * np.eye(len(w))
        w -= np.clip(np.linalg.solve(slope, np.einsum("nki,nk->i", x, share - y) + _RIDGE * w), -1.0, 1.0)
    return start.model_copy(update={"weights": _rounded(w), "points": _rounded(constant)})


def _rounded(values: Array) -> list[float]:
    return [round(float(v), _PLACES) for v in values]
