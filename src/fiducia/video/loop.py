"""The loop over a video: each face is looked for where its last points lead; the detector runs only when it is needed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ..errors import UsageError
from ..faces.face import Face
from ..geometry import box_iou
from ..structures import Detection
from .association import assign, associate
from .frames import Frame
from .one_euro import Smoothing
from .track import Track, shape_distance

__all__ = ["FaceTracker", "Looker", "TrackerOptions"]

Image = npt.NDArray[np.uint8]

DOUBTFUL = 0.6
"""A look whose mean confidence is below this share of the track's own is doubtful: the detector has to confirm it."""
SAME_FACE = 0.12
"""Two tracks are on one face where their points are this near, as a share of its size (mean distance)."""
OVERLAP = 0.15
"""Boxes with a larger IoU overlap: the motion of such a face is not to be trusted for later."""
LOST_EVERY = 2
"""While a face is lost the detector runs in every second frame."""
MISSES = 4
"""Detector runs in a row that may fail to see a face of which the points seem right."""


class Looker(Protocol):
    """What finds faces and points; :class:`fiducia.predict.predictor.Predictor` gives one."""

    def find_faces(self, image: Image) -> Sequence[Detection]:
        """Return all faces of a picture, best first, the doubtful ones too."""
        ...

    def look(self, image: Image, where: Sequence[Detection], passes: int | None) -> list[Face]:
        """Return the face at each place, with its points after this many passes; None = as for photographs."""
        ...


