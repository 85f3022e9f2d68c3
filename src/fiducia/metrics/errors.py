"""How wrong the points are: NME, failure rate, CED and AUC, in float64 numpy.

Protocols differ in words that look alike, so each function says which form it is. Shares are fractions in [0, 1];
whoever prints them multiplies by 100. Errors are measured in photograph pixels, on the unrounded annotation, over all
labelled points, and averaged per face first and over faces second (FaRL, HRNet).

**Faces without an answer.** A face that nobody found has the NME nan. It has no error that could be averaged, so the
mean leaves it out, but it counts as a failure at every threshold and adds nothing to a CED or an AUC.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from ..schemes.sets import Scheme

Array = npt.NDArray[np.float64]
Normaliser = Literal["ic", "ip", "box", "diag"]
NORMALISERS: tuple[Normaliser, ...] = get_args(Normaliser)

__all__ = ["NORMALISERS", "Normaliser", "auc", "auc_grid", "ced", "failure_rate", "nme", "normalizer", "point_errors"]


def point_errors(pred: npt.ArrayLike, truth: npt.ArrayLike) -> Array:
    """Return the Euclidean distance of every point in pixels.

    Args:
        pred: ``(N, K, 2)``; nan or infinite = no answer.
        truth: ``(N, K, 2)`` in the same frame; nan = not labelled.

    Returns:
        ``(N, K)``; nan where the truth is not labelled, inf where it is and there is no answer.

    Raises:
        ValueError: the shapes differ.
    """
    p, t = np.asarray(pred, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    if p.shape != t.shape or p.ndim != 3 or p.shape[-1] != 2:
        raise ValueError(f"predictions {p.shape} and truth {t.shape} must both be (N, K, 2)")
    labelled = np.isfinite(t[..., 0]) & np.isfinite(t[..., 1])
    answered = np.isfinite(p[..., 0]) & np.isfinite(p[..., 1])
    both = labelled & answered
    distance = np.hypot(*(np.where(both, p[..., i], 0.0) - np.where(both, t[..., i], 0.0) for i in (0, 1)))
    return np.where(labelled, np.where(answered, distance, np.inf), np.nan)


def normalizer(kind: Normaliser, truth: npt.ArrayLike, scheme: Scheme, box: npt.ArrayLike | None = None) -> Array:
    """Return the length in pixels by which each face's error is divided.

    ``ic``: between the outer eye corners; ``ip``: between the pupils, or the means of the eyes' points where the
    scheme has no pupils; ``box``: sqrt(w·h); ``diag``: sqrt(w² + h²) of ``box``, or of the true points' tight box.

    Args:
        kind: one of ``ic``, ``ip``, ``box``, ``diag``.
        truth: ``(N, K, 2)`` pixels; nan = not labelled.
        scheme: says which points are the eyes.
        box: ``(N, 4)`` x1 y1 x2 y2, the data set's own boxes (AFLW's protocol), for ``box`` and ``diag``.

    Returns:
        ``(N,)``; nan where the points it needs are not labelled, or coincide.

    Raises:
        ValueError: an unknown kind, or one that the scheme has no points for.
    """
    t = np.asarray(truth, dtype=np.float64)
    if kind == "ic" and scheme.inter_ocular is not None:
        left, right = (t[:, i] for i in scheme.inter_ocular)
    elif kind == "ip" and scheme.inter_pupil is not None:
        left, right = (t[:, list(indices)].mean(axis=1) for indices in scheme.inter_pupil)
    elif kind in ("box", "diag"):
        if box is None:
            left, right = _extent(t)
        else:
            b = np.asarray(box, dtype=np.float64).reshape(-1, 4)
            left, right = b[:, :2], b[:, 2:]
    elif kind in NORMALISERS:
        raise ValueError(f"the scheme {scheme.name!r} has no points for the normaliser {kind!r}; use box or diag")
    else:
        raise ValueError(f"no normaliser is called {kind!r}; known: {', '.join(NORMALISERS)}")
    w, h = np.abs(right - left).T
    length = np.sqrt(w * h) if kind == "box" else np.hypot(w, h)
    return np.where(length > 0, length, np.nan)


def _extent(truth: Array) -> tuple[Array, Array]:
    """Return the least and the greatest x and y ``(N, 2)`` of the labelled points; nan where there are none."""
    labelled = (np.isfinite(truth[..., 0]) & np.isfinite(truth[..., 1]))[..., None]
    low = np.where(labelled, truth, np.inf).min(axis=1)
    high = np.where(labelled, truth, -np.inf).max(axis=1)
    there = np.any(labelled, axis=1)
    return np.where(there, low, np.nan), np.where(there, high, np.nan)


def nme(errors: npt.ArrayLike, normaliser: npt.ArrayLike) -> Array:
    """Return each face's normalised mean error ``(N,)`` as a fraction (0.03 = 3 %).

    Args:
        errors: ``(N, K)`` of :func:`point_errors`; nan points are not labelled and left out of the face's mean.
        normaliser: ``(N,)`` pixels.

    Returns:
        ``(N,)``; nan where a labelled point has no answer, no point is labelled, or the normaliser is nan.
    """
    e, d = np.asarray(errors, dtype=np.float64), np.asarray(normaliser, dtype=np.float64)
    labelled = ~np.isnan(e)
    count = labelled.sum(axis=1)
    total = np.where(labelled, e, 0.0).sum(axis=1)
    value = np.divide(total, count * d, out=np.full(len(e), np.nan), where=(count > 0) & np.isfinite(total))
    return np.where(np.isfinite(value), value, np.nan)


def failure_rate(values: npt.ArrayLike, threshold: float) -> float:
    """Return the share of faces with NME > ``threshold``; a face whose NME is nan failed. nan without faces."""
    v = np.asarray(values, dtype=np.float64)
    return float(np.mean(~(v <= threshold))) if len(v) else float("nan")


def ced(values: npt.ArrayLike, x: npt.ArrayLike) -> Array:
    """Return the cumulative error distribution: the share of all faces with NME ≤ each ``x``; nan never is."""
    v = np.asarray(values, dtype=np.float64)
    at = np.asarray(x, dtype=np.float64)
    if not len(v):
        return np.full(at.shape, np.nan)
    counts = np.searchsorted(np.sort(v[~np.isnan(v)]), at, side="right")
    return np.asarray(counts / len(v), dtype=np.float64)


def auc(values: npt.ArrayLike, threshold: float) -> float:
    """Return the exact area under the step CED over [0, ``threshold``], divided by ``threshold``; in [0, 1].

    The step of a face at error e covers [e, t], so the area is the mean of max(0, t - e): no grid, no rule.
    """
    v = np.asarray(values, dtype=np.float64)
    if not len(v):
        return float("nan")
    return float(np.clip(threshold - np.where(np.isnan(v), np.inf, v), 0.0, None).mean() / threshold)


def auc_grid(values: npt.ArrayLike, threshold: float) -> float:
    """Return the AUC as most repositories compute it (FaRL, STAR, PIPNet, HIH; from HRNet's issue 6).

    The CED on ``arange(0, t + 1e-4, 1e-4)``, integrated by Simpson's rule and divided by t. Rounding makes the grid
    one point longer than meant at some t (702 points at 0.07, 1,001 at 0.10), so it can end at t + 1e-4: kept, because
    the published numbers have it. :func:`auc` is the exact form.
    """
    x = np.arange(0.0, threshold + 1e-4, 1e-4)
    return simpson(ced(values, x), 1e-4) / threshold


def simpson(y: npt.ArrayLike, dx: float) -> float:
    """Integrate equally spaced samples by Simpson's rule, as ``scipy.integrate.simpson`` (≥ 1.11) does.

    An even number of points leaves one interval over; it gets the parabola through the last three points
    (Cartwright's correction), not the average of two trapezoids that older versions took.
    """
    v = np.asarray(y, dtype=np.float64)
    n = len(v)
    if n < 3:
        return float(dx * (v.sum() - (v[0] + v[-1]) / 2)) if n else 0.0
    body = v if n % 2 else v[:-1]
    area = dx / 3 * (body[0] + body[-1] + 4 * body[1:-1:2].sum() + 2 * body[2:-1:2].sum())
    if n % 2 == 0:
        area += dx / 12 * (5 * v[-1] + 8 * v[-2] - v[-3])
    return float(area)
