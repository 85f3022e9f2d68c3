"""Faces that do not stand upright: which way up is this one, and where exactly is it?

YuNet finds most faces that lie on their side or upside down, with a lower score, but it lays the five points out as if
the face were upright. So the points do not tell the turn; a second look at the face alone, in four turns, does: on
training photographs the right turn had the highest score for 99 of 100 faces (``docs/detect.md``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from .candidates import Candidates
from .views import Pyramid, View
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
        doubtful = _doubtful(found)
        turns = dict(
            zip(doubtful, self._best_turns(pyramid, [found.take(np.array([i])) for i in doubtful]), strict=True)
        )
        upright = False
        for i, score in enumerate(found.score.tolist()):
            if score >= SURE:
                upright = upright or quarters[i] == 0
            elif score < (LEAST_BESIDE if upright else LEAST):
                break
            elif i in turns and not (upright and score >= LIKELY):
                seen = turns[i]
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
        if not len(leaning):
            return found
        better = [found.take(np.array([i])) for i in leaning]
        waiting = list(range(len(better)))
        for _ in range(TRIES):
            views = [pyramid.face(better[i].head[0], float(better[i].roll[0]), NEAR_SIDE, NEAR_SHARE) for i in waiting]
            looks = self._middles(views, [better[i] for i in waiting])
            seen = {
                i: look
                for i, look in zip(waiting, looks, strict=True)
                if len(look) and look.score[0] >= found.score[leaning[i]] - AHEAD
            }
            for i, look in seen.items():
                better[i] = look
            waiting = [i for i, look in seen.items() if abs(look.tilt[0]) > TILTED]
        kept = np.ones(len(found), dtype=bool)
        kept[leaning] = False
        return Candidates.join([found.take(kept), *better])

    def _best_turns(self, pyramid: Pyramid, faces: Sequence[Candidates]) -> list[Candidates | None]:
        """Return each doubtful face as it looks in its right turn, or None where it was seen in that turn."""
        boxes = [face.head[0] for face in faces]
        angles = [float(face.roll[0] - face.tilt[0]) for face in faces]
        views = [pyramid.face(box, angle, SIDE, SHARE) for box, angle in zip(boxes, angles, strict=True)]
        looks = [[look] for look in self._middles(views, faces)]
        unsure = [i for i, (base,) in enumerate(looks) if _score(base) < SURE]
        self._look_again(looks, faces, {i: [views[i].turned(turn) for turn in (1, 2, 3)] for i in unsure})
        between = {}
        for i in unsure:
            best, second = sorted((_score(look) for look in looks[i]), reverse=True)[:2]
            if best < SURE and best - second < CLEAR:
                # A face that stands between two turns looks much the same in several.
                view = pyramid.face(boxes[i], angles[i] + math.pi / 4, SIDE, SHARE)
                between[i] = [view.turned(turn) for turn in range(4)]
        self._look_again(looks, faces, between)
        found: list[Candidates | None] = [None] * len(faces)
        for i in unsure:
            best_look = max(looks[i][1:], key=_score)
            if _score(best_look) >= max(TURNED, _score(looks[i][0]) + AHEAD):
                found[i] = best_look
        return found

    def _look_again(
        self, looks: list[list[Candidates]], faces: Sequence[Candidates], views: Mapping[int, Sequence[View]]
    ) -> None:
        """Add to the looks at some of the faces."""
        owners = [i for i, several in views.items() for _ in several]
        seen = self._middles([view for several in views.values() for view in several], [faces[i] for i in owners])
        for i, look in zip(owners, seen, strict=True):
            looks[i].append(look)

    def _middles(self, views: Sequence[View], faces: Sequence[Candidates]) -> list[Candidates]:
        """Return what stands in the middle of views that each show one face: one face, or none."""
        found = []
        for seen, face in zip(self._network.several(views), faces, strict=True):
            head = face.head[0]
            side = float(head[2] - head[0])
            away = np.linalg.norm(seen.head[:, :2] + seen.head[:, 2:] - head[:2] - head[2:], axis=1) / 2
            alike = np.abs(np.log((seen.head[:, 2] - seen.head[:, 0]) / side)) < math.log(2.0)
            found.append(seen.take(np.flatnonzero((away < 0.4 * side) & alike)[:1]))
        return found


def _doubtful(found: Candidates) -> list[int]:
    """Return the places of the first faces that are neither sure nor, beside a sure one, likely or hardly seen."""
    sure = bool(((found.score >= SURE) & (found.quarters == 0)).any())
    low, high = (LEAST_BESIDE, LIKELY) if sure else (LEAST, SURE)
    return np.flatnonzero((found.score >= low) & (found.score < high))[:LOOKS].tolist()


def _score(face: Candidates) -> float:
    return float(face.score.max(initial=0.0))
