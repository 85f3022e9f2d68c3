"""The One-Euro filter against its equations, and what it is for: calm at rest, prompt in motion, in any units."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fiducia.metrics.video import flicker, lag
from fiducia.video.one_euro import OneEuro, PointFilter, Smoothing

RNG = np.random.default_rng(0)
FACE = RNG.uniform(-50, 50, (20, 2))


def by_hand(values: list[float], times: list[float], cutoff: float, slope: float, speed_cutoff: float) -> list[float]:
    """The paper's algorithm for one number, written out."""
    out, speed = [values[0]], 0.0
    for i in range(1, len(values)):
        dt = times[i] - times[i - 1]

        def share(hz: float, dt: float = dt) -> float:
            return 1 / (1 + 1 / (2 * math.pi * hz) / dt)

        speed = share(speed_cutoff) * (values[i] - out[-1]) / dt + (1 - share(speed_cutoff)) * speed
        a = share(cutoff + slope * abs(speed))
        out.append(a * values[i] + (1 - a) * out[-1])
    return out


def test_it_is_the_papers_filter_at_uneven_times() -> None:
    times = np.cumsum(RNG.uniform(0.01, 0.1, 50)).tolist()
    values = RNG.normal(0, 1, 50).cumsum().tolist()
    one = OneEuro(1.2, 0.7, 1.5)
    found = [float(one(np.array([[v, 0.0]]), t, 1.0)[0, 0]) for v, t in zip(values, times, strict=True)]
    assert found == pytest.approx(by_hand(values, times, 1.2, 0.7, 1.5), abs=1e-9)


def test_every_place_has_a_cutoff_of_its_own() -> None:
    both, alone = OneEuro(1.0, 5.0, 2.0), OneEuro(1.0, 5.0, 2.0)
    for i in range(40):
        pair = both(np.array([[100 * i / 30, 0.0], [math.sin(i), 0.0]]), i / 30, 50.0)
        assert pair[1] == pytest.approx(alone(np.array([[math.sin(i), 0.0]]), i / 30, 50.0)[0])


def test_a_time_that_stands_still_changes_nothing() -> None:
    one = OneEuro()
    first = one(FACE, 1.0, 100.0)
    np.testing.assert_array_equal(one(FACE + 5, 1.0, 100.0), first)


def run(points: np.ndarray, size: float = 100.0, rate: float = 30.0) -> np.ndarray:
    one = PointFilter()
    return np.array([one(p, i / rate, size) for i, p in enumerate(points)])


@pytest.mark.parametrize("factor", [0.1, 1.0, 20.0])
def test_the_size_of_the_face_is_the_unit(factor: float) -> None:
    points = FACE + RNG.normal(0, 0.5, (40, 20, 2)) + np.arange(40)[:, None, None] * [3.0, 1.0]
    np.testing.assert_allclose(run(factor * points, factor * 100), factor * run(points), rtol=1e-9, atol=1e-7)


def test_a_face_at_rest_is_calm() -> None:
    points = FACE + RNG.normal(0, 0.4, (120, 20, 2))
    assert flicker(run(points)[10:], 100.0) < 0.5 * flicker(points[10:], 100.0)


@pytest.mark.parametrize("speed", [0.3, 1.0, 3.0])
def test_a_moving_face_is_followed_within_a_frame(speed: float) -> None:
    t = np.arange(120) / 30
    away = speed * 100 / (2 * math.pi * 0.6) * np.sin(2 * math.pi * 0.6 * t)
    true = FACE + np.stack([away, 0.5 * away], axis=1)[:, None]
    assert lag(run(true + RNG.normal(0, 0.3, true.shape)), true) <= 1.0


def test_a_blink_keeps_its_height() -> None:
    t = np.arange(60) / 30
    blink = np.where(np.abs(t - 1) < 0.15, 4.5 * 0.5 * (1 + np.cos(2 * math.pi * (t - 1) / 0.3)), 0)
    points = np.tile(FACE, (60, 1, 1))
    points[:, :3, 1] += blink[:, None]
    found = run(points)
    assert (found[:, :3, 1] - FACE[:3, 1]).max(axis=0).min() > 0.85 * 4.5
    # What does not move stays.
    assert np.abs(found[:, 3:] - FACE[3:]).max() < 0.5


def test_a_face_that_turns_and_grows_keeps_its_shape() -> None:
    angle, size = np.linspace(0, 1.0, 60), np.linspace(1, 1.5, 60)
    z = (FACE[:, 0] + 1j * FACE[:, 1])[None] * (size * np.exp(1j * angle))[:, None]
    true = np.stack([z.real, z.imag], axis=-1)
    found = run(true)
    # Late, but not bent: a similarity of the true shape.
    for shape in found[5:]:
        w = shape[:, 0] + 1j * shape[:, 1]
        base = FACE[:, 0] + 1j * FACE[:, 1]
        fit = np.vdot(base - base.mean(), w) / np.vdot(base - base.mean(), base - base.mean())
        assert np.abs(w - w.mean() - fit * (base - base.mean())).max() < 1e-6
    assert np.abs(found[-1] - true[-1]).max() < 4


def test_points_in_one_spot_come_back() -> None:
    np.testing.assert_array_equal(PointFilter(Smoothing())(np.ones((5, 2)), 0.0, 1.0), np.ones((5, 2)))
