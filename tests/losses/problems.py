"""What the loss tests share: loss tables, faces and outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from fiducia.losses.base import LossContext
from fiducia.losses.targets import Targets
from fiducia.schemes.sets import Scheme, scheme_from_table
from fiducia.structures import Batch, ModelOutput


@dataclass
class Table:
    """One ``[loss.NAME]`` table."""

    kind: str
    weight: float = 1.0
    schedule: Sequence[tuple[float, float]] = ()
    own: Mapping[str, Any] = field(default_factory=dict)

    def options(self) -> Mapping[str, Any]:
        return self.own


def scheme(points: int, edges: list[list[int]] | None = None) -> Scheme:
    return scheme_from_table({"points": points, "mirror": [], "edges": edges or []})


def batch_of(xy: Tensor, mask: Tensor | None = None, tags: Sequence[Mapping[str, Any]] = ()) -> Batch:
    """Return the batch of points ``(B, V, K, 2)``; the mask is where they are labelled unless it is given."""
    faces, views = xy.shape[:2]
    known = torch.isfinite(xy).all(-1)
    return Batch(
        images=torch.zeros(faces, views, 3, 1, 1, dtype=torch.uint8),
        xy=xy,
        visible=known.to(torch.int8) * 2,
        mask=known if mask is None else mask,
        to_image=torch.eye(2, 3, dtype=torch.float64).expand(faces, views, 2, 3).clone(),
        mirrored=torch.zeros(faces, views, dtype=torch.bool),
        index=torch.arange(faces),
        tags=tags,
    )


def targets_of(xy: Tensor, size: int, **options: Any) -> Targets:
    """Return the targets of points ``(N, K, 2)`` in crop pixels."""
    batch = batch_of(xy[:, None], tags=options.pop("tags", ()))
    return Targets(batch, scheme(xy.shape[1]), size, **options)


def context_of(output: ModelOutput, points: int, size: int, edges: list[list[int]] | None = None) -> LossContext:
    return LossContext.of(output, scheme(points, edges), size)
