"""The frontal detector of dlib (King 2009, histograms of gradients), for comparison; it needs the extra ``dlib``."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from ..errors import UsageError
from ..geometry import box_iou, box_to_crop
from ..images import crop
from ..structures import Detection
from .base import Array, Image, best_first, check_image, probability, to_landmark_box
from .pool import Pool
from .registry import detectors, no_file

__all__ = ["DlibDetector"]

STEP = (0.019, 0.083, 0.964, 0.939)
"""Median step from dlib's box to the landmark box on training photographs of 300-W, for
:func:`fiducia.detectors.base.to_landmark_box`; ``benchmarks/detectors.py`` prints it."""
CALIBRATION = (1.0, 0.0)
"""Slope and offset: dlib's margin → log-odds of a face; ``benchmarks/detector_fit.py`` prints them."""
MIN_SCORE = 0.7
"""Faces that are less likely than this are left out, unless the user says otherwise. It is less sure of its faces than YuNet."""
_CANDIDATE, _SURE, _UNSEEN = -0.4, 1.0, -0.9
"""Margins: from which on a box is looked at; from which on once is enough; of a box that was not found again."""


class DlibDetector:
    """It sees upright, frontal faces from 80 pixels of what it is shown. Safe to call from many threads.

    A photograph is looked at in grey with a longest side of at most ``longest``. A doubtful box is looked at twice more,
    mirrored and in colour at other sizes, and its margin is the mean of the three: folds and shadows that pass for a face
    once seldom do so three times.

    Where nothing is found, it looks again: a large photograph at twice that side (small faces); any other with half its
    side of margin added (a face that fills it, or touches its border) and then, where it is small, at twice its size.

    Args:
        longest: pixels of the first look.
        min_score: least probability that the box holds a face.

    Raises:
        UsageError: dlib is not installed.
    """

    name = "dlib"

    def __init__(self, longest: int = 1600, min_score: float = MIN_SCORE) -> None:
        # dlib's object keeps its image pyramid between calls, so two threads must not share one.
        self._pool: Pool[Any] = Pool(_make)
        with self._pool.lend():  # Where dlib is missing, it is told now.
            pass
        self.longest = longest
        self.min_score = min_score

    def __call__(self, image: Image) -> list[Detection]:
        """Return the faces of an RGB uint8 ``(H, W, 3)`` photograph, best first.

        Raises:
            FiduciaError: another kind of array.
        """
        side = max(check_image(image).shape[:2])
        found = self._look(image, min(side, self.longest))
        if found:
            return found
        if side > self.longest:
            return self._look(image, min(side, 2 * self.longest))
        margin = side // 2
        wide: Any = cv2.copyMakeBorder(image, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
        found = [Detection(box=d.box - margin, score=d.score) for d in self._look(wide, min(2 * side, 640))]
        return found or (self._look(image, 2 * side) if 2 * side <= self.longest else [])

    def margins(self, image: Image, longest: float) -> list[tuple[Array, float]]:
        """Return (landmark box, margin) of every candidate in one look; the calibration is fitted to these margins."""
        shown, factor = _resized(image, longest)
        found = []
        for edges, margin in self._run(cv2.cvtColor(shown, cv2.COLOR_RGB2GRAY), _CANDIDATE):
            box = edges / np.tile(factor, 2) - 0.5
            if margin < _SURE:
                margin = (margin + self._mirrored(image, box) + self._coloured(image, box)) / 3
            found.append((to_landmark_box(box, STEP), margin))
        return found

    def _look(self, image: Image, longest: float) -> list[Detection]:
        found = [(box, float(probability(m, *CALIBRATION))) for box, m in self.margins(image, longest)]
        return best_first([Detection(box=box, score=p) for box, p in found if p >= self.min_score])

    def _mirrored(self, image: Image, box: Array) -> float:
        near = cv2.cvtColor(crop(image, box_to_crop(box, 220, 0.5), 220), cv2.COLOR_RGB2GRAY)
        return self._again(near[:, ::-1])

    def _coloured(self, image: Image, box: Array) -> float:
        return self._again(crop(image, box_to_crop(box, 190, 0.5), 190))

    def _again(self, near: Any) -> float:
        """Return the best margin of a box in the middle half of a square picture."""
        n = near.shape[0]
        middle = [n / 4, n / 4, 3 * n / 4, 3 * n / 4]
        margins = [margin for edges, margin in self._run(near, _UNSEEN) if box_iou([edges], [middle])[0, 0] > 0.4]
        return max(margins, default=_UNSEEN)

    def _run(self, picture: Any, threshold: float) -> list[tuple[Array, float]]:
        """Return (edges of the box, counted from the picture's corner; margin), of a grey or RGB picture."""
        with self._pool.lend() as detector:
            rectangles, margins, _ = detector.run(np.ascontiguousarray(picture), 0, threshold)
        return [
            (np.array([r.left(), r.top(), r.right() + 1, r.bottom() + 1], dtype=np.float64), float(margin))
            for r, margin in zip(rectangles, margins, strict=True)
        ]


def _resized(image: Image, longest: float) -> tuple[Image, Array]:
    """Return the picture with its longer side at ``longest`` pixels, and the factors in x and y."""
    height, width = image.shape[:2]
    factor = longest / max(height, width)
    if factor == 1:
        return image, np.ones(2)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    shown: Any = cv2.resize(image, size, interpolation=how)
    return shown, np.array([size[0] / width, size[1] / height])


def _make() -> Any:
    try:
        import dlib
    except ImportError as error:
        raise UsageError("--detector dlib needs dlib: pip install 'fiducia[dlib]'; or use --detector auto") from error
    return dlib.get_frontal_face_detector()


@detectors.register("dlib")
def _dlib(file: str) -> DlibDetector:
    """The frontal HOG detector of dlib, for comparison; needs the extra dlib."""
    no_file("dlib", file)
    return DlibDetector()
