"""Boxes that are moved and scaled, and what becomes of the error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiducia.data.synthetic.source import synthetic_face
from fiducia.evaluation.locate import find_at
from fiducia.evaluation.sweep import DIRECTIONS, SCALES, SHIFTS, moved_boxes, summary
from fiducia.geometry import tight_box
from fiducia.images import write_image
from fiducia.predict.predictor import Predictor
from fiducia.schemes.sets import get_scheme
from fiducia.structures import Record


@given(st.floats(-50, 50), st.floats(-50, 50), st.floats(1, 200), st.floats(1, 200))
def test_shifts_keep_the_size_and_scales_the_centre(x: float, y: float, w: float, h: float) -> None:
    boxes = moved_boxes([x, y, x + w, y + h])
    centres, sizes = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    moved = 1 + DIRECTIONS * (len(SHIFTS) - 1)
    assert len(boxes) == moved + len(SCALES) - 1 == 29
    np.testing.assert_allclose(boxes[0], [x, y, x + w, y + h], atol=1e-9)
    np.testing.assert_allclose(sizes[:moved], np.tile([w, h], (moved, 1)))
    lengths = np.hypot(*(centres[:moved] - centres[0]).T) / max(w, h)
    np.testing.assert_allclose(lengths, np.repeat(SHIFTS, [1, *[DIRECTIONS] * 3]), atol=1e-9)
    # The directions balance: no side is favoured.
    np.testing.assert_allclose(centres[1:moved].mean(axis=0), centres[0], atol=1e-6)
    np.testing.assert_allclose(centres[moved:], np.tile(centres[0], (4, 1)), atol=1e-9)
    np.testing.assert_allclose(sizes[moved:, 0] / w, [0.8, 0.9, 1.1, 1.2])


def test_a_shift_is_the_mean_of_its_directions_and_one_without_an_error_is_none() -> None:
    values: list[float | None] = [1.0, *[2.0, 4.0] * 4, *[3.0] * 8, *[5.0] * 7, None, 6.0, 7.0, 8.0, 9.0]
    told = summary(values)
    assert told["shift"] == {"0": 1.0, "0.05": 3.0, "0.1": 3.0, "0.15": pytest.approx(np.nan, nan_ok=True)}
    assert told["scale"] == {"0.8": 6.0, "0.9": 7.0, "1": 1.0, "1.1": 8.0, "1.2": 9.0}


class Corners:
    """A runtime whose points are the crop's four corners and its centre, so that they tell where it was cut."""

    size, scheme = 32, get_scheme("five")

    def __call__(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        points = np.array([[0, 0], [31, 0], [15.5, 15.5], [0, 31], [31, 31]], np.float32)
        return np.tile(points, (len(crops), 1, 1)), np.full((len(crops), 5), 0.5, np.float32)


def test_every_face_gets_the_answers_of_its_own_boxes(tmp_path: Path) -> None:
    """Two faces share a photograph with one of another between them; all boxes of a photograph come at once."""
    records = []
    for i, photo in enumerate(("a", "b", "a")):
        picture, xy, _ = synthetic_face(i, size=96)
        write_image(tmp_path / f"{photo}.png", picture)
        visible = np.full(5, 2, np.int8)
        records.append(Record(image=tmp_path / f"{photo}.png", xy=xy[:5] + i, visible=visible, scheme="five"))
    boxes = [list(moved_boxes(tight_box(r.xy)))[: i + 1] for i, r in enumerate(records)]
    found = find_at(Predictor(Corners(), None, scale=0.8, passes=2, batch_size=2), records, [*boxes[:2], []])
    assert [one.xy.shape for one in found] == [(1, 5, 2), (2, 5, 2), (0, 5, 2)]
    single = Predictor(Corners(), None, scale=0.8, passes=1, batch_size=2)
    for mine, one in zip(boxes, find_at(single, records, boxes), strict=True):
        assert one.confidence.shape == (len(mine), 5)
        for box, xy in zip(mine, one.xy, strict=True):
            np.testing.assert_allclose(xy[2], (box[:2] + box[2:]) / 2, atol=1e-3)
