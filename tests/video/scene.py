"""A scene of faces whose points are known, and a looker that sees them: no network, no picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from fiducia.faces.face import Face
from fiducia.geometry import box_iou, tight_box
from fiducia.schemes.sets import get_scheme
from fiducia.structures import Detection
from fiducia.video.loop import FaceTracker, TrackerOptions

Array = npt.NDArray[np.float64]

SHAPE = np.array([[-30.0, -25.0], [30.0, -25.0], [0.0, 5.0], [-22.0, 32.0], [22.0, 32.0]])
"""Five points of a face of about 60 x 57 pixels, about its centre."""
IMAGE = np.zeros((360, 640, 3), np.uint8)

__all__ = ["IMAGE", "SHAPE", "Actor", "Scene", "play"]


@dataclass(eq=False)
class Actor:
    """One face.

    Attributes:
        where: time in seconds → centre in pixels, or None while it is out of sight.
        size: factor on :data:`SHAPE`.
        depth: a face of smaller depth hides those behind it.
        shape: its points about its centre.
        score: of the detector.
        sure: confidence of its points.
        quality: time in seconds → quality of its points; None = the weights tell none.
    """

    where: Callable[[float], Sequence[float] | None]
    size: float = 1.0
    depth: float = 0.0
    shape: Array = field(default_factory=lambda: SHAPE)
    score: float = 0.95
    sure: float = 0.8
    quality: Callable[[float], float] | None = None

    def points(self, time: float) -> Array | None:
        """Return its points, or None."""
        at = self.where(time)
        return None if at is None else self.shape * self.size + np.asarray(at, dtype=np.float64)


class Scene:
    """Stands for a predictor.

    Args:
        actors: the faces.
    """

    def __init__(self, actors: Sequence[Actor]) -> None:
        self.actors = actors
        self.time = 0.0
        self.runs = 0
        self.looks = 0

    def visible(self) -> list[tuple[Actor, Array]]:
        """Return the faces that no nearer face covers by more than half, nearest first."""
        seen: list[tuple[Actor, Array]] = []
        for actor in sorted(self.actors, key=lambda a: a.depth):
            xy = actor.points(self.time)
            if xy is not None and all(box_iou(tight_box(xy), tight_box(o))[0, 0] < 0.35 for _, o in seen):
                seen.append((actor, xy))
        return seen

    def find_faces(self, image: npt.NDArray[np.uint8]) -> list[Detection]:
        """Return the boxes of what is visible."""
        self.runs += 1
        return [Detection(box=tight_box(xy), score=actor.score) for actor, xy in self.visible()]

    def look(self, image: npt.NDArray[np.uint8], where: Sequence[Detection], passes: int | None) -> list[Face]:
        """Return the visible face that each box shows most of; without one, nonsense with no confidence."""
        self.looks += len(where)
        scheme = get_scheme("five")
        faces = []
        for detection in where:
            ranked = [(float(box_iou(detection.box, tight_box(xy))[0, 0]), a, xy) for a, xy in self.visible()]
            best = max(ranked, key=lambda entry: entry[0], default=None)
            if best is not None and best[0] > 0.1:
                xy, sure = best[2], best[1].sure
                quality = None if best[1].quality is None else best[1].quality(self.time)
            else:
                centre = (detection.box[:2] + detection.box[2:]) / 2
                xy, sure = centre + np.array([[0.0, 0], [5, 0], [5, 5], [0, 5], [2, 2]]), 0.02
                quality = None
            faces.append(
                Face(
                    xy=xy.astype(np.float32),
                    confidence=np.full(5, sure, np.float32),
                    box=detection.box.astype(np.float32),
                    scheme=scheme,
                    score=detection.score,
                    quality=quality,
                )
            )
        return faces


def play(
    scene: Scene, seconds: float, options: TrackerOptions | None = None, rate: float = 30.0
) -> tuple[list[dict[int, int]], FaceTracker]:
    """Return for each frame (place of a visible actor) → number of the track that shows it, and the tracker."""
    follow = FaceTracker(scene, options or TrackerOptions(smoothing=None))
    shown: list[dict[int, int]] = []
    for i in range(round(seconds * rate)):
        scene.time = i / rate
        faces = follow(IMAGE, scene.time)
        own: dict[int, int] = {}
        for actor, xy in scene.visible():
            near = [f.id for f in faces if np.abs(f.xy - xy).max() < 8]
            if near:
                own[scene.actors.index(actor)] = near[0]
        shown.append(own)
    return shown, follow
