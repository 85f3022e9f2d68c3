"""The curves of the landmark sets."""

from __future__ import annotations

import pytest

from fiducia.schemes.curves import Curve, boundary_curves, curves
from fiducia.schemes.sets import get_scheme, scheme_from_table, scheme_names


@pytest.mark.parametrize("name", scheme_names())
@pytest.mark.parametrize("kind", [curves, boundary_curves])
def test_curves_are_lines_through_different_points_of_the_set(name: str, kind: object) -> None:
    scheme = get_scheme(name)
    found = curves(scheme) if kind is curves else boundary_curves(scheme)
    assert found
    assert len({c.name for c in found}) == len(found)
    for curve in found:
        assert len(curve.points) == len(set(curve.points)) >= (3 if curve.closed else 2)
        assert all(0 <= i < scheme.num_points for i in curve.points)


@pytest.mark.parametrize("name", ["ibug68", "wflw98", "cofw29"])
@pytest.mark.parametrize("kind", [curves, boundary_curves])
def test_the_mirror_image_of_a_curve_is_a_curve(name: str, kind: object) -> None:
    scheme = get_scheme(name)
    found = curves(scheme) if kind is curves else boundary_curves(scheme)
    sets = {frozenset(c.points) for c in found}
    assert {frozenset(scheme.mirror[i] for i in points) for points in sets} == sets or (name, kind) == (
        "wflw98",
        boundary_curves,
    )


def test_the_numbers_of_curves_are_the_published_ones() -> None:
    assert [len(curves(get_scheme(n))) for n in ("wflw98", "ibug68", "cofw29")] == [9, 9, 7]
    assert [len(boundary_curves(get_scheme(n))) for n in ("wflw98", "ibug68", "cofw29")] == [15, 13, 14]


def test_an_own_sets_curves_are_its_lines_and_rings() -> None:
    scheme = scheme_from_table(
        {"points": 8, "mirror": [], "edges": [[0, 1, 2], [3, 4, 5, 3], [5, 6], [0, 6], [2, 7], [7, 2]]}
    )
    assert curves(scheme) == boundary_curves(scheme)
    assert curves(scheme) == (
        Curve("curve_0", (0, 1, 2)),
        Curve("curve_1", (3, 4, 5), closed=True),
        Curve("curve_2", (5, 6)),
        Curve("curve_3", (0, 6)),
        Curve("curve_4", (2, 7)),
        Curve("curve_5", (7, 2)),
    )
    assert curves(scheme_from_table({"points": 3, "mirror": []})) == ()


def test_an_own_set_that_bears_a_known_name_has_its_own_curves() -> None:
    scheme = scheme_from_table({"name": "ibug68", "points": 3, "mirror": [], "edges": [[0, 1, 2]]})
    assert curves(scheme) == (Curve("curve_0", (0, 1, 2)),)
