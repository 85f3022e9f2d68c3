"""Focal Wing loss: faces of rare kinds weigh more (a reconstruction of PropNet's, Huang et al., CVPR 2020)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..structures import ModelOutput
from .base import LossContext, Term
from .coordinate import point_stages, read_points, true_points
from .distances import distances
from .pooling import gather
from .registry import register
from .stages import Stages, check_stages, stage_mean
from .targets import Targets

__all__ = ["FocalWing", "face_weights"]

WFLW = ("largepose", "expression", "illumination", "makeup", "occlusion", "blur")


def face_weights(flags: Tensor) -> Tensor:
    """Return each face's weight: the sum over its flags of 1 / (share of the faces with that flag), 1 where it has none.

    The share is that of all processes' faces.

    Args:
        flags: bool or 0 and 1, ``(B, F)``.

    Returns:
        ``(B,)`` in the dtype of ``flags``, float32 for bool.
    """
    flags = flags.float() if flags.dtype == torch.bool else flags
    share = gather(flags).mean(0)
    weight = (flags / share.clamp(min=1e-12)).sum(-1)
    return torch.where(flags.any(-1), weight, torch.ones_like(weight))


@register("focal_wing", needs=("points|heatmaps",))
class FocalWing(Term):
    """Wing loss of the points, weighed by how rare a face's attributes are in its batch (PropNet; reconstruction).

    See :func:`face_weights` for the weights. **A reconstruction**: PropNet's formula and constants are not public. Its abstract
    says that difficult faces are found and weigh more; the weights here are those that trainers of PFLD use. Faces without
    tags weigh 1.

    Args:
        context: what the network gives.
        tags: the faces' tags that count, true or false each; WFLW's six attributes by default.
        distance: a registered distance; ``wing`` has w = 10 and epsilon = 2 pixels of a 512 crop.
        stages: see :data:`~fiducia.losses.stages.Stages`.
    """

    def __init__(
        self, context: LossContext, *, tags: Sequence[str] = WFLW, distance: str = "wing", stages: Stages = "all"
    ) -> None:
        super().__init__(context)
        if isinstance(tags, str) or not tags:
            raise ValueError(f"focal_wing: tags is a list of names, such as ['blur']; found {tags!r}")
        check_stages(stages)
        self.tags, self.stages = tuple(tags), stages
        self.distance = distances.get(distance, "distance: ")

    def forward(self, output: ModelOutput, targets: Targets) -> Tensor:
        """Return the mean over the points that are supervised, each times its face's weight."""
        weight = face_weights(self._flags(targets)).repeat_interleave(targets.views)

        def one(stage: Tensor) -> Tensor:
            predicted, where = read_points(output, stage, targets)
            error = self.distance(predicted[where], true_points(targets)[where])
            each = weight[:, None].expand_as(where)[where].to(error.dtype)
            return (error * each).sum() / targets.count(where, error.dtype)

        return stage_mean(point_stages(output), self.stages, one)

    def _flags(self, targets: Targets) -> Tensor:
        """Return bool ``(B, F)``; false where a face has no such tag."""
        faces = targets.batch.tags or [{} for _ in range(len(targets.batch.index))]
        rows = [[bool(face.get(tag, False)) for tag in self.tags] for face in faces]
        return torch.tensor(rows, dtype=torch.bool, device=targets.xy.device).view(len(rows), len(self.tags))
