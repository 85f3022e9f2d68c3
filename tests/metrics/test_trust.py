from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiducia.metrics.trust import expected_gap, risk_coverage, roc_area


def test_roc_area_by_hand() -> None:
    # Pairs of a failed and a good face: (.1, .5) right, (.1, .9) right, (.6, .5) wrong, (.6, .9) right.
    assert roc_area([0.1, 0.6, 0.5, 0.9], [True, True, False, False]) == 0.75
    assert roc_area([0.5, 0.5], [True, False]) == 0.5
    assert roc_area([0.1, 0.2], [False, False]) is None


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=40))
def test_turning_the_quality_round_turns_the_area_round(rows: list[tuple[float, bool]]) -> None:
    q, bad = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    area, other = roc_area(q, bad), roc_area(-q, bad)
    assert (area is None) == (other is None)
    if area is not None and other is not None:
        assert area + other == pytest.approx(1.0)


def test_roc_area_counts_every_pair_without_holding_them() -> None:
    rng = np.random.default_rng(0)
    q, bad = rng.integers(0, 20, 300) / 20, rng.random(300) < 0.3
    below, equal = q[bad][:, None] < q[~bad], q[bad][:, None] == q[~bad]
    assert roc_area(q, bad) == pytest.approx(float((below + 0.5 * equal).mean()), abs=1e-12)
    many = np.arange(200_000) % 2 == 0  # 10,000,000,000 pairs
    assert roc_area(np.where(many, 0.2, 0.8), many) == 1.0


def test_risk_by_hand() -> None:
    quality = [0.9, 0.1, 0.8, 0.2, 0.7, 0.6, 0.5, 0.4, 0.3, 0.95]
    failed = [False, True, False, False, False, False, False, True, False, False]
    rows = risk_coverage(quality, failed, (0.0, 0.1, 0.4))
    assert [row["faces"] for row in rows] == [10, 9, 6]
    assert [row["failures"] for row in rows] == pytest.approx([20.0, 100 / 9, 0.0])


def test_the_gap_by_hand() -> None:
    told = expected_gap([1.0, 1.0, 2.0, 2.0, 9.0], [1.0, 2.0, 2.0, 3.0, np.nan], bins=2)
    assert told is not None
    assert told["points"] == 4
    assert told["bins"] == [{"expected": 1.0, "actual": 1.5}, {"expected": 2.0, "actual": 2.5}]
    assert told["gap"] == pytest.approx((1 / 3 + 1 / 5) / 2)
    assert expected_gap([1.0], [1.0]) is None
