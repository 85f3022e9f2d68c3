"""Swapped points and mirrored labels lie far from the median face."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fiducia.data.check import check
from fiducia.data.formats.csv_table import write_csv
from fiducia.data.shapes import MIN_FACES, align, farthest, lone_pairs, median_face, oddness
from fiducia.data.source import load_records
from fiducia.images import write_image
from fiducia.schemes.sets import get_scheme
from fiducia.structures import Record


@pytest.fixture(scope="module")
def faces() -> list[Record]:
    return load_records("synthetic:80", "train")


@settings(deadline=None, max_examples=40)
@given(
    angle=st.floats(-3, 3),
    scale=st.floats(0.01, 100),
    x=st.floats(-500, 500),
    y=st.floats(-500, 500),
    seed=st.integers(0, 99),
)
def test_any_turn_size_and_place_is_taken_out(angle: float, scale: float, x: float, y: float, seed: int) -> None:
    shape = np.random.default_rng(seed).normal(size=(12, 2))
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    np.testing.assert_allclose(align(shape @ turn.T + (x, y), shape), shape, atol=1e-8)


def test_a_reflection_is_not_taken_out() -> None:
    shape = np.array([[0.0, 0], [4, 0], [0, 1]])
    assert np.abs(align(shape * (-1, 1), shape) - shape).max() > 0.5


def test_points_without_a_label_count_for_nothing() -> None:
    shape = np.array([[0.0, 0], [4, 0], [0, 1], [2, 2]])
    hole = shape.copy()
    hole[2] = np.nan
    np.testing.assert_allclose(align(3 * hole + 7, shape)[[0, 1, 3]], shape[[0, 1, 3]], atol=1e-12)
    assert np.isnan(align(np.full((4, 2), np.nan), shape)).all()
    assert np.isnan(align(np.ones((4, 2)), shape)).all(), "one place is no shape"


def test_the_median_face_is_centred_of_unit_size_and_hardly_moved_by_one_bad_face() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(20, 2))
    shapes = np.stack([truth * rng.uniform(1, 9) + rng.normal(size=2) * 50 for _ in range(15)])
    shapes[3, :2] = shapes[3, 1::-1]
    middle = median_face(shapes)
    np.testing.assert_allclose(middle.mean(axis=0), 0, atol=1e-12)
    assert (middle**2).sum(axis=1).mean() == pytest.approx(1)
    np.testing.assert_allclose(align(truth, middle), middle, atol=1e-6)


def test_a_score_is_the_mean_of_the_two_worst_ratios() -> None:
    distances = np.array([[0.1, 0.2, 0.1], [0.1, 0.2, 0.1], [0.4, 0.2, 0.2], [np.nan] * 3])
    scores, worst = oddness(distances)
    np.testing.assert_allclose(scores, [1, 1, (4 + 2) / 2, 0])
    assert worst[2].tolist() == [0, 2]


def test_swapped_points_are_found_on_top_and_named(faces: list[Record]) -> None:
    names = get_scheme("ibug68").names
    xy = faces[17].xy.copy()
    xy[[36, 54]] = xy[[54, 36]]
    bad = [*faces[:17], replace(faces[17], xy=xy), *faces[18:]]
    first = farthest(bad)[0]
    assert first.index == 17
    assert set(first.points) == {names[36], names[54]}


def test_mirrored_labels_are_found_on_top(faces: list[Record]) -> None:
    xy = faces[5].xy[list(get_scheme("ibug68").mirror)]
    bad = [*faces[:5], replace(faces[5], xy=xy), *faces[6:]]
    assert farthest(bad)[0].index == 5


def test_too_few_faces_have_no_median(faces: list[Record]) -> None:
    assert farthest(faces[: MIN_FACES - 1]) == []
    assert len(farthest(faces[:MIN_FACES], most=3)) == 3


def test_data_check_lists_them(faces: list[Record], tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", np.zeros((400, 400, 3), np.uint8))
    records = [replace(face, image=tmp_path / "a.png", tags={"id": f"face{i}"}) for i, face in enumerate(faces[:30])]
    xy = records[7].xy.copy()
    xy[[36, 54]] = xy[[54, 36]]
    records[7] = replace(records[7], xy=xy)
    write_csv(tmp_path / "f.csv", records)
    report = check(f"csv:{tmp_path / 'f.csv'}")
    assert report.ok, "odd is not broken"
    assert len(report.odd) == 5
    assert report.to_json()["odd"][0]["id"].endswith("face7")
    assert any("farthest from the median face" in line and "face7" in line for line in report.lines())


@pytest.mark.parametrize("left_out", [[[0, 3]], [[5, 6], [7, 8]], [[0, 3], [1, 2], [5, 6], [7, 8]]])
def test_pairs_that_a_mirror_leaves_out_are_found_and_no_other(
    left_out: list[list[int]], faces: list[Record], tmp_path: Path
) -> None:
    twelve = [36, 39, 42, 45, 30, 31, 35, 48, 54, 51, 57, 8]
    pairs = [[0, 3], [1, 2], [5, 6], [7, 8]]
    for name, mirror in (("whole", pairs), ("short", [pair for pair in pairs if pair not in left_out])):
        scheme = tmp_path / f"{name}.toml"
        scheme.write_text(f'name = "{name}"\npoints = 12\nmirror = {mirror}\n')
        own = [
            Record(image=r.image, xy=r.xy[twelve], visible=r.visible[twelve], scheme=str(scheme), tags=r.tags)
            for r in faces
        ]
        assert lone_pairs(own) == ([] if name == "whole" else [tuple(pair) for pair in left_out])
    write_csv(tmp_path / "faces.csv", own)
    told = [line for line in check(f"csv:{tmp_path / 'faces.csv'}", str(scheme)).remarks if "opposite" in line]
    assert len(told) == len(left_out)
    assert all(f"add {pair} to mirror" in line for pair, line in zip(left_out, told, strict=True))


@pytest.mark.parametrize("scheme", ["ibug68", "wflw98", "cofw29", "aflw19", "lapa106", "five"])
def test_the_built_in_sets_leave_no_pair_out(scheme: str, tmp_path: Path) -> None:
    assert lone_pairs(load_records(f"synthetic:40@{tmp_path}", "train", scheme)) == []
