"""What a predictor does with videos: follow faces from frame to frame."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from ..detectors.base import check_image
from ..detectors.boxes import BoxesFile
from ..detectors.registry import Scored
from ..errors import FiduciaError, UsageError
from ..faces.face import Face
from ..faces.photo import PhotoRef
from ..images import Image, Photo
from ..structures import Detection, Detector
from ..video.frames import Frame, Source
from ..video.loop import FaceTracker, TrackerOptions
from ..video.one_euro import Smoothing
from ..video.opening import check_seconds
from .batches import Found
from .inputs import open_clip

__all__ = ["Following"]

_DOUBTFUL_SCORE = 0.3
"""In a video the detector also tells faces of this score; they confirm tracks."""


class Following:
    """The part of :class:`fiducia.predict.predictor.Predictor` that takes videos."""

    detector: Detector | BoxesFile | None
    batch_size: int
    max_pixels: int
    passes: int | None
    min_quality: float

    if TYPE_CHECKING:

        def find(self, image: Any, boxes: Any = None) -> Found:
            """As in the predictor."""

        def _points(
            self, images: Sequence[Image], faces: Sequence[Detection], names: Sequence[str], wanted: int | None
        ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float32]]: ...

        def _faces(
            self,
            xy: npt.NDArray[np.float64],
            confidence: npt.NDArray[np.float32],
            found: Sequence[Detection],
            photos: Sequence[PhotoRef],
        ) -> list[Face]: ...

    def find_faces(self, image: Image) -> Sequence[Detection]:
        """Return the faces that the detector sees in an RGB array, best first."""
        return self.find(Photo("frame", image))[1]

    def look(self, image: Image, where: Sequence[Detection], passes: int | None = None) -> list[Face]:
        """Return the face at each place of an RGB array, in batches, without the detector.

        Args:
            image: uint8 ``(H, W, 3)``.
            where: boxes, and angles where they have points.
            passes: 1 = crop by the box alone; 2 and more = again by the points; None = as for photographs.

        Raises:
            FiduciaError: another kind of array.
        """
        image = check_image(image)
        photo = PhotoRef.of(Photo("frame", image))
        faces: list[Face] = []
        for start in range(0, len(where), self.batch_size):
            part = where[start : start + self.batch_size]
            count = len(part)
            xy, confidence = self._points([image] * count, part, ["frame"] * count, passes or self.passes)
            faces += self._faces(xy, np.clip(confidence, 0.0, 1.0), part, [photo] * count)
        return faces

    def tracker(
        self, *, every: int = 15, smooth: bool | Smoothing = True, memory: float = 1.5, min_confidence: float = 0.05
    ) -> FaceTracker:
        """Return what follows faces from frame to frame: call it with each frame (RGB array) and its time in seconds.

        Args:
            every: the detector looks for new faces in every so-many-th frame.
            smooth: smooth the points in time, with the usual settings or others; False = leave them as they are.
            memory: seconds for which a lost face keeps its number.
            min_confidence: least mean confidence of a face's points.

        Raises:
            UsageError: there is no detector, or a value is out of its range.

        Example:
            >>> import fiducia, numpy as np
            >>> follow = fiducia.load("fifa_tiny", device="cpu").tracker()
            >>> [follow(np.zeros((120, 160, 3), np.uint8), i / 30) for i in range(3)]
            [[], [], []]
        """
        if self.detector is None or isinstance(self.detector, BoxesFile):
            raise UsageError("a video needs a detector that looks at pictures, such as detector='auto'")
        smoothing = smooth if isinstance(smooth, Smoothing) else Smoothing() if smooth else None
        looker, sure = copy.copy(self), 0.0
        if isinstance(self.detector, Scored):
            # Doubtful faces do not begin a track, but they confirm one.
            sure = self.detector.min_score
            doubting = copy.copy(self.detector)
            doubting.min_score = min(sure, _DOUBTFUL_SCORE)
            looker.detector = cast(Detector, doubting)
        options = TrackerOptions(
            every=every,
            memory=memory,
            min_score=sure,
            min_quality=self.min_quality,
            min_confidence=min_confidence,
            smoothing=smoothing,
        )
        return FaceTracker(looker, options)

    def video(
        self,
        source: str | Path | int | Iterable[npt.NDArray[np.uint8]],
        *,
        rate: float = 30.0,
        seconds: float | None = None,
        every: int = 15,
        smooth: bool | Smoothing = True,
        memory: float = 1.5,
    ) -> Iterator[Frame]:
        """Yield the frames of a video with their faces: ``frame.time``, ``frame.image``, ``frame.faces``.

        A face keeps its ``id`` while it is followed. Read the video to its end, or close the iterator, to let go of the
        file or the camera.

        Args:
            source: a video file, a camera's number (0 is the first), or RGB arrays of one size.
            rate: frames per second of arrays.
            seconds: stop after so many seconds; None = at the end.
            every: the detector looks for new faces in every so-many-th frame.
            smooth: smooth the points in time, with the usual settings or others; False = leave them as they are.
            memory: seconds for which a lost face keeps its number.

        Raises:
            FiduciaError: the video cannot be read; or, after its last good frame, it is cut short or the camera is gone.
            UsageError: PyAV is not installed, there is no detector, or a value is out of its range.

        Example:
            >>> import fiducia, numpy as np
            >>> pictures = [np.zeros((120, 160, 3), np.uint8)] * 3
            >>> [len(frame.faces) for frame in fiducia.load("fifa_tiny", device="cpu").video(pictures)]
            [0, 0, 0]
        """
        check_seconds(seconds)
        follow = self.tracker(every=every, smooth=smooth, memory=memory)
        return _frames(open_clip(source, rate=rate, max_pixels=self.max_pixels), follow, seconds)


def _frames(source: Source, follow: FaceTracker, seconds: float | None) -> Iterator[Frame]:
    """Yield the frames of a source with their faces, and close it at the end."""
    start: float | None = None
    try:
        for frame in follow.run(source):
            start = frame.time if start is None else start
            if seconds is not None and frame.time - start >= seconds:
                return
            yield frame
        if source.trouble:
            raise FiduciaError(source.trouble)
    finally:
        source.close()
