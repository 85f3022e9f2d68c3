from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fiducia.recipes.files.sections import DataConfig
from fiducia.data.source import load_records
from fiducia.training.distill import blend_labels
from fiducia.evaluation.locate import Settings, find_points
from fiducia.errors import UsageError


def test_labels_move_half_way_to_what_the_teacher_finds_and_gaps_stay(tmp_path: Path) -> None:
    records = load_records(f"synthetic:4@{tmp_path}", "train")
    records[0].xy[3] = np.nan
    data = DataConfig(teacher=("fifa_tiny", "fifa_tiny"), teacher_share=0.5)
    blended = blend_labels(records, data)
    found = find_points(Settings(weights="fifa_tiny", flip=True).predictor("cpu"), records)
    for i, (old, new) in enumerate(zip(records, blended, strict=True)):
        known = np.isfinite(old.xy).all(-1)
        np.testing.assert_allclose(new.xy[known], ((old.xy + found[i]) / 2)[known])
        assert np.isnan(new.xy[~known]).all()
        assert new.image == old.image
    assert blend_labels(records, DataConfig()) == records
    none = blend_labels(records, data.model_copy(update={"teacher_share": 0.0}))
    np.testing.assert_array_equal(none[1].xy, records[1].xy)


def test_a_teacher_of_other_landmarks_is_refused(tmp_path: Path) -> None:
    records = load_records(f"synthetic:2@{tmp_path}", "train", "five")
    with pytest.raises(UsageError, match="finds ibug68, the faces have five"):
        blend_labels(records, DataConfig(teacher=("fifa_tiny",)))
