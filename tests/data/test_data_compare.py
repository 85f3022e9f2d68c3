"""What ``fiducia data diff`` tells of two data sets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fiducia.data.compare import compare
from fiducia.errors import FiduciaError
from fiducia.schemes.sets import get_scheme
from fiducia.structures import Record

NAMES = get_scheme("five").names


def face(name: str, **changes: object) -> Record:
    xy = np.arange(10.0).reshape(5, 2)
    one = Record(
        image=Path("a.png"),
        xy=xy,
        visible=np.full(5, 2, np.int8),
        scheme="five",
        box=np.array([0.0, 0, 9, 9]),
        tags={"id": name},
    )
    return replace(one, **changes)  # type: ignore[arg-type]


def test_equal_faces_in_another_order() -> None:
    found = compare([face("a"), face("b")], [face("b"), face("a")])
    assert not found.differ
    assert found.lines() == ["2 faces are equal, 0 changed, 0 added, 0 removed"]


def test_what_changed_is_told() -> None:
    moved = face("b").xy.copy()
    moved[1] += [3, 4]
    moved[4] += [0, 1]
    moved[0] = np.nan
    seen = np.array([0, 2, 1, 2, 2], np.int8)
    before = [face("a"), face("b"), face("gone\nby night")]
    after = [face("a", box=None), face("b", xy=moved, visible=seen, box=np.array([0.0, 0, 9, 11])), face("new")]
    found = compare(before, after)
    assert (found.added, found.removed) == (("new",), ("gone\nby night",))
    assert found.lines() == [
        "added: new",
        "removed: gone by night",
        f"b: 2 points moved, mean 3.00 px, max 5.00 px ({NAMES[1]} 5.00, {NAMES[4]} 1.00); {NAMES[0]} visible → absent, "
        f"{NAMES[2]} visible → occluded; box moved by up to 2.00 px",
        "a: box added or removed",
        "0 faces are equal, 2 changed, 2 points moved by up to 5.00 px, 1 added, 1 removed",
    ]
    table = found.to_json()
    assert table["differ"]
    assert table["faces"] == {"before": 3, "after": 3}
    assert table["changed"][0]["moved"] == {NAMES[1]: 5.0, NAMES[4]: 1.0}
    assert table["changed"][0]["max"] == 5
    assert table["changed"][0]["visibility"] == {NAMES[0]: [2, 0], NAMES[2]: [2, 1]}
    assert table["changed"][1]["box"] == "added or removed"


def test_points_that_moved_a_little_count_as_unchanged() -> None:
    near = face("a", xy=face("a").xy + 0.01)
    assert compare([face("a")], [near]).differ
    assert not compare([face("a")], [near], least=0.05).differ


def test_what_cannot_be_compared() -> None:
    with pytest.raises(FiduciaError, match="'a' stands for two faces"):
        compare([face("a"), face("a")], [])
    other = face("a", xy=np.zeros((68, 2)), visible=np.full(68, 2, np.int8), scheme="ibug68")
    with pytest.raises(FiduciaError, match="faces of five and ibug68 cannot be compared"):
        compare([face("a")], [other])
    assert compare([], [face("a")]).added == ("a",)
