"""Drawn faces of any landmark set as batches, and a landmark set of one's own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fiducia.augment.views import EvalViews, TrainViews
from fiducia.data.dataset import FaceDataset, collate
from fiducia.data.source import load_records
from fiducia.recipes.sections import Recipe
from fiducia.schemes.sets import Scheme, get_scheme, scheme_from_table
from fiducia.structures import Batch, Record

__all__ = ["KITE", "drawn_batch", "drawn_records", "two_view_batch"]

KITE = scheme_from_table(
    {
        "name": "kite",
        "names": ["left_eye", "right_eye", "nose", "chin"],
        "mirror": [[0, 1]],
        "edges": [[0, 2, 1], [2, 3]],
        "inter_ocular": [0, 1],
    }
)
"""A landmark set of one's own: four of the 68 points."""
_OF_68 = [36, 45, 30, 8]


def drawn_records(scheme: Scheme, count: int = 4) -> list[Record]:
    """Return drawn faces labelled in a landmark set: one that is drawn, or :data:`KITE`."""
    if scheme.name != KITE.name:
        return load_records(f"synthetic:{count}", "train", scheme.name)
    dense = load_records(f"synthetic:{count}", "train", "ibug68")
    assert get_scheme("ibug68").num_points == 68
    return [replace(r, xy=r.xy[_OF_68], visible=r.visible[_OF_68], scheme=KITE.name) for r in dense]


def drawn_batch(recipe: Recipe, scheme: Scheme, count: int = 4) -> Batch:
    """Return plain crops of drawn faces: one view, no augmentation."""
    dataset = FaceDataset(drawn_records(scheme, count), EvalViews(recipe.data), seed=0)
    return collate([dataset[i] for i in range(count)])


def two_view_batch(recipe: Recipe, scheme: Scheme, count: int = 4, epoch: int = 1) -> Batch:
    """Return two views of drawn faces as training makes them, FiFA's squares of an epoch on the second."""
    views = TrainViews(recipe.data, recipe.augment, scheme, recipe.train.epochs)
    dataset = FaceDataset(drawn_records(scheme, count), views, seed=0)
    dataset.set_epoch(epoch)
    batch = collate([dataset[i] for i in range(count)])
    assert batch.views == 2
    assert np.isfinite(batch.xy.numpy()).all()
    return batch
