"""Labels moved towards a network's points, and to the style of one part; written and read like any other labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fiducia.data.relabel import relabel, write_relabelled
from fiducia.data.source import label_writers, load_records
from fiducia.data.styles import StyleFit, part_of, style_shifts
from fiducia.errors import UsageError
from fiducia.structures import Record


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    return load_records(f"synthetic:6@{tmp_path_factory.mktemp('drawn')}", "train")


def test_labels_move_by_the_share_and_gaps_stay(drawn: list[Record]) -> None:
    holed = [replace(record, xy=record.xy.copy()) for record in drawn]
    holed[0].xy[3] = np.nan
    predicted = np.stack([record.xy for record in drawn]) + np.array([4.0, -2.0])
    predicted[1, 5] = np.nan
    moved = relabel(holed, predicted, 0.25)
    np.testing.assert_allclose(moved[2].xy, drawn[2].xy + np.array([1.0, -0.5]))
    assert np.isnan(moved[0].xy[3]).all(), "a point without a label gets none"
    np.testing.assert_array_equal(moved[1].xy[5], drawn[1].xy[5])
    np.testing.assert_allclose(moved[1].xy[6], drawn[1].xy[6] + np.array([1.0, -0.5]))
    for before, after in zip(holed, moved, strict=True):
        assert (after.image, after.scheme, after.id, after.box) == (before.image, before.scheme, before.id, before.box)
    np.testing.assert_allclose(relabel(drawn, predicted, 1.0)[3].xy, predicted[3])


def test_moved_labels_are_marked_and_others_are_not(drawn: list[Record]) -> None:
    predicted = np.stack([record.xy for record in drawn]) + 1.0
    moved = relabel(drawn, predicted, 0.5, keep={drawn[0].id}, weights="fifa_tiny", weights_sha256="ab" * 32)
    assert moved[0] is drawn[0]
    assert moved[1].tags["source"] == "semi-auto"
    assert moved[1].tags["weights_sha256"] == "ab" * 32
    assert moved[1].tags["relabel"] == {"share": 0.5}
    assert relabel(drawn, predicted, 0.0) == drawn
    assert relabel(drawn, predicted, 1.0)[1].tags["source"] == "auto"


def test_what_cannot_be_meant_is_refused(drawn: list[Record]) -> None:
    predicted = np.stack([record.xy for record in drawn])
    with pytest.raises(UsageError, match=r"share = 1\.5"):
        relabel(drawn, predicted, 1.5)
    with pytest.raises(UsageError, match=r"\(6, 5, 2\) for labels of shape \(6, 68, 2\)"):
        relabel(drawn, predicted[:, :5], 0.5)
    assert relabel([], np.zeros((0, 68, 2)), 0.5) == []


@pytest.mark.parametrize("form", ["coco", "csv", "cvat", "pts"])
def test_the_result_is_read_like_any_other_labels(form: str, drawn: list[Record], tmp_path: Path) -> None:
    predicted = np.stack([record.xy for record in drawn]) + 2.0
    moved = relabel(drawn, predicted, 0.5, weights="fifa_tiny", weights_sha256="cd" * 32)
    path = tmp_path / "out" / "labels"
    write_relabelled(path, moved, form)
    records = load_records(f"{form}:{path}", "train")
    assert [record.id for record in records] == [record.id for record in drawn]
    for record, before in zip(records, drawn, strict=True):
        np.testing.assert_allclose(record.xy, before.xy + 1.0, rtol=0, atol=1e-9)
        assert record.tags["weights_sha256"] == "cd" * 32
        assert record.tags["photo"] == before.tags["photo"], "the same faces are held out for validation"
    assert any("labels that a machine made (source semi-auto, fifa_tiny)" in line for line in records.remarks)


def test_an_unknown_format_is_refused(drawn: list[Record], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'coco'"):
        write_relabelled(tmp_path / "x", drawn, "cocoa")
    assert set(label_writers) >= {"coco", "csv", "cvat", "pts"}


def faces(part: str, count: int, offset: np.ndarray, rng: np.random.Generator) -> tuple[list[Record], np.ndarray]:
    """Faces of one part and a network's points for them: labels stand ``offset`` sides of the face's box from those."""
    base = np.random.default_rng(9).uniform(0, 1, (12, 2))
    found = np.stack([rng.uniform(50, 300) * (base + rng.normal(0, 0.02, base.shape)) + 40 for _ in range(count)])
    side = np.ptp(found, axis=1).max(-1)[:, None, None]
    noise = rng.normal(0, 0.005, found.shape)
    records = [
        Record(
            image=Path(f"{part}/{i}.jpg"),
            scheme="none:12",
            xy=xy,
            visible=np.full(12, 2, np.int8),
            tags={"id": f"{part}/{i}"},
        )
        for i, xy in enumerate(found + side * (offset + noise))
    ]
    return records, found


def test_labels_of_one_part_take_the_mean_place_of_the_other_and_the_wanted_part_keeps_its_own() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 0.02, (2, 12, 2))
    ours, found_ours = faces("lfpw", 400, a, rng)
    theirs, found_theirs = faces("helen", 400, b, rng)
    records, found = [*ours, *theirs], np.concatenate([found_ours, found_theirs])
    of_labels, of_found = style_shifts(records, found, "lfpw")
    assert not of_labels[:400].any()
    side = np.stack([np.ptp(record.xy, axis=0).max() for record in records])[:, None, None]
    np.testing.assert_allclose((of_labels[400:] / side[400:]).mean(0), a - b, atol=4e-3)
    np.testing.assert_allclose((of_found / side).mean(0), a, atol=4e-3)
    moved = relabel(records, found, 0.5, style="lfpw")
    np.testing.assert_allclose(moved[500].xy, (records[500].xy + of_labels[500] + found[500] + of_found[500]) / 2)
    assert moved[500].tags["relabel"] == {"share": 0.5, "style": "lfpw", "gain": 1.0}


def test_a_regression_learns_what_depends_on_the_shape() -> None:
    rng = np.random.default_rng(1)
    found = rng.uniform(0, 1, (2000, 6, 2))
    slope = rng.normal(0, 0.05, (12, 12))
    labels = found + ((found - found.mean(1, keepdims=True)).reshape(2000, 12) @ slope).reshape(found.shape) + 0.03
    fit = StyleFit(found[:1500], labels[:1500], ridge=1e-3)
    np.testing.assert_allclose(found[1500:] + fit(found[1500:]), labels[1500:], atol=1e-5)
    flat = StyleFit(found[:1500], labels[:1500], ridge=1e9)
    np.testing.assert_allclose(
        flat(found[1500:]), np.broadcast_to((labels - found)[:1500].mean(0), (500, 6, 2)), atol=1e-4
    )


def test_a_face_with_a_gap_is_in_no_style() -> None:
    rng = np.random.default_rng(2)
    ours, found_ours = faces("lfpw", 30, np.zeros((12, 2)), rng)
    theirs, found_theirs = faces("afw", 30, np.full((12, 2), 0.02), rng)
    theirs[3] = replace(theirs[3], xy=np.where(np.arange(12)[:, None] == 4, np.nan, theirs[3].xy))
    of_labels, of_found = style_shifts([*ours, *theirs], np.concatenate([found_ours, found_theirs]), "lfpw")
    assert np.isfinite(of_labels).all()
    assert not of_labels[33].any()
    assert not of_found[33].any()
    assert of_labels[34].any()


def test_a_part_without_faces_is_refused_with_the_parts_that_there_are() -> None:
    ours, found = faces("helen", 5, np.zeros((12, 2)), np.random.default_rng(3))
    assert part_of(ours[0]) == "helen"
    with pytest.raises(UsageError, match="no wholly labelled face of 'lfpw'; the faces' first folders are: helen"):
        style_shifts(ours, found, "lfpw")
