"""One tracked face: its motion, its last points, and whether a new look at it can be right."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ..faces.face import Face
from ..geometry import five_point_roll, tight_box
from ..schemes.sets import Scheme, conversion, convert
from ..structures import Detection
from .motion import Motion
from .one_euro import PointFilter, Smoothing

__all__ = ["Track", "shape_distance", "turn_between"]

Array = npt.NDArray[np.float64]

SIZE_STEP = math.log(1.5)
"""A face does not grow or shrink by more than this factor between two looks, ..."""
CENTRE_STEP = 0.6
"""... nor is it further from where it is expected than this many face sizes, ..."""
SHAPE_STEP = 0.25
"""... nor are its points, laid over those before, off by more than this share of its size (root mean square)."""
WELL = 0.9
"""A face is seen well from this share of its best confidence on."""
STALE = 1.0
"""A motion that is older than this many seconds says nothing of where the face is."""
QUICK, SLOW = 0.3, 0.01
"""How soon the mean confidence follows a frame that is surer, and one that is less sure."""
INSIDE = 0.5
"""A face of which less than this share of the points lies in the frame has left it."""


class Track:
    """A face that is followed.

    Args:
        face: as it was found.
        roll: its angle in the picture, in radians.
        time: of the frame, in seconds.
        smoothing: of the points; None = they are left as they are.

    Attributes:
        number: the track's own number, which is the ``id`` of its faces; -1 until it has one.
        xy: float64 ``(K, 2)`` the last points in pixels, not smoothed.
        roll: angle of the face in the last frame.
        sure: mean confidence that the points of a good look have lately, in [0, 1]; a look far below is doubtful.
        best: the same over a longer time.
        misses: detector runs in a row that did not see this face.
        seen: it was found in the last frame; False = lost.
        last: seconds of the frame in which it was last found.
        free: its motion when it was last seen well: sure, and beside no other face. What covers a face drags its points
            along before it is lost, so the last motion is not to be trusted.
    """

    def __init__(self, face: Face, roll: float, time: float, smoothing: Smoothing | None) -> None:
        self.number = -1
        self.smoothing = smoothing
        self.motion = self.free = Motion(tight_box(face.xy), time)
        self.best = 0.0
        self.restart(face, roll, time)

    def restart(self, face: Face, roll: float, time: float) -> None:
        """Begin again where the face was found anew; number and motion go on."""
        self.xy = face.xy.astype(np.float64)
        self.face = face
        self._first, self._first_roll = self.xy, roll
        self._five = _gives_five(face.scheme)
        self.roll = roll
        self.sure = float(face.confidence.mean())
        self.best = max(self.best, self.sure)
        self.misses = 0
        self.seen = True
        self.last = time
        self._filter = PointFilter(self.smoothing) if self.smoothing is not None else None
        self._shown: Array = self.xy
        self._smooth(time)
        self.motion.predict(time)
        self.motion.update(self.box)
        self.remember()

    @property
    def box(self) -> Array:
        """The tight box ``(4,)`` of the last points, in pixels."""
        return tight_box(self.xy)

    @property
    def size(self) -> float:
        """Square root of the area of that box."""
        x1, y1, x2, y2 = self.box
        return max(1.0, math.sqrt((x2 - x1) * (y2 - y1)))

    def region(self) -> Detection:
        """Return where to look for the face now: its last points, moved as its motion says, in its own frame."""
        x1, y1, x2, y2 = self.box
        moved = self.xy + (self.motion.centre - [(x1 + x2) / 2, (y1 + y2) / 2])
        return Detection(
            box=tight_box(moved), score=self.face.score, points=_leaning(self.roll), own_box=tight_box(moved, self.roll)
        )

    def plausible(self, face: Face, height: int, width: int, least: float) -> bool:
        """Whether a look can show this face: sure enough, and neither its size nor its place nor its shape jumped.

        Args:
            face: what the look gave.
            height: of the frame, in pixels.
            width: of the frame, in pixels.
            least: least mean confidence.
        """
        xy = face.xy.astype(np.float64)
        if float(face.confidence.mean()) < least or not self.inside(xy, height, width):
            return False
        box = tight_box(xy)
        off = (box[:2] + box[2:]) / 2 - self.motion.centre
        size = max(1.0, math.sqrt(float((box[2:] - box[:2]).prod())))
        jumped = abs(math.log(size / self.size)) > SIZE_STEP or float(np.hypot(*off)) > CENTRE_STEP * self.size
        return not jumped and shape_distance(self.xy, xy) < SHAPE_STEP

    def inside(self, xy: Array, height: int, width: int) -> bool:
        """Whether enough of the points lie in the frame."""
        share = ((xy >= -0.5) & (xy < [width - 0.5, height - 0.5])).all(axis=1).mean()
        return bool(share >= INSIDE)

    def follow(self, face: Face, time: float) -> None:
        """Take a look over as the face's new place."""
        self.xy = face.xy.astype(np.float64)
        self.face = face
        if self._five:
            self.roll = float(five_point_roll(convert(self.xy, face.scheme, "five")))
        else:
            self.roll = self._first_roll + turn_between(self._first, self.xy)
        confidence = float(face.confidence.mean())
        self.sure += (QUICK if confidence > self.sure else SLOW) * (confidence - self.sure)
        self.best += (QUICK if confidence > self.best else SLOW) * (confidence - self.best)
        self.seen, self.last = True, time
        self.motion.update(self.box)
        self._smooth(time)

    def remember(self) -> None:
        """Keep the motion for when the face is hidden, if the face is seen well."""
        if float(self.face.confidence.mean()) >= WELL * self.best:
            self.free = self.motion.copy()

    def lose(self) -> None:
        """Take the face as lost; it may be found again near where its motion led when it was last seen well."""
        self.seen = False
        now = self.motion.time
        if now - self.free.time <= STALE:
            self.motion = self.free.copy()
            self.motion.predict(now)

    def shown(self) -> Face:
        """Return the face of the present frame, with smoothed points and the track's number."""
        xy, box = self._shown.astype(np.float32), tight_box(self._shown).astype(np.float32)
        return replace(self.face, xy=xy, box=box, id=self.number)

    def _smooth(self, time: float) -> None:
        self._shown = self.xy if self._filter is None else self._filter(self.xy, time, self.size)


