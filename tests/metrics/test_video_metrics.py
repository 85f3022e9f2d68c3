"""Flicker, lag and changes of identity of videos whose values are known."""

from __future__ import annotations

import numpy as np
import pytest

from fiducia.metrics.video import flicker, identities, lag

RNG = np.random.default_rng(0)


def test_flicker_is_the_jump_of_the_error() -> None:
    noise = RNG.normal(0, 0.5, (4000, 3, 2))
    # Two independent errors of 0.5 in x and in y: sqrt(2 * 2 * 0.25) = 1 pixel of a face of 50.
    assert flicker(noise, 50.0) == pytest.approx(2.0, rel=0.02)
    moving = np.arange(4000)[:, None, None] * [3.0, 1.0] + np.zeros((1, 3, 2))
    assert flicker(moving + noise + 7, 50.0, moving) == pytest.approx(2.0, rel=0.02)
    sizes = np.where(np.arange(4000) < 2000, 50.0, 100.0)
    assert flicker(noise * sizes[:, None, None] / 50, sizes) == pytest.approx(2.0, rel=0.03)


def test_flicker_leaves_out_frames_without_a_face() -> None:
    points = np.array([[[0.0, 0.0]], [[1.0, 0.0]], [[np.nan, np.nan]], [[5.0, 0.0]], [[6.0, 0.0]]])
    assert flicker(points, 10.0) == pytest.approx(10.0)
    with pytest.raises(ValueError, match="at least two frames"):
        flicker(points[:1], 10.0)


@pytest.mark.parametrize("delay", [0.0, 0.4, 1.0, 3.3])
def test_lag_is_found_to_a_part_of_a_frame(delay: float) -> None:
    t = np.arange(120.0)[:, None, None]
    phase = RNG.uniform(0, 6, (1, 5, 2))
    true, late = (10 * np.sin((t - d) / 6 + phase) for d in (0.0, delay))
    late = late + RNG.normal(0, 0.2, late.shape) + 4.0
    assert lag(late, true) == pytest.approx(delay, abs=0.05)
    late[30:35] = np.nan
    assert lag(late, true) == pytest.approx(delay, abs=0.05)
    with pytest.raises(ValueError, match="expected one shape"):
        lag(late[:-1], true)
    with pytest.raises(ValueError, match="at least 12"):
        lag(late[:8], true[:8])


A, B = [0.0, 0.0, 10.0, 10.0], [50.0, 0.0, 60.0, 10.0]


def test_a_swap_is_two_switches_and_a_gap_is_none() -> None:
    found = identities([[A, B]] * 3, [[1, 2]] * 3, [[A, B], [A, B], [A, B]], [[0, 1], [1, 0], [1, 0]])
    assert (found.switches, found.missed, found.false, found.seen) == (2, 0, 0, 6)
    found = identities([[A]] * 4, [[1]] * 4, [[A], np.zeros((0, 4)), [A], [A]], [[0], [], [0], [3]])
    assert (found.switches, found.missed, found.false, found.seen) == (1, 1, 0, 4)


def test_a_face_that_is_not_there_is_false() -> None:
    found = identities([np.zeros((0, 4)), [A]], [[], [1]], [[B], [B]], [[0], [0]])
    assert (found.switches, found.missed, found.false, found.seen) == (0, 1, 2, 1)


def test_a_number_is_kept_while_it_fits_even_if_another_fits_better() -> None:
    near = [1.0, 0.0, 11.0, 10.0]
    found = identities([[A], [A]], [[1], [1]], [[A], [A, near]], [[7], [8, 7]])
    assert (found.switches, found.false) == (0, 1)


def test_one_found_face_is_the_answer_to_one_true_face_alone() -> None:
    near = [1.0, 0.0, 11.0, 10.0]
    # Number 3 was on both faces in turn. Where they cross, it stays with the one that it fits better.
    found = identities([[A], [near], [A, near]], [[1], [2], [1, 2]], [[A], [near], [near]], [[3], [3], [3]])
    assert (found.switches, found.missed, found.false, found.seen) == (0, 1, 0, 4)
