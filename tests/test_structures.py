from __future__ import annotations

import numpy as np

from fiducia.schemes.sets import get_scheme
from fiducia.structures import Face


def test_a_face_prints_on_one_short_line() -> None:
    face = Face(
        xy=np.zeros((68, 2), np.float32),
        confidence=np.ones(68, np.float32),
        box=np.array([1, 2, 30.04, 40], np.float32),
        scheme=get_scheme("ibug68"),
        score=0.51234,
        id=3,
    )
    assert repr(face) == (
        "Face(xy (68, 2), confidence (68,), box=[1.0, 2.0, 30.0, 40.0], scheme='ibug68', score=0.512, id=3)"
    )
    assert repr(face.scheme) == "Scheme('ibug68', 68 points)"
