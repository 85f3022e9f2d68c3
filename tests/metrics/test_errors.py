"""NME, failure rate, CED and AUC against numbers worked out by hand, and against scipy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.integrate import simpson as scipy_simpson

from fiducia.metrics.errors import auc, auc_grid, ced, failure_rate, nme, normalizer, point_errors, simpson
from fiducia.schemes.sets import get_scheme

IBUG = get_scheme("ibug68")


def hand_made_face() -> Any:
    """68 points whose normalisers are round numbers: ic 80, ip 60, box 100 x 64."""
    xy = np.full((1, 68, 2), 50.0)
    xy[0, 0], xy[0, 16], xy[0, 8], xy[0, 19] = (0, 30), (100, 30), (50, 64), (30, 0)
    # Six points an eye, of which the outer corners are 36 and 45: means 60 apart, corners 80.
    xy[0, 36:42] = [[10, 20], [20, 20], [20, 20], [30, 20], [20, 20], [20, 20]]
    xy[0, 42:48] = [[70, 20], [80, 20], [80, 20], [90, 20], [80, 20], [80, 20]]
    return xy


def test_point_errors_are_distances_nan_without_label_and_inf_without_answer() -> None:
    truth = np.array([[[0, 0], [1, 1], [np.nan, np.nan], [5, 5]]], float)
    found = np.array([[[3, 4], [1, 1], [9, 9], [np.nan, 5]]], float)
    np.testing.assert_equal(point_errors(found, truth), [[5, 0, np.nan, np.inf]])


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="must both be"):
        point_errors(np.zeros((1, 4, 2)), np.zeros((1, 5, 2)))


@pytest.mark.parametrize(("kind", "length"), [("ic", 80), ("ip", 60), ("box", 80), ("diag", np.hypot(100, 64))])
def test_normalisers_of_a_hand_made_face(kind: Any, length: float) -> None:
    np.testing.assert_allclose(normalizer(kind, hand_made_face(), IBUG), [length])


def test_an_annotated_box_takes_the_place_of_the_points() -> None:
    box = [[10, 10, 40, 50]]
    np.testing.assert_allclose(normalizer("box", hand_made_face(), IBUG, box), [np.sqrt(30 * 40)])
    np.testing.assert_allclose(normalizer("diag", hand_made_face(), IBUG, box), [50])


def test_the_tight_box_leaves_out_unlabelled_points() -> None:
    face = hand_made_face()
    face[0, 16] = np.nan
    # Without the point at x = 100 the rightmost one is the outer corner of the left eye, at 90.
    np.testing.assert_allclose(normalizer("diag", face, IBUG), [np.hypot(90, 64)])


def test_a_normaliser_without_its_points_is_nan_and_an_unknown_one_an_error() -> None:
    face = hand_made_face()
    face[0, 45] = np.nan
    assert np.isnan(normalizer("ic", face, IBUG)[0])
    assert np.isnan(normalizer("box", np.full((1, 68, 2), np.nan), IBUG)[0])
    assert np.isnan(normalizer("ic", np.zeros((1, 68, 2)), IBUG)[0])
    with pytest.raises(ValueError, match="known: ic, ip, box, diag"):
        normalizer("eyes", face, IBUG)  # type: ignore[arg-type]


def test_a_scheme_without_eye_corners_says_so() -> None:
    from fiducia.schemes.sets import scheme_from_table

    own = scheme_from_table({"name": "muzzle", "points": 2, "mirror": []})
    with pytest.raises(ValueError, match="no points for the normaliser 'ic'"):
        normalizer("ic", np.zeros((1, 2, 2)), own)


def test_nme_is_the_mean_over_labelled_points() -> None:
    errors = [[1.0, 3.0, np.nan], [2.0, 2.0, 2.0]]
    np.testing.assert_allclose(nme(errors, [10, 40]), [0.2, 0.05])


def test_nme_is_nan_without_an_answer_a_label_or_a_length() -> None:
    errors = [[1.0, np.inf], [np.nan, np.nan], [1.0, 1.0]]
    assert np.isnan(nme(errors, [1, 1, np.nan])).all()


def test_failures_are_above_the_threshold_and_a_face_without_answer_fails() -> None:
    assert failure_rate([0.05, 0.10, 0.100001, np.nan], 0.10) == 0.5
    assert np.isnan(failure_rate([], 0.1))


def test_ced_counts_up_to_and_including() -> None:
    np.testing.assert_allclose(
        ced([0.02, 0.01, np.nan, 0.02], [0.0, 0.01, 0.015, 0.02, 1.0]), [0, 0.25, 0.25, 0.75, 0.75]
    )


def test_area_under_the_steps_by_hand() -> None:
    # Two faces at 2 % and 6 % and one without answer, to 10 %: steps of 1/3 over widths 8 and 4 and 0.
    assert auc([0.02, 0.06, np.nan], 0.10) == pytest.approx((0.08 + 0.04) / 3 / 0.10)
    assert auc([0.0, 0.0], 0.07) == 1.0
    assert auc([0.07, 0.5], 0.07) == 0.0


def test_the_grid_of_seven_percent_has_702_points_and_is_kept() -> None:
    x = np.arange(0.0, 0.07 + 1e-4, 1e-4)
    assert len(x) == 702
    assert len(np.arange(0.0, 0.10 + 1e-4, 1e-4)) == 1001
    # All faces perfect: the area is one step too wide, 0.0701 / 0.07, as in the repositories that have this form.
    assert auc_grid([0.0, 0.0], 0.07) == pytest.approx(0.0701 / 0.07)
    assert auc_grid([0.0, 0.0], 0.10) == pytest.approx(1.0)


@settings(max_examples=60, deadline=None)
@given(arrays(np.float64, st.integers(1, 40), elements=st.floats(0, 0.2)), st.sampled_from([0.05, 0.07, 0.08, 0.10]))
def test_the_grid_form_is_scipys_simpson(values: Any, threshold: float) -> None:
    x = np.arange(0.0, threshold + 1e-4, 1e-4)
    share = (values[None, :] <= x[:, None]).mean(axis=1)
    assert auc_grid(values, threshold) == pytest.approx(scipy_simpson(share, x=x) / threshold, abs=1e-9)


@given(arrays(np.float64, st.integers(1, 30), elements=st.floats(-5, 5)))
def test_simpson_is_scipys_for_odd_and_even_numbers_of_points(y: Any) -> None:
    assert simpson(y, 0.25) == pytest.approx(scipy_simpson(y, dx=0.25), abs=1e-9)


@settings(max_examples=80, deadline=None)
@given(arrays(np.float64, st.integers(200, 400), elements=st.floats(0, 0.2)), st.sampled_from([0.08, 0.10]))
def test_exact_and_grid_areas_agree(values: Any, threshold: float) -> None:
    """Each face's step moves by at most one grid interval, and the rule weighs a grid point by up to 4/3."""
    assert abs(auc(values, threshold) - auc_grid(values, threshold)) < 1.5e-4 / threshold


def test_areas_of_plausible_errors_agree_within_a_thousandth() -> None:
    values = np.random.default_rng(0).lognormal(np.log(0.035), 0.4, 689)
    assert abs(auc(values, 0.10) - auc_grid(values, 0.10)) < 1e-3
    # To 7 % the grid ends at 0.0701: it has up to 1e-4 / 0.07 too much.
    assert 0 < auc_grid(values, 0.07) - auc(values, 0.07) < 1e-3 + 1e-4 / 0.07


@settings(max_examples=60, deadline=None)
@given(
    st.floats(-3.1, 3.1),
    st.floats(0.1, 10),
    st.floats(-500, 500),
    st.sampled_from(["ic", "ip"]),
)
def test_nme_does_not_change_under_a_similarity(angle: float, scale: float, shift: float, kind: Any) -> None:
    rng = np.random.default_rng(1)
    truth = rng.uniform(0, 100, (3, 68, 2))
    found = truth + rng.normal(0, 2, truth.shape)
    turn = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])

    def value(p: Any, t: Any) -> Any:
        return nme(point_errors(p, t), normalizer(kind, t, IBUG))

    np.testing.assert_allclose(value(found @ turn + shift, truth @ turn + shift), value(found, truth), rtol=1e-9)
