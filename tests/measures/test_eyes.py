"""Distances and ratios on drawn faces whose lids and lips are known."""

from __future__ import annotations

import numpy as np
import pytest

from fiducia.data.synthetic.shape import SELECTIONS, FaceShape, build_head
from fiducia.measures.eyes import blink, eye_aspect, eye_centres, inter_ocular, mouth_open
from fiducia.measures.table import measure_table
from fiducia.schemes.sets import SchemeError, get_scheme, scheme_names


def drawn(scheme: str = "ibug68", **shape: float | tuple[float, float]) -> np.ndarray:
    head = build_head(FaceShape(**shape))  # type: ignore[arg-type]
    return 100 * head.view(head.points)[list(SELECTIONS[scheme])] + 200


def test_the_aspect_ratio_is_the_formula() -> None:
    xy = np.zeros((68, 2))
    xy[36:42] = [[0, 0], [10, -4], [20, -5], [30, 0], [20, 3], [10, 2]]
    xy[42:48] = xy[36:42] + np.array([100, 0])
    right, left = eye_aspect(xy, get_scheme("ibug68"))
    assert right == left == pytest.approx((6 + 8) / (2 * 30))
    assert blink(xy, get_scheme("ibug68"))[0] == pytest.approx(1 - 7 / 30 / 0.32)
    assert inter_ocular(xy, get_scheme("ibug68")) == pytest.approx(130)
    np.testing.assert_allclose(eye_centres(xy, get_scheme("ibug68"))[0], xy[36:42].mean(axis=0))


@pytest.mark.parametrize("scheme", ["ibug68", "ibug51", "wflw98", "lapa106", "cofw29"])
def test_a_closed_eye_and_an_open_mouth_are_seen_on_their_side(scheme: str) -> None:
    landmarks = get_scheme(scheme)
    one = drawn(scheme, lids=(0.0, 1.0), open=0.3)
    right, left = blink(one, landmarks)
    assert right > 0.9
    assert left < 0.2
    assert mouth_open(one, landmarks) > 0.35
    assert mouth_open(drawn(scheme), landmarks) < 0.1
    assert eye_aspect(one, landmarks)[0] < 0.05 < 0.25 < eye_aspect(one, landmarks)[1]


@pytest.mark.parametrize("scheme", scheme_names())
def test_eye_centres_do_not_follow_the_gaze(scheme: str) -> None:
    # Where a set has an outline; the pupils of drawn faces move with the gaze.
    landmarks = get_scheme(scheme)
    ahead, aside = (eye_centres(drawn(scheme, gaze=gaze), landmarks) for gaze in ((0.0, 0.0), (0.9, 0.5)))
    np.testing.assert_allclose(ahead, aside, atol=1e-9)
    assert ahead[0, 0] < ahead[1, 0], "right first, which is at the image's left"


def test_the_mouth_s_gap_is_of_the_inner_lips() -> None:
    xy = np.zeros((68, 2))
    xy[48], xy[54], xy[62], xy[66] = (0, 0), (50, 0), (25, -5), (25, 15)
    assert mouth_open(xy, get_scheme("ibug68")) == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("measure", "scheme", "message"),
    [
        (inter_ocular, "five", "no outer eye corners"),
        (eye_aspect, "five", "needs both lids"),
        (eye_aspect, "aflw19", "needs both lids"),
        (mouth_open, "aflw19", "upper_lip_bottom"),
    ],
)
def test_a_set_that_cannot_give_a_measure_says_so(measure, scheme: str, message: str) -> None:
    with pytest.raises(SchemeError, match=message):
        measure(np.zeros((get_scheme(scheme).num_points, 2)), get_scheme(scheme))


def test_the_table_holds_what_the_set_and_the_points_allow() -> None:
    xy = drawn("ibug68")
    full = measure_table(xy, get_scheme("ibug68"))
    assert list(full) == [
        *("yaw", "pitch", "roll", "pose_error", "inter_ocular", "eye_centre_right", "eye_centre_left"),
        *("eye_aspect_right", "eye_aspect_left", "blink_right", "blink_left", "mouth_open"),
    ]
    assert list(measure_table(drawn("five"), get_scheme("five"))) == [
        *("yaw", "pitch", "roll", "pose_error", "eye_centre_right", "eye_centre_left"),
    ]
    xy[36:42] = np.nan
    assert set(full) - set(measure_table(xy, get_scheme("ibug68"))) == {
        *("inter_ocular", "eye_centre_right", "eye_aspect_right", "blink_right"),
    }
    assert measure_table(np.full((68, 2), np.nan), get_scheme("ibug68")) == {}


def test_corners_in_one_spot_have_no_ratio() -> None:
    """As a decoder of whole cells gives them where there is no face; it was a division by zero that ended the run."""
    xy = drawn("ibug68")
    xy[36], xy[48] = xy[39], xy[54]
    scheme = get_scheme("ibug68")
    assert np.isnan(mouth_open(xy, scheme))
    right, left = eye_aspect(xy, scheme)
    assert np.isnan(right)
    assert left > 0.2
    table = measure_table(xy, scheme)
    assert "eye_aspect_left" in table
    assert not {"eye_aspect_right", "blink_right", "mouth_open"} & set(table)
