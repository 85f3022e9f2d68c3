from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fiducia.recipes.files.sections import DataConfig
from fiducia.training.distill import blend_labels
from fiducia.training.styles import StyleFit, label_shifts
from fiducia.structures import Record
from fiducia.errors import UsageError


def faces(part: str, count: int, offset: np.ndarray, rng: np.random.Generator) -> tuple[list[Record], np.ndarray]:
    """Faces of one part and a network's points for them: labels stand ``offset`` sides of the face's box from those."""
    base = np.random.default_rng(9).uniform(0, 1, (12, 2))
    found = np.stack([rng.uniform(50, 300) * (base + rng.normal(0, 0.02, base.shape)) + 40 for _ in range(count)])
    side = np.ptp(found, axis=1).max(-1)[:, None, None]
    noise = rng.normal(0, 0.005, found.shape)
    records = [
        Record(
            image=Path(f"{part}/{i}.jpg"),
            scheme="dozen",
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
    of_labels, of_found = label_shifts(records, found, "lfpw")
    assert not of_labels[:400].any()
    side = np.stack([np.ptp(record.xy, axis=0).max() for record in records])[:, None, None]
    np.testing.assert_allclose((of_labels[400:] / side[400:]).mean(0), a - b, atol=4e-3)
    np.testing.assert_allclose((of_found / side).mean(0), a, atol=4e-3)


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


def test_a_face_with_a_gap_stays_as_it_is() -> None:
    rng = np.random.default_rng(2)
    ours, found_ours = faces("lfpw", 30, np.zeros((12, 2)), rng)
    theirs, found_theirs = faces("afw", 30, np.full((12, 2), 0.02), rng)
    theirs[3] = replace(theirs[3], xy=np.where(np.arange(12)[:, None] == 4, np.nan, theirs[3].xy))
    of_labels, of_found = label_shifts([*ours, *theirs], np.concatenate([found_ours, found_theirs]), "lfpw")
    assert np.isfinite(of_labels).all()
    assert not of_labels[33].any()
    assert not of_found[33].any()
    assert of_labels[34].any()


def test_what_cannot_be_meant_is_refused_with_the_parts_that_there_are() -> None:
    ours, found = faces("helen", 5, np.zeros((12, 2)), np.random.default_rng(3))
    with pytest.raises(UsageError, match="no wholly labelled face of 'lfpw'; the faces' first folders are: helen"):
        label_shifts(ours, found, "lfpw")
    with pytest.raises(UsageError, match=r"name weights in data\.teacher too"):
        blend_labels(ours, DataConfig(style="lfpw"))
