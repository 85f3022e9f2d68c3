"""Faces as arrays while they are gathered: what a view gave, in the photograph's pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..geometry import affine_apply
from ..structures import Detection
from .base import Array, best_first, keep_surest, probability

__all__ = ["Candidates"]

_OVERLAP, _INSIDE = 0.35, 0.7
"""Two boxes of one face overlap by more than this IoU, or one holds more than this part of the other."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """N faces that were found, before their score is a probability.

    Attributes:
        head: ``(N, 4)`` squares about the centres of the network's own boxes, of the same area. Which way up the network
            took a face for does not move them, so doubles are told by them.
        own: ``(N, 4)`` landmark boxes in each face's own frame: to be turned by ``roll`` about their centres.
        roll: ``(N,)`` angle of each face, radians.
        tilt: ``(N,)`` the same within the view in which the face was seen.
        points: ``(N, 5, 2)`` right eye, left eye, nose tip, right and left corner of the mouth.
        score: ``(N,)`` the network's own score in [0, 1].
    """

    head: Array
    own: Array
    roll: Array
    tilt: Array
    points: Array
    score: Array

    @classmethod
    def none(cls) -> Candidates:
        """Return no face."""
        zero = np.zeros(0)
        return cls(np.zeros((0, 4)), np.zeros((0, 4)), zero, zero, np.zeros((0, 5, 2)), zero)

    @classmethod
    def join(cls, parts: Sequence[Candidates]) -> Candidates:
        """Return all faces of several views, surest first, without the doubles of surer ones."""
        whole = cls(
            np.concatenate([p.head for p in parts]),
            np.concatenate([p.own for p in parts]),
            np.concatenate([p.roll for p in parts]),
            np.concatenate([p.tilt for p in parts]),
            np.concatenate([p.points for p in parts]),
            np.concatenate([p.score for p in parts]),
        )
        return whole.take(keep_surest(whole.head, whole.score, _OVERLAP, _INSIDE))

    def __len__(self) -> int:
        return len(self.score)

    @property
    def boxes(self) -> Array:
        """``(N, 4)`` upright boxes round the faces: of the ellipse that fills each own box, as landmarks do."""
        c, s = np.cos(self.roll), np.sin(self.roll)
        w, h = self.sides.T
        half = np.stack([np.hypot(w * c, h * s), np.hypot(w * s, h * c)], axis=1) / 2
        return np.concatenate([self.centres - half, self.centres + half], axis=1)

    @property
    def centres(self) -> Array:
        """``(N, 2)``."""
        return _centres(self.own)

    @property
    def sides(self) -> Array:
        """``(N, 2)`` width and height in each face's own frame."""
        return self.own[:, 2:] - self.own[:, :2]

    @property
    def quarters(self) -> npt.NDArray[np.int64]:
        """``(N,)`` how often the photograph was turned counter-clockwise by 90 degrees when each face was seen, 0 to 3."""
        # Such a turn shows those faces upright that are turned clockwise by as much.
        return np.rint((self.roll - self.tilt) / (np.pi / 2)).astype(np.int64) % 4

    def take(self, which: np.ndarray) -> Candidates:
        """Return some of the faces, by places or by a mask."""
        parts = (self.head, self.own, self.roll, self.tilt, self.points, self.score)
        return Candidates(*(part[which] for part in parts))

    def mapped(self, to_photo: Array) -> Candidates:
        """Return the faces of a view in the photograph's pixels.

        Args:
            to_photo: ``(2, 3)`` affine; but for rounding a similarity without reflection.
        """
        linear = to_photo[:, :2]
        grow = np.sqrt(np.linalg.det(linear))
        angle = np.arctan2(linear[1, 0] - linear[0, 1], linear[0, 0] + linear[1, 1])

        def moved(boxes: Array) -> Array:
            centres, half = affine_apply(to_photo, _centres(boxes)), grow * (boxes[:, 2:] - boxes[:, :2]) / 2
            return np.concatenate([centres - half, centres + half], axis=1)

        roll = (self.roll + angle + np.pi) % (2 * np.pi) - np.pi
        return Candidates(
            moved(self.head), moved(self.own), roll, self.tilt, affine_apply(to_photo, self.points), self.score
        )

    def inside(self, width: int, height: int) -> Candidates:
        """Return the faces whose centre lies in the photograph."""
        x, y = self.centres.T
        return self.take((x >= -0.5) & (y >= -0.5) & (x <= width - 0.5) & (y <= height - 0.5))

    def detections(self, slope: float, offset: float, min_score: float) -> list[Detection]:
        """Return the faces of enough probability, best first.

        Args:
            slope: of the calibration of the score's log-odds.
            offset: of the same.
            min_score: least probability.
        """
        s = np.clip(self.score, 1e-6, 1 - 1e-6)
        sure = probability(np.log(s / (1 - s)), slope, offset)
        boxes = self.boxes
        return best_first(
            [
                Detection(box=boxes[i], score=float(sure[i]), points=self.points[i], own_box=self.own[i])
                for i in np.flatnonzero(sure >= min_score)
            ]
        )


def _centres(boxes: Array) -> Array:
    return (boxes[:, :2] + boxes[:, 2:]) / 2