@dataclass(frozen=True, kw_only=True)
class TrackerOptions:
    """How faces are followed.

    Attributes:
        every: the detector looks for new faces in every so-many-th frame.
        memory: seconds for which a lost face keeps its number.
        min_score: score from which on a detection is sure; others only confirm a track.
        min_quality: a face is not shown in frames in which its quality is lower; it is followed all the same.
        min_confidence: least mean confidence of a face's points; what a network is sure of differs, so this is a floor only.
        smoothing: of the points; None = they are left as the network gives them.
    """

    every: int = 15
    memory: float = 1.5
    min_score: float = 0.0
    min_quality: float = 0.0
    min_confidence: float = 0.05
    smoothing: Smoothing | None = field(default_factory=Smoothing)

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            UsageError: a value out of its range.
        """
        if self.every < 1 or not self.memory >= 0:
            raise UsageError(f"every = {self.every}, memory = {self.memory}; expected at least 1 frame and 0 seconds")
        if not 0 <= self.min_confidence <= 1:
            raise UsageError(f"min_confidence = {self.min_confidence}; expected a confidence from 0 to 1")


class FaceTracker:
    """Takes one frame after another and returns its faces; ``id`` is the track's number, from 0.

    Args:
        looker: what finds faces and points.
        options: how they are followed.

    Attributes:
        detections: how often the detector ran.
    """

    def __init__(self, looker: Looker, options: TrackerOptions | None = None) -> None:
        self.looker = looker
        self.options = options or TrackerOptions()
        self.detections = 0
        self._tracks: list[Track] = []
        self._numbers = itertools.count()
        self._since = 0
        self._time = -math.inf

    def __call__(self, image: Image, time: float) -> list[Face]:
        """Return the faces of a frame, by number.

        Args:
            image: uint8 ``(H, W, 3)`` RGB.
            time: of the frame in seconds, later than the frame before.

        Raises:
            FiduciaError: the time does not grow, or the picture cannot be used.
        """
        if not time > self._time:
            raise UsageError(f"a frame at {time} seconds after one at {self._time}; expected a later time")
        self._time = time
        for track in self._tracks:
            track.motion.predict(time, track.seen)
        doubtful = self._follow(image, time)
        self._part_merged(time)
        self._since += 1
        if self._detector_due(bool(doubtful), image.shape[1], image.shape[0]):
            self._since = 0
            self.detections += 1
            self._detect(image, time, doubtful)
        self._remember()
        self._tracks = [t for t in self._tracks if t.seen or time - t.last <= self.options.memory]
        shown = [track for track in self._tracks if track.seen and self._good(track.face)]
        for track in shown:
            if track.number < 0:
                # A face gets its number when it is first shown: numbers of faces that nobody saw would be gaps.
                track.number = next(self._numbers)
        return [track.shown() for track in sorted(shown, key=lambda t: t.number)]

    def _good(self, face: Face) -> bool:
        """Whether a face is good enough to be shown; a face without a quality is."""
        return face.quality is None or face.quality >= self.options.min_quality

    def run(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Yield the frames of a source with their faces."""
        for frame in frames:
            yield replace(frame, faces=self(frame.image, frame.time))

    def _follow(self, image: Image, time: float) -> list[Track]:
        """Look at every face where it should be now; return the tracks whose look may be wrong."""
        live = [track for track in self._tracks if track.seen]
        if not live:
            return []
        height, width = image.shape[:2]
        doubtful = []
        for track, face in zip(live, self.looker.look(image, [t.region() for t in live], 1), strict=True):
            face = replace(face, score=track.face.score)
            if not track.inside(face.xy.astype(np.float64), height, width):
                track.lose()
            elif track.plausible(face, height, width, max(self.options.min_confidence, DOUBTFUL * track.sure)):
                track.follow(face, time)
            else:
                doubtful.append(track)
        return doubtful

    def _part_merged(self, time: float) -> None:
        """Where two tracks are on one face, it belongs to the one whose motion led there; the other is hidden behind it."""
        live = [track for track in self._tracks if track.seen]
        for a, b in itertools.combinations(live, 2):
            if not (a.seen and b.seen):
                continue
            apart = float(np.linalg.norm(a.xy - b.xy, axis=1).mean())
            if apart < SAME_FACE * min(a.size, b.size):
                loser = max((a, b), key=lambda track: _surprise(track, time))
                loser.lose()

    def _detector_due(self, doubtful: bool, width: int, height: int) -> bool:
        """Whether the detector runs in this frame."""
        if doubtful or self.detections == 0 or self._since >= self.options.every:
            return True
        lost = [track for track in self._tracks if not track.seen]
        expected = any(
            (track.motion.centre > 0).all() and (track.motion.centre < [width, height]).all() for track in lost
        )
        return expected and self._since >= LOST_EVERY

    def _detect(self, image: Image, time: float, doubtful: list[Track]) -> None:
        """Run the detector; confirm tracks, find lost ones again, begin new ones."""
        found = list(self.looker.find_faces(image))
        boxes = np.array([d.box for d in found]).reshape(-1, 4)
        scores = np.array([d.score for d in found])
        tracks = list(self._tracks)
        expected = np.array([t.box if t.seen and t not in doubtful else t.motion.box for t in tracks]).reshape(-1, 4)
        matches = associate(expected, [t.seen for t in tracks], boxes, scores, self.options.min_score)
        again: list[tuple[Track | None, Detection]] = []
        for place, number in matches.pairs:
            track, detection = tracks[place], found[number]
            if track.seen and track not in doubtful:
                track.misses = 0
                track.face = replace(track.face, score=detection.score)
            else:
                again.append((track, detection))
        matched = {place for place, _ in matches.pairs}
        for place, track in enumerate(tracks):
            if place not in matched and track.seen:
                track.misses += 1
                if track in doubtful or track.misses >= MISSES:
                    track.lose()
        again += [(None, found[number]) for number in matches.new]
        self._begin(image, time, again)

    def _begin(self, image: Image, time: float, places: list[tuple[Track | None, Detection]]) -> None:
        """Look at faces that the detector gave: of tracks that were lost or doubtful, and new ones."""
        if not places:
            return
        height, width = image.shape[:2]
        new: list[Track] = []
        for (track, detection), face in zip(places, self.looker.look(image, [d for _, d in places], None), strict=True):
            xy = face.xy.astype(np.float64)
            good = float(face.confidence.mean()) >= self.options.min_confidence and self._is_new(xy, track)
            if track is not None and good and track.inside(xy, height, width):
                track.restart(face, detection.roll, time)
            elif track is not None:
                track.lose()
            elif good:
                new.append(Track(face, detection.roll, time, self.options.smoothing))
        self._find_again(new, time)

    def _is_new(self, xy: npt.NDArray[np.float64], own: Track | None) -> bool:
        """Whether no other track that is seen has this face already."""
        others = [track for track in self._tracks if track.seen and track is not own]
        return all(float(np.linalg.norm(t.xy - xy, axis=1).mean()) >= 2 * SAME_FACE * t.size for t in others)

    def _find_again(self, new: list[Track], time: float) -> None:
        """Give new faces the numbers of lost ones that fit by place, size and shape, and others a number of their own."""
        lost = [track for track in self._tracks if not track.seen]
        cost = np.array([[_strangeness(old, face, time) for face in new] for old in lost]).reshape(len(lost), len(new))
        old_of = {column: lost[row] for row, column in assign(cost, 1.0)}
        for column, track in enumerate(new):
            if column in old_of:
                old_of[column].restart(track.face, track.roll, time)
            else:
                self._tracks.append(track)

    def _remember(self) -> None:
        """Keep the motion of every face that overlaps no other, for when it is hidden."""
        boxes = np.array([track.box if track.seen else track.motion.box for track in self._tracks]).reshape(-1, 4)
        overlap = box_iou(boxes, boxes)
        np.fill_diagonal(overlap, 0.0)
        for track, most in zip(self._tracks, overlap.max(axis=1, initial=0.0), strict=True):
            if track.seen and most < OVERLAP:
                track.remember()


def _surprise(track: Track, time: float) -> float:
    """Return how far a track's points are from where its motion, as it was last free, leads."""
    free = track.free.copy()
    free.predict(time)
    return free.distance(track.box)


def _strangeness(old: Track, new: Track, time: float) -> float:
    """Return what speaks against a new face being an old one; above 1 it is not.

    The centre may be off by half a face, and by one more for each half second that the face was not seen; the size by a
    factor of 1.6. The shape (after a similarity) decides where both leave it open.
    """
    gap = time - old.last
    off = new.motion.centre - old.motion.centre
    away = float(np.hypot(*off)) / old.motion.size / (0.5 + 2.0 * gap)
    grown = abs(math.log(new.size / old.motion.size)) / math.log(1.6)
    if away > 1 or grown > 1:
        return math.inf
    return (away + grown) / 3 + min(1.0, shape_distance(old.xy, new.xy) / 0.4) / 3
