"""Faces that are followed: crossings, occlusions, faces that leave and come, and when the detector runs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fiducia.errors import UsageError
from fiducia.video.loop import FaceTracker, TrackerOptions
from fiducia.video.one_euro import Smoothing

from .scene import IMAGE, SHAPE, Actor, Scene, play


def still(x: float, y: float) -> object:
    return lambda time: (x, y)


def line(x: float, y: float, dx: float, dy: float = 0.0) -> object:
    return lambda time: (x + dx * time, y + dy * time)


def ids(shown: list[dict[int, int]], actor: int) -> set[int]:
    return {own[actor] for own in shown if actor in own}


def test_a_face_keeps_its_number_and_the_detector_rests() -> None:
    scene = Scene([Actor(line(100, 150, 200))])
    shown, follow = play(scene, 2.0, TrackerOptions(smoothing=None, every=15))
    assert shown == [{0: 0}] * 60
    assert follow.detections == scene.runs == 4  # frames 0, 15, 30 and 45
    assert scene.looks == 1 + 59


def test_a_new_face_is_found_by_the_next_run_and_gets_the_next_number() -> None:
    scene = Scene([Actor(still(100, 150)), Actor(lambda time: (400, 150) if time > 0.21 else None)])
    shown, _ = play(scene, 1.0, TrackerOptions(smoothing=None, every=10))
    assert [own.get(1) for own in shown] == [None] * 10 + [1] * 20
    assert ids(shown, 0) == {0}


@pytest.mark.parametrize("speed", [120, 240, 450])
@pytest.mark.parametrize("sizes", [(1.0, 1.0), (1.0, 1.25)])
def test_two_faces_cross_and_keep_their_numbers(speed: float, sizes: tuple[float, float]) -> None:
    way = 400 / speed
    front = Actor(line(120, 180, speed), size=sizes[0], depth=0)
    behind = Actor(line(520, 185, -speed), size=sizes[1], depth=1)
    scene = Scene([front, behind])
    shown, _ = play(scene, way)
    assert ids(shown, 0) == {0}
    assert ids(shown, 1) == {1}
    hidden = sum(1 not in own for own in shown)
    assert 0 < hidden < 0.5 * len(shown)
    assert shown[-1] == {0: 0, 1: 1}


def test_a_face_that_stops_behind_another_is_not_taken_for_it() -> None:
    behind = Actor(lambda time: (300 + 150 * max(0.0, 1 - time) + 150 * max(0.0, time - 1.6), 180), depth=1)
    shown, _ = play(Scene([Actor(still(300, 178)), behind]), 3.0)
    assert ids(shown, 0) == {0}
    assert ids(shown, 1) == {1}
    assert shown[-1] == {0: 0, 1: 1}


def test_a_short_occlusion_keeps_the_number_and_a_long_one_does_not() -> None:
    for gap, expected in ((0.5, {0}), (3.0, {0, 1})):
        scene = Scene([Actor(lambda time, gap=gap: None if 1 < time < 1 + gap else (200 + 60 * min(time, 1.5), 150))])
        shown, _ = play(scene, 5.0)
        assert ids(shown, 0) == expected
        assert shown[-1] != {}


def test_where_place_and_size_leave_it_open_the_shape_tells_who_is_who() -> None:
    wide = SHAPE * [1.25, 0.8]
    # Each could have gone to either new place: both are as far from the two old ones.
    first = Actor(lambda time: (260, 150) if time <= 1 else None if time < 1.5 else (300, 200))
    second = Actor(lambda time: (260, 250) if time <= 1 else None if time < 1.5 else (220, 200), shape=wide)
    shown, _ = play(Scene([first, second]), 2.0)
    assert (ids(shown, 0), ids(shown, 1)) == ({0}, {1})


def test_a_face_that_leaves_the_frame_is_gone_and_costs_no_detector() -> None:
    scene = Scene([Actor(line(560, 150, 150))])
    shown, follow = play(scene, 3.0, TrackerOptions(smoothing=None, every=15))
    assert shown[-1] == {}
    assert follow.detections <= 3 * 30 / 15 + 3


def test_no_face_at_all_runs_the_detector_now_and_then() -> None:
    scene = Scene([])
    _, follow = play(scene, 2.0, TrackerOptions(smoothing=None, every=15))
    assert follow.detections == 4


def test_a_doubtful_detection_begins_no_track_but_keeps_one() -> None:
    options = TrackerOptions(smoothing=None, min_score=0.7, every=5)
    scene = Scene([Actor(still(200, 150), score=0.5)])
    shown, _ = play(scene, 1.0, options)
    assert shown == [{}] * 30
    actor = Actor(still(200, 150))
    scene = Scene([actor])
    follow = FaceTracker(scene, options)
    for i in range(60):
        actor.score = 0.9 if i < 5 else 0.5
        assert [f.id for f in follow(IMAGE, i / 30)] == [0]


def test_a_face_that_the_detector_never_sees_again_is_lost_after_some_runs() -> None:
    actor = Actor(still(200, 150))
    scene = Scene([actor])
    follow = FaceTracker(scene, TrackerOptions(smoothing=None, every=5))
    counts = []
    for i in range(60):
        if i == 1:
            scene.find_faces = lambda image: []  # type: ignore[method-assign]
        counts.append(len(follow(IMAGE, i / 30)))
    assert counts[:20] == [1] * 20
    assert counts[-1] == 0


def test_a_drop_of_confidence_asks_the_detector_at_once() -> None:
    actor = Actor(still(200, 150))
    scene = Scene([actor])
    follow = FaceTracker(scene, TrackerOptions(smoothing=None, every=100))
    for i in range(10):
        follow(IMAGE, i / 30)
    assert scene.runs == 1
    actor.sure = 0.3
    assert [f.id for f in follow(IMAGE, 10 / 30)] == [0]
    assert scene.runs == 2
    # The detector confirmed it: the lower confidence is the usual one now.
    for i in range(11, 20):
        follow(IMAGE, i / 30)
    assert scene.runs == 2


def test_a_cut_to_another_place_finds_the_faces_there_under_new_numbers() -> None:
    shown, _ = play(Scene([Actor(lambda time: (100, 100) if time < 1 else (500, 260))]), 2.0)
    assert ids(shown, 0) == {0, 1}
    assert sum(own == {} for own in shown) == 0


def test_an_uneven_frame_rate_is_followed() -> None:
    rng = np.random.default_rng(0)
    scene = Scene([Actor(lambda time: (300 + 150 * math.sin(2 * time), 180))])
    follow = FaceTracker(scene)
    time = 0.0
    for _ in range(80):
        scene.time = time
        (face,) = follow(IMAGE, time)
        assert face.id == 0
        time += float(rng.choice([0.008, 0.033, 0.1]))


def test_smoothing_keeps_a_resting_face_calm_and_leaves_the_loop_alone() -> None:
    rng = np.random.default_rng(0)

    class Noisy(Scene):
        def look(self, image, where, passes):  # type: ignore[no-untyped-def]
            faces = super().look(image, where, passes)
            return [
                type(f)(**{**f.__dict__, "xy": f.xy + rng.normal(0, 0.5, f.xy.shape).astype(np.float32)}) for f in faces
            ]

    jumps = []
    for smoothing in (None, Smoothing()):
        scene = Noisy([Actor(still(200, 150))])
        follow = FaceTracker(scene, TrackerOptions(smoothing=smoothing))
        xy = np.array([follow(IMAGE, i / 30)[0].xy for i in range(60)])
        jumps.append(float(np.abs(np.diff(xy[10:], axis=0)).mean()))
    assert jumps[1] < 0.6 * jumps[0]


def test_wrong_use_is_said() -> None:
    follow = FaceTracker(Scene([]))
    follow(IMAGE, 1.0)
    with pytest.raises(UsageError, match=r"a frame at 1.0 seconds after one at 1.0"):
        follow(IMAGE, 1.0)
    with pytest.raises(UsageError, match="every = 0"):
        TrackerOptions(every=0)
    with pytest.raises(UsageError, match="memory = nan"):
        TrackerOptions(memory=math.nan)
    with pytest.raises(UsageError, match="min_confidence = nan; expected a confidence"):
        TrackerOptions(min_confidence=math.nan)
    for wrong in (-1.0, math.nan, math.inf):
        with pytest.raises(UsageError, match=f"smoothing: cutoff = {wrong}; expected a number of 0 or more"):
            Smoothing(cutoff=wrong)


def test_a_face_is_shown_where_its_quality_is_high_enough() -> None:
    hand = Actor(still(100, 150), quality=lambda time: 0.1)
    blurred = Actor(still(300, 150), quality=lambda time: 0.2 if 0.31 < time < 0.62 else 0.9)
    scene = Scene([hand, blurred, Actor(still(500, 150))])
    shown, _ = play(scene, 1.0, TrackerOptions(smoothing=None, min_quality=0.5))
    assert ids(shown, 0) == set()
    assert [own.get(1) for own in shown] == [0] * 10 + [None] * 9 + [0] * 11  # the hand took no number
    assert ids(shown, 2) == {1}
