"""A mean face for networks that start from one or that know which landmarks are neighbours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...data.synthetic.shape import SELECTIONS, FaceShape, build_head
from ...schemes.sets import Scheme

__all__ = ["mean_face", "nearest_points"]


def mean_face(
    num_points: int,
    scheme: Scheme | None = None,
    given: Sequence[Sequence[float]] = (),
    share: float = 0.8,
) -> Tensor:
    """Return a mean face.

    Args:
        num_points: K.
        scheme: the landmark set; None = unknown.
        given: the mean face of the training faces, K pairs (x, y) in fractions of the crop's side; () = not known. Then the
            face is drawn: the neutral face of :mod:`fiducia.data.synthetic` where the landmark set is one that it has; for any
            other set the points fill a disc evenly, in their own order.
        share: side of a drawn face's square box as a share of the crop.

    Returns:
        float32 ``(K, 2)`` fractions of the crop's side.

    Raises:
        ValueError: ``given`` is not K pairs.
    """
    if len(given):
        face = np.asarray(given, dtype=np.float64)
        if face.shape != (num_points, 2):
            raise ValueError(f"mean_face has one pair (x, y) for each of {num_points} landmarks; found {face.shape}")
        return torch.tensor(face, dtype=torch.float32)
    drawn = _neutral(scheme, num_points)
    low, high = drawn.min(0), drawn.max(0)
    side = max(float((high - low).max()), 1e-6)
    return torch.tensor(0.5 + share * (drawn - (low + high) / 2) / side, dtype=torch.float32)


def nearest_points(face: Tensor, count: int) -> Tensor:
    """Return each point's nearest others, int64 ``(K, count)``, nearest first.

    Args:
        face: ``(K, 2)``, any unit.
        count: less than K.
    """
    wide = face.double()
    distance = (wide[:, None] - wide[None]).square().sum(-1)
    distance.fill_diagonal_(torch.inf)
    return distance.sort(dim=1, stable=True).indices[:, :count]


def _neutral(scheme: Scheme | None, num_points: int) -> npt.NDArray[np.float64]:
    chosen = SELECTIONS.get(scheme.name) if scheme is not None else None
    if chosen is not None and len(chosen) == num_points:
        head = build_head(FaceShape())
        return head.view(head.points[list(chosen)])
    # Like a sunflower's seeds, which lie evenly.
    order = np.arange(num_points)
    angle = order * np.pi * (3 - np.sqrt(5))
    return np.sqrt((order + 0.5) / num_points)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
