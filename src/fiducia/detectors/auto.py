"""The default detector: YuNet at as many sizes as a photograph needs, and on turned copies where faces do not stand upright.

``docs/detect.md`` has the figures behind every constant here. They come from training photographs.
"""

from __future__ import annotations

import numpy as np

from ..structures import Detection
from .base import MIN_SCORE, Image, check_image
from .candidates import Candidates
from .registry import detectors, no_file
from .turned import LIKELY, TURNED, Upright
from .views import Pyramid
from .yunet import YuNet
from .yunet_constants import CALIBRATION
from .yunet_file import YuNetFile, shipped_file

__all__ = ["AutoDetector"]

SIZES = (320, 640, 1280, 4096)
"""Longest sides of the looks, in their order."""
TILE = 1280
"""A larger look is done in tiles of this side, so that memory is bounded."""
SMALL = (48.0, 20.0, 20.0, 0.0)
"""Where a face is smaller than this in the view (geometric mean of its landmark box's sides, in pixels), smaller ones
may have been missed, and the next size is looked at. A portrait's face has more than 48 of 320 pixels."""
SMALL_SCORE = (0.25, 0.45, 0.6, 1.0)
"""Network score from which on a small face counts for this: the dearer the next size, the surer it must be."""
ENLARGE = 3.0
"""A photograph is enlarged by up to this factor, to 1,280 pixels at most, where small faces were seen, ..."""
ENLARGE_BLIND = 1.5
"""... and by up to this one where nothing was seen; but the first look always has its 320 pixels, up to ..."""
ENLARGE_FIRST = 8.0
"""... this factor."""
GAIN = 1.4
"""A larger view is not worth its time below this factor over the one before."""
HUGE = 160
"""Size of one more look where nothing was found: a face that fills the picture is found in a small view."""
SEEN_WELL = 48.0
"""A face that the view before shows with a head of this many pixels is left to that view: what a larger view finds there
beyond it are parts of large faces, and folds of cloth."""
SEEN, FOUND = 0.25, 0.6
"""Network scores from which on a face may be there, and is there: a look with no face that is there is not the last."""


class AutoDetector:
    """Looks small first, and again where that is not enough.

    1. The photograph at a longest side of 320 pixels: about 5 ms. If a face is found and none is small, that is all.
    2. Else at 640; and where small faces were seen at 1,280 and 4,096, in tiles, until no face is small in the view.
    3. No likely face: once at 160, then copies turned by 90, 180 and 270 degrees, then at 1,280.
    4. A doubtful face is looked at on its own in four turns (:mod:`fiducia.detectors.turned`). YuNet sees many a face
       that lies on its side or upside down, but lays the five points out as if it were upright; the right turn has the
       higher score. If one is found turned, the photograph is looked at in that turn too.

    Safe to call from many threads, and after a fork.

    Args:
        file: the network; None = the shipped ``yunet_n``.
        min_score: least probability that the box holds a face.
    """

    name = "auto"

    def __init__(self, file: YuNetFile | None = None, min_score: float = MIN_SCORE) -> None:
        self.min_score = min_score
        self._network = YuNet(file or shipped_file("yunet_n"))
        self._upright = Upright(self._network)

    def __call__(self, image: Image) -> list[Detection]:
        """Return the faces of an RGB uint8 ``(H, W, 3)`` photograph, best first.

        Raises:
            FiduciaError: another kind of array.
        """
        return self.candidates(image).detections(*CALIBRATION["auto"], self.min_score)

    def candidates(self, image: Image) -> Candidates:
        """Return all faces, the unlikely ones too, with the network's own scores; the calibration is fitted to these."""
        pyramid = Pyramid(check_image(image))
        height, width = image.shape[:2]
        found = self._sizes(pyramid, 0).inside(width, height)
        if not _any(found, LIKELY):
            found = self._turned_copies(pyramid, found)
        found, turns = self._upright(pyramid, found)
        if not _any(found, FOUND) and ENLARGE_BLIND * pyramid.longest >= pyramid.side_for(SIZES[2]):
            found = Candidates.join([found, *self._look(pyramid, pyramid.side_for(SIZES[2]), 0)])
        for turn in turns:
            found = Candidates.join([found, self._sizes(pyramid, turn)])
        found = self._upright.refine(pyramid, _one_way_up(found))
        return found.inside(width, height)

    def _sizes(self, pyramid: Pyramid, turn: int) -> Candidates:
        """Look at one size after another until faces are found and none is small; at two sizes where there is no face."""
        found = Candidates.none()
        side = 0.0
        for number, size in enumerate(SIZES):
            longest = min(pyramid.side_for(size), self._limit(pyramid, found, number))
            if longest < GAIN * side:
                break
            seen = Candidates.join(self._look(pyramid, longest, turn))
            if _any(found, SEEN):
                seen = seen.take((seen.head[:, 2] - seen.head[:, 0]) * side / pyramid.longest < SEEN_WELL)
            found, side = Candidates.join([found, seen]), longest
            sides = np.sqrt(found.sides.prod(axis=1)) * side / pyramid.longest
            small = (sides < SMALL[number]) & (found.score >= SMALL_SCORE[number])
            if not small.any() and (number > 0 or _any(found, FOUND)):
                break
        return found

    def _limit(self, pyramid: Pyramid, found: Candidates, number: int) -> float:
        """Return the longest side that a view may have without being a waste."""
        if number == 0:
            return ENLARGE_FIRST * pyramid.longest
        factor = ENLARGE if _any(found, SEEN) else ENLARGE_BLIND
        return max(pyramid.longest, min(factor * pyramid.longest, pyramid.side_for(TILE)))

    def _look(self, pyramid: Pyramid, side: float, turn: int) -> list[Candidates]:
        return [self._network(view) for view in pyramid.tiles(side, TILE, turn)]  # One by one: memory is bounded.

    def _turned_copies(self, pyramid: Pyramid, found: Candidates) -> Candidates:
        """Look for one huge face, and then for turned ones."""
        huge = self._network(pyramid.whole(pyramid.side_for(HUGE)))
        found = Candidates.join([found, huge])
        if _any(found, LIKELY):
            return found
        side = min(pyramid.side_for(SIZES[0]), ENLARGE_FIRST * pyramid.longest)
        turned = self._network.several([pyramid.whole(side, turn) for turn in (1, 3, 2)])
        return Candidates.join([found, *turned])


def _any(found: Candidates, score: float) -> bool:
    return bool((found.score >= score).any())


def _one_way_up(found: Candidates) -> Candidates:
    """Leave out what was seen in another turn of the photograph than its surest face, but for faces that are sure."""
    turns = found.quarters
    return found.take((turns == turns[:1]) | (found.score >= TURNED))


@detectors.register("auto")
def _auto(file: str) -> AutoDetector:
    """YuNet at the sizes and in the turns that a photograph needs; the default."""
    no_file("auto", file)
    return AutoDetector()
