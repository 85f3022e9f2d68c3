"""Quality, expected error and visibility: the features, the fit on drawn truth, and what a card may hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fiducia.calibration import Calibration, judge
from fiducia.calibration.features import face_features, face_sizes, point_features
from fiducia.calibration.fitting import Trials, _monotone, fit_calibration
from fiducia.calibration.table import Curve, Quadratic

K = 5


def drawn(n: int, seed: int) -> Trials:
    """Faces whose confidence says how far each point is from the truth; a third is no face and has a low confidence."""
    rng = np.random.default_rng(seed)
    base = np.array([[0, 0], [100, 0], [50, 50], [20, 100], [80, 100]], float)
    truth = np.repeat(base[None], n, axis=0)
    confidence = rng.uniform(0.3, 0.95, (n, 1)) * rng.uniform(0.8, 1.05, (n, K))
    scale = 12 * (1 - confidence)  # pixels, the mean distance of each point
    angle = rng.uniform(0, 2 * np.pi, (n, K))
    shift = rng.exponential(scale)
    xy = truth + np.stack([shift * np.cos(angle), shift * np.sin(angle)], axis=2)
    nothing = np.arange(n) % 3 == 0
    confidence[nothing] *= 0.3
    truth[nothing] = np.nan
    visible = np.where(rng.random((n, K)) < confidence, 2, 1).astype(np.int8)
    return Trials(
        xy=xy,
        confidence=confidence,
        boxes=np.tile([0.0, 0, 100, 100], (n, 1)),
        truth=truth,
        visible=visible,
        weight=np.ones(n),
        told=np.ones(n, bool),
        plain=~nothing,
    )


@pytest.fixture(scope="module")
def fitted() -> Calibration:
    return fit_calibration(drawn(3000, 0), unit=1.0, data="drawn", faces=3000, limit=0.06)


def test_the_size_of_a_face_is_that_of_its_labelled_points() -> None:
    xy = np.array([[[0, 0], [30, 0], [0, 40], [np.nan, np.nan]], [[5, 5], [5, 5], [5, 5], [5, 5]]], float)
    assert face_sizes(xy) == pytest.approx([np.sqrt(1200), 1e-6])


def test_features_by_hand() -> None:
    xy = np.array([[[0, 0], [10, 0], [0, 10], [10, 10], [5, 5]]], float)
    confidence = np.array([[0.5, 0.5, 0.5, 0.5, 0.9]])
    nine = np.log(9)
    face = face_features(xy, confidence, [[0, 0, 20, 20]])
    np.testing.assert_allclose(face, [[nine / 5, 0, 0.6 * nine, np.log(2)]], atol=1e-12)
    points = point_features(xy, confidence)
    assert points.shape == (1, 5, 4)
    np.testing.assert_allclose(points[0, 4], [nine, nine / 5, 0, np.log(10)], atol=1e-12)
    assert np.isfinite(face_features(xy, np.zeros((1, 5)), [[3, 3, 3, 3]])).all()


def test_a_fit_tells_the_mean_error_of_other_points(fitted: Calibration) -> None:
    fresh = drawn(3000, 1)
    told = judge(fitted, fresh.xy, fresh.confidence, fresh.boxes)
    errors = fresh.errors(1.0)
    for low, high in ((0.3, 0.5), (0.5, 0.7), (0.7, 0.9)):
        part = (fresh.confidence > low) & (fresh.confidence <= high) & np.isfinite(errors)
        assert told.relative[part].mean() == pytest.approx(100 * errors[part].mean(), rel=0.08)
    np.testing.assert_allclose(told.sigma, told.relative / 100 * face_sizes(fresh.xy)[:, None])


def test_a_fit_tells_how_many_faces_are_good(fitted: Calibration) -> None:
    fresh = drawn(3000, 2)
    told = judge(fitted, fresh.xy, fresh.confidence, fresh.boxes)
    good = fresh.face_errors(1.0) <= 0.06
    for part in np.array_split(np.argsort(told.quality), 5):
        assert told.quality[part].mean() == pytest.approx(good[part].mean(), abs=0.07)
    assert told.quality[np.isnan(fresh.truth).all(axis=(1, 2))].mean() < 0.05


def test_a_fit_tells_how_many_points_are_visible(fitted: Calibration) -> None:
    fresh = drawn(3000, 3)
    told = judge(fitted, fresh.xy, fresh.confidence, fresh.boxes)
    assert told.visible is not None
    shown = fresh.plain
    for part in np.array_split(np.argsort(told.visible[shown].ravel()), 5):
        assert told.visible[shown].ravel()[part].mean() == pytest.approx(
            (fresh.visible[shown].ravel()[part] == 2).mean(), abs=0.03
        )


def test_without_hidden_points_visibility_is_not_told() -> None:
    trials = drawn(300, 4)
    trials.visible[:] = 2
    assert fit_calibration(trials, unit=1.0, data="", faces=0).visible is None


def test_faces_that_are_all_good_fit_nothing() -> None:
    trials = drawn(300, 5)
    with pytest.raises(ValueError, match="a fit needs"):
        fit_calibration(trials.take(trials.plain), unit=1.0, data="", faces=0, limit=99.0)


def test_an_answer_does_not_depend_on_the_faces_beside_it(fitted: Calibration) -> None:
    fresh = drawn(40, 6)
    whole = judge(fitted, fresh.xy, fresh.confidence, fresh.boxes)
    for i in (0, 17, 39):
        one = judge(fitted, fresh.xy[i : i + 1], fresh.confidence[i : i + 1], fresh.boxes[i : i + 1])
        np.testing.assert_allclose(one.sigma[0], whole.sigma[i], rtol=1e-12)
        np.testing.assert_allclose(one.quality[0], whole.quality[i], rtol=1e-12)


def test_a_calibration_survives_its_card(fitted: Calibration) -> None:
    assert Calibration.model_validate_json(fitted.model_dump_json()) == fitted


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=30))
def test_the_monotone_fit_rises_and_keeps_the_mean(values: list[float]) -> None:
    fit = _monotone(np.array(values))
    assert (np.diff(fit) >= 0).all()
    assert fit.mean() == pytest.approx(np.mean(values), abs=1e-9)
    assert _monotone(fit) == pytest.approx(fit)


@pytest.mark.parametrize(
    "wrong",
    [
        {"mean": [0.0], "scale": [0.0], "weights": [1.0, 1.0], "points": [0.0]},
        {"mean": [0.0], "scale": [1.0], "weights": [1.0], "points": [0.0]},
        {"mean": [float("nan")], "scale": [1.0], "weights": [1.0, 1.0], "points": [0.0]},
        {"mean": [0.0], "scale": [1.0], "weights": [1.0, 1e9], "points": [0.0]},
        {"mean": [0.0], "scale": [1.0], "weights": [1.0, 1.0], "points": []},
    ],
)
def test_a_function_that_contradicts_itself_is_refused(wrong: dict[str, list[float]]) -> None:
    with pytest.raises(ValidationError):
        Quadratic.model_validate(wrong)


def test_a_curve_that_falls_is_refused() -> None:
    with pytest.raises(ValidationError):
        Curve(x=[0.0, 1.0], y=[1.0, 0.0])
    with pytest.raises(ValidationError):
        Curve(x=[0.0, 0.0], y=[0.0, 1.0])
    assert Curve(x=[0.0, 1.0], y=[0.0, 2.0])([-1, 0.5, 9]).tolist() == [0.0, 1.0, 2.0]


def test_a_calibration_of_other_points_is_refused(fitted: Calibration) -> None:
    fitted.check_points(K)
    with pytest.raises(ValueError, match="of 5 points, the weights give 68"):
        fitted.check_points(68)
