"""Metrics as functions of points: NME, failure rate and AUC, for any code."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..schemes.sets import Scheme, get_scheme
from . import errors
from .errors import Normaliser

__all__ = ["auc", "failure_rate", "nme"]


def nme(
    preds: npt.ArrayLike,
    target: npt.ArrayLike,
    *,
    scheme: str | Scheme = "ibug68",
    normalizer: Normaliser = "ic",
    boxes: npt.ArrayLike | None = None,
    reduction: str = "mean",
) -> float | npt.NDArray[np.float64]:
    """Return the normalised mean error as a fraction (0.03 = 3 %): the mean over a face's labelled points, then over faces.

    Args:
        preds: ``(N, K, 2)`` or ``(K, 2)`` pixels; nan = no answer.
        target: the same shape in the same frame; nan = not labelled.
        scheme: the landmark set, which says where the eyes are.
        normalizer: ``ic`` (outer eye corners), ``ip`` (pupils), ``box`` (sqrt(w h)) or ``diag``.
        boxes: ``(N, 4)`` x1 y1 x2 y2 for ``box`` and ``diag``; None = the tight box of the true points.
        reduction: ``mean``: a number, faces without an answer left out; ``none``: ``(N,)``, nan where there is no answer.

    Raises:
        ValueError: shapes that differ, or a normaliser that the landmark set does not have.

    Example:
        >>> import numpy as np
        >>> truth = np.array([[0.0, 0.0], [100.0, 0.0], [50.0, 60.0], [20.0, 90.0], [80.0, 90.0]])
        >>> round(nme(truth + [3.0, 4.0], truth, scheme="five", normalizer="ip"), 6)
        0.05
    """
    p, t = (np.asarray(a, dtype=np.float64) for a in (preds, target))
    if p.ndim == 2 and t.ndim == 2:
        p, t = p[None], t[None]
    of = get_scheme(scheme) if isinstance(scheme, str) else scheme
    values = errors.nme(errors.point_errors(p, t), errors.normalizer(normalizer, t, of, boxes))
    if reduction == "none":
        return values
    if reduction != "mean":
        raise ValueError(f"reduction is 'mean' or 'none'; found {reduction!r}")
    answered = values[~np.isnan(values)]
    return float(answered.mean()) if len(answered) else float("nan")


def failure_rate(nmes: npt.ArrayLike, threshold: float = 0.10) -> float:
    """Return the share of faces with an NME above ``threshold``; a face without an answer (nan) fails.

    Args:
        nmes: ``(N,)`` fractions, as ``nme(..., reduction="none")`` gives them.
        threshold: a fraction.

    Example:
        >>> failure_rate([0.02, 0.05, 0.12, float("nan")])
        0.5
    """
    return errors.failure_rate(nmes, threshold)


def auc(nmes: npt.ArrayLike, threshold: float = 0.10) -> float:
    """Return the exact area under the step CED over [0, ``threshold``], divided by ``threshold``; in [0, 1].

    Args:
        nmes: ``(N,)`` fractions; nan = no answer.
        threshold: a fraction.

    Example:
        >>> round(auc([0.02, 0.05, 0.12]), 6)
        0.433333
    """
    return errors.auc(nmes, threshold)