def shape_distance(a: Array, b: Array) -> float:
    """Return how far two shapes are apart once one is moved, turned and scaled onto the other.

    Args:
        a: ``(K, 2)``.
        b: ``(K, 2)``.

    Returns:
        The root mean square of the distances left, as a share of the size of ``b`` (root mean square distance from
        its mean): 0 = the same shape, about 1 = nothing in common.
    """
    p, q = _complex(a), _complex(b)
    norm_p, norm_q = float(np.vdot(p, p).real), float(np.vdot(q, q).real)
    if norm_p <= 0 or norm_q <= 0:
        return 1.0
    alike = float(abs(np.vdot(p, q))) ** 2 / (norm_p * norm_q)
    return math.sqrt(max(0.0, 1 - alike))


def turn_between(a: Array, b: Array) -> float:
    """Return the angle in radians by which shape ``a`` is turned to lie over ``b``; positive is clockwise as seen."""
    return float(np.angle(np.vdot(_complex(a), _complex(b))))


def _complex(xy: Array) -> npt.NDArray[np.complex128]:
    """Return points as complex numbers about their mean: a similarity is then a product with one number."""
    z = xy[:, 0] + 1j * xy[:, 1]
    centred: npt.NDArray[np.complex128] = z - z.mean()
    return centred


def _gives_five(scheme: Scheme) -> bool:
    try:
        return len(conversion(scheme, "five")) == 5
    except ValueError:
        return False


def _leaning(roll: float) -> Array:
    """Return five points whose angle is ``roll``; a crop needs no more of them."""
    upright = np.array([[-1.0, -1.0], [1.0, -1.0], [0.0, 0.0], [-1.0, 1.0], [1.0, 1.0]])
    c, s = math.cos(roll), math.sin(roll)
    return upright @ np.array([[c, s], [-s, c]])
