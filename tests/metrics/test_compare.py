"""The paired bootstrap, the paired permutation test, and the refusal of what was not measured alike."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiducia.metrics.compare import Mismatch, check_comparable, paired_bootstrap, sign_flip_p
from fiducia.metrics.protocol import MEASUREMENT


def test_a_constant_gain_has_an_interval_without_width() -> None:
    a = np.linspace(1, 5, 50)
    result = paired_bootstrap(a, a - 0.5, draws=500)
    assert result.difference == pytest.approx(-0.5)
    assert (result.low, result.high) == (pytest.approx(-0.5), pytest.approx(-0.5))
    assert result.better == 1.0
    assert result.significant


def test_the_interval_covers_the_true_difference_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(200):
        a = rng.normal(4, 1, 120)
        result = paired_bootstrap(a, a + rng.normal(-0.1, 0.5, 120), draws=400, seed=trial)
        covered += result.low <= -0.1 <= result.high
    assert 0.89 <= covered / 200 <= 0.99


def test_equal_networks_are_not_different_and_ties_count_half() -> None:
    a = np.ones(20)
    result = paired_bootstrap(a, a, draws=50)
    assert result.better == 0.5
    assert not result.significant


def test_a_seed_decides_the_interval() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=40), rng.normal(size=40)
    assert paired_bootstrap(a, b, draws=200, seed=3) == paired_bootstrap(a, b, draws=200, seed=3)
    assert paired_bootstrap(a, b, draws=200, seed=3).low != paired_bootstrap(a, b, draws=200, seed=4).low


def test_draws_are_exactly_as_many_as_asked_when_they_come_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=40), rng.normal(size=40)
    whole = paired_bootstrap(a, b, draws=101, seed=1)
    monkeypatch.setattr("fiducia.metrics.compare._CHUNK", 40 * 7)
    assert paired_bootstrap(a, b, draws=101, seed=1) == whole


def test_faces_without_an_error_are_left_out_and_counted() -> None:
    result = paired_bootstrap([1.0, np.nan, 3.0], [2.0, 2.0, np.nan], draws=50)
    assert (result.faces, result.left_out, result.difference) == (1, 2, 1.0)


def test_vectors_that_cannot_be_paired_are_refused() -> None:
    with pytest.raises(ValueError, match="same order"):
        paired_bootstrap([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="no face"):
        paired_bootstrap([np.nan], [1.0])


@pytest.mark.parametrize(
    ("gain", "p"),
    [
        ([1.0, 2.0, 3.0], 2 / 8),  # only all plus and all minus reach 6
        ([3.0, 1.0, -1.0], 6 / 8),  # sums are +-5, +-3, +-3, +-1 of 8; the found one is 3
        ([1.0, 1.0, -1.0], 1.0),  # every sum is at least 1
        ([0.1, 0.2, 0.3, 0.4], 2 / 16),  # sums that floats do not add up alike
        ([2.0, 0.0, 0.0], 1.0),  # one face that differs tells nothing
        ([0.0, 0.0], 1.0),
        ([1.0] * 10, 2 / 1024),
    ],
)
def test_the_permutation_counts_the_sign_patterns_that_a_hand_would(gain: list[float], p: float) -> None:
    a = np.full(len(gain), 5.0)
    assert sign_flip_p(a, a + gain) == pytest.approx(p, abs=1e-12)
    assert sign_flip_p(a + gain, a) == pytest.approx(p, abs=1e-12)


def test_the_exact_count_is_that_of_a_plain_enumeration() -> None:
    gain = np.random.default_rng(1).normal(0.3, 1.0, 9)
    sums = [abs(float(np.dot(signs, gain))) for signs in itertools.product([1, -1], repeat=9)]
    by_hand = np.mean([value >= abs(gain.sum()) - 1e-12 for value in sums])
    assert sign_flip_p(np.zeros(9), gain) == pytest.approx(by_hand, abs=1e-12)


def test_drawn_patterns_come_near_the_exact_share(monkeypatch: pytest.MonkeyPatch) -> None:
    gain = np.random.default_rng(2).normal(0.5, 1.0, 12)
    exact = sign_flip_p(np.zeros(12), gain)
    monkeypatch.setattr("fiducia.metrics.compare._EXACT", 0)
    monkeypatch.setattr("fiducia.metrics.compare._CHUNK", 12 * 777)
    drawn = sign_flip_p(np.zeros(12), gain, draws=20_000)
    assert drawn == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 20_000) + 1e-4)


def test_p_is_never_nought_and_is_uniform_where_nothing_differs() -> None:
    assert sign_flip_p(np.zeros(40), np.ones(40), draws=99) == pytest.approx(1 / 100)
    rng = np.random.default_rng(3)
    small = sum(sign_flip_p(np.zeros(30), rng.normal(size=30), draws=200, seed=i) <= 0.05 for i in range(400))
    assert 0.025 <= small / 400 <= 0.08


def test_a_comparison_carries_p_of_the_same_pairs() -> None:
    a, b = [1.0, 2.0, np.nan, 4.0], [2.0, 4.0, 9.0, 7.0]
    assert paired_bootstrap(a, b, draws=50).p == sign_flip_p([1, 2, 4], [2, 4, 7]) == 0.25


@given(st.lists(st.floats(-1e3, 1e3, allow_subnormal=False), min_size=1, max_size=9), st.floats(0.01, 100))
def test_p_knows_neither_unit_nor_sign(gain: list[float], factor: float) -> None:
    zero, g = np.zeros(len(gain)), np.round(np.array(gain), 3)
    p = sign_flip_p(zero, g)
    assert 0 < p <= 1
    assert sign_flip_p(zero, factor * g) == sign_flip_p(zero, -g) == p


def test_results_that_were_not_measured_alike_are_refused_by_field() -> None:
    one = dict.fromkeys(MEASUREMENT, 1)
    check_comparable(one, dict(one), (["a", "b"], ["a", "b"]))
    for name in MEASUREMENT:
        with pytest.raises(Mismatch, match=f"^{name}: 1 and 2$"):
            check_comparable(one, {**one, name: 2})
    with pytest.raises(Mismatch, match="face 2: 'b' and 'c'"):
        check_comparable(one, one, (["a", "b"], ["a", "c"]))
    with pytest.raises(Mismatch, match="face 2: 'b' and nothing"):
        check_comparable(one, one, (["a", "b"], ["a"]))
