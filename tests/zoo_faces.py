"""Crops with known points, for tests of networks and losses."""

from __future__ import annotations

import torch
from torch import Tensor

from fiducia.losses.base import LossContext
from fiducia.losses.registry import losses
from fiducia.losses.targets import Targets
from fiducia.models.base import LandmarkModel
from fiducia.models.parts.mean_face import mean_face
from fiducia.schemes.sets import Scheme, get_scheme, scheme_from_table
from fiducia.structures import Batch

KITE = scheme_from_table({"name": "kite", "points": 4, "mirror": [[0, 1]]})


def scheme_of(name: str) -> Scheme:
    """Return a landmark set by name, ``kite`` being one of four points that nobody knows."""
    return KITE if name == "kite" else get_scheme(name)


def crops(count: int, size: int) -> Tensor:
    """Return noise, uint8 ``(count, 3, size, size)``."""
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8)


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
