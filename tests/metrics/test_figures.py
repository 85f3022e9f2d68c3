"""What a result says of all faces and of subsets."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fiducia.metrics.figures import FIGURES, figures, point_nme, region_errors, score, without_nan
from fiducia.schemes.sets import get_scheme, scheme_from_table

FIVE = scheme_from_table(
    {
        "name": "own5",
        "names": ["right_eye", "left_eye", "nose", "right_mouth", "left_mouth"],
        "mirror": [[0, 1], [3, 4]],
        "inter_ocular": [0, 1],
        "regions": {"eyes": [0, 1], "mouth": [3, 4]},
    }
)
FACE = np.array([[0, 0], [100, 0], [50, 50], [20, 80], [80, 80]], float)


def shifted(*pixels: float) -> tuple[np.ndarray, np.ndarray]:
    truth = np.stack([FACE] * len(pixels))
    return truth + np.array(pixels)[:, None, None] * [1.0, 0.0], truth


def test_figures_of_faces_that_are_all_off_by_known_amounts() -> None:
    found, truth = shifted(2, 4, 9, 12)
    result = figures(score(found, truth, FIVE))
    assert result["nme_ic"] == pytest.approx(6.75)
    assert result["nme_box"] == pytest.approx(6.75 * 100 / np.sqrt(100 * 80))
    assert result["nme_diag"] == pytest.approx(6.75 * 100 / np.hypot(100, 80))
    assert result["nme_ip"] is None
    assert (result["fr10_ic"], result["fr8_ic"]) == (25.0, 50.0)
    assert result["auc10_ic"] == pytest.approx((8 + 6 + 1 + 0) / 4 / 10 * 100)
    assert (result["faces"], result["detected"]) == (4, 4)
    assert set(FIGURES) < set(result)


def test_a_face_that_is_not_found_fails_and_stays_out_of_the_mean() -> None:
    found, truth = shifted(2, 4)
    found[1] = np.nan
    result = figures(score(found, truth, FIVE))
    assert result["nme_ic"] == pytest.approx(2.0)
    assert result["fr10_ic"] == 50.0
    assert result["auc10_ic"] == pytest.approx(40.0)
    assert (result["faces"], result["detected"], result["measured"]["ic"]) == (2, 1, 2)


def test_a_face_without_eye_labels_is_counted_by_the_box_alone() -> None:
    found, truth = shifted(2, 4)
    truth[1, 0] = np.nan
    result = figures(score(found, truth, FIVE))
    assert result["measured"] == {"ic": 1, "box": 2, "diag": 2}
    assert result["nme_ic"] == pytest.approx(2.0)
    assert result["detected"] == 2


def test_nothing_found_gives_nulls_and_only_failures() -> None:
    found, truth = shifted(1, 1)
    result = figures(score(np.full_like(found, np.nan), truth, FIVE))
    assert result["nme_ic"] is None
    assert result["fr10_ic"] == 100.0
    assert result["auc7_box"] == 0.0


def test_subsets_and_the_whole_agree() -> None:
    found, truth = shifted(2, 4, 9, 12)
    scores = score(found, truth, FIVE)
    a = figures(scores, [True, True, False, False])
    b = figures(scores, [False, False, True, True])
    assert (a["nme_ic"] + b["nme_ic"]) / 2 == pytest.approx(figures(scores)["nme_ic"])
    assert (a["faces"], b["fr8_ic"]) == (2, 100.0)


def test_region_errors_take_the_faces_normaliser() -> None:
    found, truth = shifted(0)
    found[0, 3:] += [0, 5]
    regions = region_errors(score(found, truth, FIVE), FIVE, "ic")
    assert regions == {"eyes": 0.0, "mouth": pytest.approx(5.0)}


def test_annotated_boxes_are_used() -> None:
    found, truth = shifted(2)
    assert figures(score(found, truth, FIVE, [[0, 0, 10, 40]]))["nme_box"] == pytest.approx(10.0)


def test_every_scheme_can_be_scored() -> None:
    rng = np.random.default_rng(0)
    for name in ("ibug68", "wflw98", "cofw29", "aflw19"):
        scheme = get_scheme(name)
        truth = rng.uniform(0, 100, (2, scheme.num_points, 2))
        result = figures(score(truth, truth, scheme))
        assert [result[f"nme_{kind}"] for kind in ("ic", "ip", "box", "diag")] == [0.0] * 4


def test_json_holds_no_nan() -> None:
    value = without_nan({"a": float("nan"), "b": [1.0, float("inf")], "c": {"d": "nan", "e": 3}})
    assert json.loads(json.dumps(value, allow_nan=False)) == {"a": None, "b": [1.0, None], "c": {"d": "nan", "e": 3}}


def test_a_points_nme_is_over_the_faces_that_have_it_labelled_and_answered() -> None:
    """Eyes 10 px apart: a point off by 1 px has 10 %. The second face has no nose label, the third no answer."""
    truth = np.tile(np.array([[0, 0], [10, 0], [5, 5], [2, 9], [8, 9]], float), (3, 1, 1))
    found = truth.copy()
    found[0, 2] += [1.0, 0.0]
    found[1, 3] += [0.0, 2.0]
    truth[1, 2] = np.nan
    found[2, 0] = np.nan
    errors = point_nme(score(found, truth, FIVE), FIVE, "ic")
    assert list(errors.values()) == pytest.approx([0.0, 0.0, 10.0, 10.0, 0.0])
    assert list(errors) == list(FIVE.names)
    truth[:, 4] = np.nan
    assert FIVE.names[4] not in point_nme(score(found, truth, FIVE), FIVE, "ic")
