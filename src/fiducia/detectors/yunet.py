"""YuNet (Wu, Peng and Yu 2023, "YuNet: A Tiny Millisecond-level Face Detector").

The two networks in ``files/`` are shipped; ``files/README.md`` is their model card.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from ..structures import Detection
from .base import MIN_SCORE, Array, Image, check_image
from .candidates import Candidates
from .landmark_step import landmark_boxes
from .pool import Pool
from .registry import detectors, no_file
from .views import Pyramid, View
from .yunet_file import YuNetFile, own_file, shipped_file
from .yunet_network import YuNetNetwork

__all__ = ["YuNet", "YuNetDetector"]

_LEAST_SIDE = 4.0
"""A box with a side below this, in pixels of the view, is no face: the network needs about ten, and on flat pictures it
now and then gives boxes without area."""
_FLAT = 1.0
"""A view whose colours deviate by less than this from their mean, in grey levels, holds no face, whatever is said."""
_EDGE = 10.0
"""A box this near to the edge of a tile, in pixels, may be of a face that the edge cuts."""


class YuNet:
    """The network: a view in, faces out. Safe to call from many threads, and after a fork.

    An instance keeps its input between calls, so two threads must not share one: each call borrows one from a pool. One
    costs about 10 MB (90 MB once it has seen a view of 1,280 pixels).

    Args:
        file: the network's file and the constants that were fitted to it.
    """

    def __init__(self, file: YuNetFile) -> None:
        self.file = file
        self._pool: Pool[YuNetNetwork] = Pool(self._make)
        with self._pool.lend():  # A file that OpenCV cannot read is told now.
            pass

    def __call__(self, view: View) -> Candidates:
        """Return the faces in a view, in photograph pixels; one that an edge of a tile cuts is left to the next tile.

        Raises:
            UsageError: OpenCV cannot run the file as YuNet's network.
        """
        return self.several([view])[0]

    def several(self, views: Sequence[View]) -> list[Candidates]:
        """Return the faces of each view, as a call does; views of one size take less time together.

        Raises:
            UsageError: as for a call.
        """
        found = []
        for view, rows in zip(views, self.rows(views), strict=True):
            found.append(landmark_boxes(rows[~_cut(rows, view)], self.file.step).mapped(view.to_photo))
        return found

    def rows(self, views: Sequence[View]) -> list[Array]:
        """Return what the network says of each view ``(N, 15)``: x, y, width, height, five points x y, score.

        In the view's pixels, counted from the first pixel's corner. The order of the points is that of the scheme ``five``.

        Raises:
            UsageError: as for a call.
        """
        found = [np.zeros((0, 15))] * len(views)
        shown = [i for i, view in enumerate(views) if cv2.meanStdDev(view.bgr)[1].max() >= _FLAT]
        with self._pool.lend() as network:
            for i, rows in zip(shown, network([views[i].bgr for i in shown]), strict=True):
                found[i] = rows[np.isfinite(rows).all(axis=1) & (rows[:, 2:4] >= _LEAST_SIDE).all(axis=1)]
        return found

    def _make(self) -> YuNetNetwork:
        return YuNetNetwork(self.file)


def _cut(rows: Array, view: View) -> npt.NDArray[np.bool_]:
    """Return which boxes reach an edge beyond which the photograph goes on."""
    height, width = view.bgr.shape[:2]
    x, y, w, h = rows[:, :4].T
    ends = np.stack([x, y, width - x - w, height - y - h], axis=1)
    return ((ends < _EDGE) & np.array(view.cut)).any(axis=1)


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
        self._network = YuNet(file or shipped_file("yunet_n"))

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
