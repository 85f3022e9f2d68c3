"""YuNet (Wu, Peng and Yu 2023, "YuNet: A Tiny Millisecond-level Face Detector"), run by OpenCV's ``FaceDetectorYN``.

The two networks in ``files/`` are shipped; ``files/README.md`` is their model card.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ..errors import FiduciaError
from ..geometry import five_point_roll, rotation
from ..structures import Detection
from .base import MIN_SCORE, Array, Image, check_image
from .candidates import Candidates
from .pool import Pool
from .registry import detectors, no_file
from .views import Pyramid, View
from .yunet_file import YuNetFile, own_file, shipped_file

__all__ = ["OVERLAP", "YuNet", "YuNetDetector"]

OVERLAP = 0.35
"""Boxes of one face overlap by more than this IoU, boxes of two faces by less."""
_EDGE = 2.0
"""A box this near to the edge of a tile, in pixels, is cut by it."""


class YuNet:
    """The network: a view in, faces out. Safe to call from many threads, and after a fork.

    OpenCV's object keeps its input size between calls, so two threads must not share one: each call borrows one from a
    pool. One costs 3 ms to make and about 10 MB (90 MB once it has seen a view of 1,280 pixels).

    Args:
        file: the network's file and the constants that were fitted to it.
        least: faces of a lower score, in [0, 1], are not told.
    """

    def __init__(self, file: YuNetFile, least: float) -> None:
        self.file = file
        self.least = least
        self._pool: Pool[Any] = Pool(self._make)
        with self._pool.lend():  # A file that OpenCV cannot read is told now.
            pass

    def __call__(self, view: View) -> Candidates:
        """Return the faces in a view, in photograph pixels; one that an edge of a tile cuts is left to the next tile.

        Raises:
            FiduciaError: the file is not a network of YuNet's kind.
        """
        height, width = view.bgr.shape[:2]
        with self._pool.lend() as network:
            try:
                network.setInputSize((width, height))
                _, found = network.detect(view.bgr)
            except cv2.error as error:
                raise FiduciaError(self.file.complaint("is not YuNet's network")) from error
        if found is None:
            return Candidates.none()
        rows = found.astype(np.float64)
        whole = np.isfinite(rows).all(axis=1) & (rows[:, 2:4] > 0).all(axis=1) & ~_cut(rows, view)
        return _landmark_boxes(rows[whole], self.file.step).mapped(view.to_photo)

    def _make(self) -> Any:
        data = np.frombuffer(self.file.data, np.uint8)
        try:
            return cv2.FaceDetectorYN.create("onnx", data, np.empty(0, np.uint8), (320, 320), self.least, 0.3, 5000)
        except (cv2.error, SystemError) as error:
            raise self.file.error("OpenCV cannot read it") from error


def _cut(rows: Array, view: View) -> npt.NDArray[np.bool_]:
    """Return which boxes reach an edge beyond which the photograph goes on."""
    height, width = view.bgr.shape[:2]
    x, y, w, h = rows[:, :4].T
    ends = np.stack([x, y, width - x - w, height - y - h], axis=1)
    return ((ends < _EDGE) & np.array(view.cut)).any(axis=1)


def _landmark_boxes(rows: Array, step: Array) -> Candidates:
    """Return faces in the view's pixels from YuNet's rows ``(N, 15)``: x, y, width, height, five points, score.

    The landmark box is linear in the five points and the logarithm of the box's proportions, in the face's own frame.
    """
    # YuNet counts from the corner of the first pixel, we from its centre.
    points = rows[:, 4:14].reshape(-1, 5, 2) - 0.5
    middle = rows[:, :2] + rows[:, 2:4] / 2 - 0.5
    side = np.sqrt(rows[:, 2] * rows[:, 3])[:, None]
    roll = five_point_roll(points)
    turn = np.array([rotation(a) for a in roll]).reshape(-1, 2, 2)
    upright = ((points - middle[:, None]) @ turn).reshape(-1, 10) / side
    proportions = np.log(rows[:, 2:3] / rows[:, 3:4])
    shift, size = np.split(np.concatenate([np.ones_like(side), proportions, upright], axis=1) @ step, 2, axis=1)
    centres = middle + (turn @ (side * shift)[:, :, None])[:, :, 0]
    half = side * np.exp(size) / 2
    own = np.concatenate([centres - half, centres + half], axis=1)
    head = np.concatenate([middle - side / 2, middle + side / 2], axis=1)
    return Candidates(head, own, roll, roll, points, rows[:, 14])


class YuNetDetector:
    """One look at the whole photograph, at one size: a known, short time for any photograph.

    It finds faces from about 12 pixels of what it is shown. Use :class:`fiducia.detectors.auto.AutoDetector` for smaller
    ones, and for faces that lie on their side.

    Args:
        file: the network; None = the shipped ``yunet_n``.
        name: what the detector is called.
        longest: pixels of the longest side that it is shown; smaller photographs are shown as they are, but those below
            ``smallest`` are enlarged to it, by up to four times.
        smallest: see there.
        min_score: least probability that the box holds a face.

    Raises:
        UsageError: OpenCV cannot read the file.
    """

    def __init__(
        self,
        file: YuNetFile | None = None,
        name: str = "yunet",
        longest: int = 640,
        smallest: int = 320,
        min_score: float = MIN_SCORE,
    ) -> None:
        self.name = name
        self.longest = longest
        self.smallest = smallest
        self.min_score = min_score
        self._network = YuNet(file or shipped_file("yunet_n"), least=0.1)

    def __call__(self, image: Image) -> list[Detection]:
        """Return the faces of an RGB uint8 ``(H, W, 3)`` photograph, best first.

        Raises:
            FiduciaError: another kind of array.
        """
        return self.candidates(image).detections(*self._network.file.calibration, self.min_score)

    def candidates(self, image: Image) -> Candidates:
        """Return all faces, the unlikely ones too, with the network's own scores; the calibration is fitted to these."""
        pyramid = Pyramid(check_image(image))
        side = pyramid.longest
        shown = min(side, pyramid.side_for(self.longest))
        shown = max(shown, min(pyramid.side_for(self.smallest), 4 * side))
        found = self._network(pyramid.whole(shown))
        height, width = image.shape[:2]
        return found.inside(width, height)


@detectors.register("yunet")
def _yunet(file: str) -> YuNetDetector:
    """YuNet, one look at a longest side of 640 pixels; yunet:FILE.onnx reads a file of yours."""
    return YuNetDetector(own_file(file)) if file else YuNetDetector()


@detectors.register("yunet_s")
def _yunet_s(file: str) -> YuNetDetector:
    """YuNet's smaller network, which is also the one of OpenCV's model zoo."""
    no_file("yunet_s", file)
    return YuNetDetector(shipped_file("yunet_s"), name="yunet_s")
