"""Association, motion and shapes, each against values that are known."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from fiducia.geometry import five_point_roll
from fiducia.video.association import assign, associate
from fiducia.video.motion import Motion
from fiducia.video.track import _leaning, shape_distance, turn_between

RNG = np.random.default_rng(0)


def box(x: float, y: float, side: float = 100.0) -> list[float]:
    return [x - side / 2, y - side / 2, x + side / 2, y + side / 2]


def test_sure_detections_go_first_and_doubtful_ones_to_what_is_left() -> None:
    tracks = [box(100, 100), box(300, 100)]
    found = [box(305, 100), box(104, 100), box(100, 100), box(500, 100), box(700, 100)]
    result = associate(tracks, [True, True], found, [0.4, 0.9, 0.4, 0.9, 0.3], 0.7)
    assert result.pairs == [(0, 1), (1, 0)]
    assert result.new == [3]


def test_a_lost_track_takes_sure_detections_only() -> None:
    assert associate([box(100, 100)], [False], [box(100, 100)], [0.5], 0.7).pairs == []
    assert associate([box(100, 100)], [False], [box(100, 100)], [0.8], 0.7).pairs == [(0, 0)]


def test_boxes_that_hardly_overlap_are_no_pair() -> None:
    assert associate([box(100, 100)], [True], [box(170, 100)], [0.9], 0.7).pairs == []
    assert associate([], [], [box(170, 100)], [0.9], 0.7) == ([], [0])
    assert associate([box(1, 1)], [True], [], [], 0.7) == ([], [])


def test_the_assignment_is_the_best_of_all() -> None:
    for _ in range(30):
        cost = RNG.uniform(0, 1, (4, 5))
        pairs = assign(cost, 10.0)
        best = min(sum(cost[i, c] for i, c in enumerate(p)) for p in itertools.permutations(range(5), 4))
        assert sum(cost[pair] for pair in pairs) == pytest.approx(best)
    # A pair that is too dear is left out, and never bought by a cheap one.
    assert assign(np.array([[0.1, np.inf], [0.2, np.inf]]), 1.0) == [(0, 0)]


def test_motion_learns_a_speed_and_keeps_it() -> None:
    motion = Motion(box(100, 100), 0.0)
    for i in range(1, 31):
        motion.predict(i / 30)
        motion.update(box(100 + 6 * i, 100 - 3 * i))
    assert motion.speed == pytest.approx(math.hypot(180, 90) / 100, rel=0.02)
    motion.predict(1.2)
    np.testing.assert_allclose(motion.centre, [100 + 180 * 1.2, 100 - 90 * 1.2], atol=2)
    np.testing.assert_allclose(motion.box, box(316, -8), atol=3)


def test_a_face_that_is_not_seen_slows_down() -> None:
    motion = Motion(box(100, 100), 0.0)
    for i in range(1, 31):
        motion.predict(i / 30)
        motion.update(box(100 + 6 * i, 100))
    for i in range(31, 150):
        motion.predict(i / 30, seen=False)
    # The whole way on is speed x 1 s.
    assert motion.centre[0] == pytest.approx(100 + 180 + 180, rel=0.05)


def test_motion_does_not_care_about_the_frame_rate() -> None:
    places = []
    for rate in (15, 60):
        motion = Motion(box(100, 100), 0.0)
        for i in range(1, 2 * rate + 1):
            motion.predict(i / rate)
            motion.update(box(100 + 50 * i / rate, 100, 100 + 20 * i / rate))
        motion.predict(2.5)
        places.append(motion.box)
    np.testing.assert_allclose(places[0], places[1], atol=2)


def test_shapes_are_compared_whatever_their_place_turn_and_size() -> None:
    shape = RNG.uniform(-1, 1, (12, 2))
    turn = 0.7
    moved = 3 * shape @ np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]]) + [40, -7]
    assert shape_distance(shape, moved) == pytest.approx(0, abs=1e-7)
    assert turn_between(shape, moved) == pytest.approx(turn)
    assert shape_distance(shape, shape * [-1, 1]) > 0.3  # a mirror image is another shape
    assert shape_distance(shape, np.zeros((12, 2))) == 1.0


@pytest.mark.parametrize("roll", [-2.5, -0.3, 0.0, 0.4, 1.6])
def test_five_points_that_lean(roll: float) -> None:
    assert float(five_point_roll(_leaning(roll))) == pytest.approx(roll)
