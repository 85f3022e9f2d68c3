"""The faces that an export is checked on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from drawn import drawn_records
from fiducia.data.source import Faces
from fiducia.errors import FiduciaError
from fiducia.evaluation import faces as module
from fiducia.evaluation.faces import check_faces
from fiducia.schemes.sets import get_scheme
from fiducia.structures import Record


def test_faces_that_cannot_be_cropped_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    good = drawn_records(get_scheme("ibug68"), 2)
    bare = replace(good[0], xy=np.full_like(good[0].xy, np.nan))

    def give(*faces: Record) -> None:
        monkeypatch.setattr(module, "load_records", lambda *_: Faces(faces, []))

    give(good[0], bare, good[1])
    assert check_faces("synthetic:4", "test", 9, "ibug68")[2] == good
    give(bare)
    with pytest.raises(FiduciaError, match="no face can be cropped: 1 face is skipped: no labelled point"):
        check_faces("synthetic:4", "test", 9, "ibug68")
    give(*good)
    with pytest.raises(FiduciaError, match="skipped: no box"):
        check_faces("synthetic:4", "test", 9, "ibug68", "dataset")
