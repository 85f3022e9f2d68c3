from __future__ import annotations

import numpy as np
import torch

from fiducia.faces import Face
from fiducia.schemes.sets import get_scheme
from fiducia.structures import Batch, ModelOutput


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


def test_an_output_says_what_it_gives_in_the_words_of_the_losses() -> None:
    maps, points = [torch.zeros(2, 5, 8, 8)], [torch.zeros(2, 5, 2)]
    assert ModelOutput().gives() == frozenset()
    assert ModelOutput(heatmaps=maps).gives() == {"heatmaps", "logits"}
    assert ModelOutput(heatmaps=maps, linear=True, points=points).gives() == {"heatmaps", "linear", "points"}
    named = ModelOutput(maps={"edges": maps, "offsets": []}, features=maps[0])
    assert named.gives() == {"maps.edges", "features"}


def test_a_batch_moves_whole_and_keeps_its_affines_in_float64() -> None:
    batch = Batch(
        images=torch.zeros(3, 2, 3, 8, 8, dtype=torch.uint8),
        xy=torch.zeros(3, 2, 5, 2),
        visible=torch.full((3, 2, 5), 2, dtype=torch.int8),
        mask=torch.ones(3, 2, 5, dtype=torch.bool),
        to_image=torch.zeros(3, 2, 2, 3, dtype=torch.float64),
        mirrored=torch.zeros(3, 2, dtype=torch.bool),
        index=torch.arange(3),
        tags=[{"id": str(i)} for i in range(3)],
    )
    moved = batch.to("meta")
    assert batch.views == moved.views == 2
    assert {getattr(moved, n).device.type for n in ("images", "xy", "visible", "mask", "mirrored", "index")} == {"meta"}
    assert (moved.to_image.device.type, moved.to_image.dtype) == ("cpu", torch.float64)
    assert moved.tags == batch.tags
