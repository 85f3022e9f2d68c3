"""Points and confidence → quality of the face, expected error and visibility of each point."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .features import face_features, face_sizes, point_features
from .table import Calibration

__all__ = ["Judgement", "judge"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Judgement:
    """What N faces are worth.

    Attributes:
        quality: ``(N,)`` probability that the mean error of the points is within the calibration's limit.
        sigma: ``(N, K)`` expected distance between a point and the truth, in photograph pixels.
        relative: ``(N, K)`` the same in percent of the inter-ocular distance (of a face of this size seen from the front).
        visible: ``(N, K)`` probability that the point is visible; None where the calibration does not know.
    """

    quality: Array
    sigma: Array
    relative: Array
    visible: Array | None


def judge(calibration: Calibration, xy: npt.ArrayLike, confidence: npt.ArrayLike, boxes: npt.ArrayLike) -> Judgement:
    """Judge the faces that some weights have found.

    Args:
        calibration: of these weights.
        xy: ``(N, K, 2)`` photograph pixels, finite.
        confidence: ``(N, K)`` in [0, 1].
        boxes: ``(N, 4)`` that the first crops were made from, in photograph pixels.
    """
    features = point_features(xy, confidence)
    relative = np.exp(calibration.curve(calibration.error(features)))
    lengths = calibration.unit * face_sizes(xy)
    quality = _share(calibration.quality(face_features(xy, confidence, boxes)))
    visible = None if calibration.visible is None else _share(calibration.visible(features))
    return Judgement(quality, relative * lengths[:, None], 100 * relative, visible)


def _share(odds: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-np.clip(odds, -50, 50))), dtype=np.float64)
