"""The paired bootstrap."""

from __future__ import annotations

import numpy as np
import pytest

from fiducia.metrics.compare import paired_bootstrap


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
