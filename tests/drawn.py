"""Faces of any landmark set as batches, drawn or only points on noise, and landmark sets of one's own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from fiducia.augment.views import EvalViews, TrainViews
from fiducia.data.dataset import FaceDataset, collate
from fiducia.data.source import load_records
from fiducia.losses.base import LossContext
from fiducia.losses.registry import losses
from fiducia.losses.targets import Targets
from fiducia.models.base import LandmarkModel
from fiducia.models.parts.mean_face import mean_face
from fiducia.recipes.sections import Recipe
from fiducia.schemes.sets import Scheme, get_scheme, scheme_from_table
from fiducia.structures import Batch, Record
from networks import crops

__all__ = [
    "BARE",
    "KITE",
    "batch_of",
    "default_loss",
    "drawn_batch",
    "drawn_records",
    "scheme_of",
    "two_view_batch",
]

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
BARE = scheme_from_table({"name": "bare4", "points": 4, "mirror": [[0, 1]]})
"""One of which nobody knows the names, the edges or the eyes."""


def scheme_of(name: str) -> Scheme:
    """Return a landmark set by name; ``kite`` and ``bare4`` are :data:`KITE` and :data:`BARE`."""
    return {KITE.name: KITE, BARE.name: BARE}.get(name) or get_scheme(name)


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


def batch_of(scheme: Scheme, size: int, faces: int = 2, views: int = 2) -> Batch:
    """Return faces whose points are the mean face's, each moved by up to 3 % of the crop; all views are alike."""
    xy = mean_face(scheme.num_points, scheme) * size
    xy = xy + 0.06 * size * (torch.rand(faces, 1, scheme.num_points, 2) - 0.5)
    xy = xy.expand(-1, views, -1, -1).contiguous()
    return Batch(
        images=crops(faces, size)[:, None].expand(-1, views, -1, -1, -1),
        xy=xy,
        visible=torch.full(xy.shape[:3], 2, dtype=torch.int8),
        mask=torch.ones(xy.shape[:3], dtype=torch.bool),
        to_image=torch.eye(3, dtype=torch.float64)[:2].expand(faces, views, 2, 3),
        mirrored=torch.zeros(faces, views, dtype=torch.bool),
        index=torch.arange(faces),
    )


def default_loss(model: LandmarkModel, scheme: Scheme, batch: Batch) -> Tensor:
    """Return the sum of a network's own losses, unweighted."""
    output = model(batch.images.flatten(0, 1))
    context = LossContext.of(output, scheme, model.size)
    targets = Targets(batch, scheme, model.size)
    total = torch.zeros(())
    for name, table in model.default_loss().items():
        options = {key: value for key, value in table.items() if key not in ("kind", "weight")}
        term = losses.get(table["kind"]).build(context, options, name)
        total = total + term(output, targets)
    return total
