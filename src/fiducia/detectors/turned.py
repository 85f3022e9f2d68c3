"""Faces that do not stand upright: which way up is this one, and where exactly is it?

YuNet finds most faces that lie on their side or upside down, with a lower score, but it lays the five points out as if
the face were upright. So the points do not tell the turn; a second look at the face alone, in four turns, does: on
training photographs the right turn had the highest score for 99 of 100 faces (``docs/detect.md``).
"""

from __future__ import annotations

import math

import numpy as np

from .candidates import Candidates
from .views import Pyramid
from .yunet import YuNet

__all__ = ["Upright"]

SIDE = 128
"""Side of the view of one face, in pixels."""
SHARE = 0.39
"""Share of that side that the network's box takes."""
SURE = 0.92
"""From this score on a face is upright: of 3,210 training photographs turned upside down one face had more."""
LIKELY = 0.8
"""From this score on a face is taken for upright where another face of the photograph is: a face on its side has less."""
LEAST = 0.25
"""Below this score a candidate is not worth the look; below ..."""
LEAST_BESIDE = 0.4
"""... this one where another face of the photograph is upright."""
TURNED = 0.8
"""A face that is turned has at least this score when seen upright, ..."""
AHEAD = 0.02
"""... and this much more than in the turn in which it was found."""
CLEAR = 0.15
"""The right one of four turns has at least this much more than the next, or the four turns between them are seen too."""
LOOKS = 6
"""Doubtful faces of a photograph that are looked at, at most."""
TILTED = math.radians(7)
"""YuNet understates the angle of faces that lean further than this, the more the further and the smaller they are seen."""
NEAR_SIDE, NEAR_SHARE = 192, 0.6
"""Side and share of the view that corrects such an angle: a larger picture of the face tells it better."""
TRIES = 2
"""Looks at a face that leans, each turned by the angle that the last one gave."""


class Upright:
    """Second looks at single faces.

    Args:
        network: the detector's own.
    """

    def __init__(self, network: YuNet) -> None:
        self._network = network

    def __call__(self, pyramid: Pyramid, found: Candidates) -> tuple[Candidates, list[int]]:
        """Look at doubtful faces in four turns, or in eight where four do not tell.

        Args:
            pyramid: the photograph.
            found: its faces, surest first.

        Returns:
            The faces, with those that are turned replaced; and the quarter turns (1 to 3, counter-clockwise) of the
            photograph in which these faces stand upright.
        """
        quarters = found.quarters
        kept = np.ones(len(found), dtype=bool)
        better: list[Candidates] = []
        looks, upright = LOOKS, False
        for i in range(len(found)):
            score = float(found.score[i])
            if score >= SURE:
                upright = upright or quarters[i] == 0
                continue
            if looks == 0 or score < (LEAST_BESIDE if upright else LEAST):
                break
            if upright and score >= LIKELY:
                continue
            looks -= 1
            seen = self._best_turn(pyramid, found.take(np.array([i])))
            if seen is None:
                upright = upright or (score >= LIKELY and quarters[i] == 0)
            else:
                kept[i] = False
                better.append(seen)
        if better:
            found = Candidates.join([found.take(kept), *better])
        return found, sorted({int(turn) for turn in found.quarters[found.score >= TURNED]} - {0})

    def refine(self, pyramid: Pyramid, found: Candidates) -> Candidates:
        """Look once more at faces that lean, each turned upright by its own angle, for exact points."""
        leaning = np.flatnonzero(np.abs(found.tilt) > TILTED)[: 2 * LOOKS]
        kept = np.ones(len(found), dtype=bool)
        better: list[Candidates] = []
        for i in leaning:
            face = found.take(np.array([i]))
            for _ in range(TRIES):
                seen = self._look(pyramid, face, float(face.roll[0]), NEAR_SIDE, NEAR_SHARE)
                if not len(seen) or seen.score[0] < found.score[i] - AHEAD:
                    break
                face = seen
                if abs(face.tilt[0]) <= TILTED:
                    break
            kept[i] = False
            better.append(face)
        return Candidates.join([found.take(kept), *better]) if better else found

    def _best_turn(self, pyramid: Pyramid, face: Candidates) -> Candidates | None:
        """Return a doubtful face as it looks in its right turn, or None where it was seen in that turn."""
        angle = float(face.roll[0] - face.tilt[0])
        base = self._look(pyramid, face, angle)
        if _score(base) >= SURE:
            return None
        right = math.pi / 2
        looks = [base] + [self._look(pyramid, face, angle + quarter * right) for quarter in (1, 2, 3)]
        best, second = sorted((_score(look) for look in looks), reverse=True)[:2]
        if best < SURE and best - second < CLEAR:
            # A face that stands between two turns looks much the same in several.
            looks += [self._look(pyramid, face, angle + (quarter + 0.5) * right) for quarter in range(4)]
        best_look = max(looks[1:], key=_score)
        return best_look if _score(best_look) >= max(TURNED, _score(base) + AHEAD) else None

    def _look(
        self, pyramid: Pyramid, face: Candidates, angle: float, size: int = SIDE, share: float = SHARE
    ) -> Candidates:
        """Return what stands in the middle of a view of one face alone: one face, or none."""
        head = face.head[0]
        side = float(head[2] - head[0])
        seen = self._network(pyramid.face(head, angle, size, share))
        away = np.linalg.norm(seen.head[:, :2] + seen.head[:, 2:] - head[:2] - head[2:], axis=1) / 2
        alike = np.abs(np.log((seen.head[:, 2] - seen.head[:, 0]) / side)) < math.log(2.0)
        return seen.take(np.flatnonzero((away < 0.4 * side) & alike)[:1])


def _score(face: Candidates) -> float:
    return float(face.score.max(initial=0.0))
