"""PFLD's loss: squared errors of points, weighted by how rare a face's attributes are and how wrong its pose (2019)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..structures import ModelOutput
from .base import LossContext, Term
from .head_pose import average_head, head_pose
from .pooling import gather
from .registry import register
from .stages import at_least_single
from .targets import Targets

__all__ = ["PfldLoss", "attribute_weights", "weighted_square"]


def weighted_square(square: Tensor, angles: Tensor, attributes: Tensor) -> Tensor:
    """Return PFLD's loss of each face: the product of its three factors (Guo et al., arXiv 1902.10859).

    Args:
        square: ``(N,)`` sum of the squared differences of all coordinates.
        angles: ``(N, 3)`` differences of the angles in radians; their factor is the sum of ``1 - cos``.
        attributes: ``(N,)`` factors of :func:`attribute_weights`.
    """
    return (1.0 - torch.cos(angles)).sum(1) * attributes * square


def attribute_weights(flags: Tensor) -> Tensor:
    """Return each face's weight ``(N,)`` from its attributes ``(N, A)``, 0 or 1.

    The sum, over the attributes that it has, of one over the attribute's share of the batch of all processes. A face without
    any has weight 0, as published.
    """
    share = gather(flags).mean(0)
    return flags @ torch.where(share > 0, 1.0 / share.clamp(min=1e-9), torch.full_like(share, float(len(flags))))


@register("pfld", needs=("points",))
class PfldLoss(Term):
    """Squared error of points, weighted by attributes and pose (PFLD).

    A face's loss is the sum of the squared differences of its coordinates, as shares of the crop's side, times two factors:
    the sum of ``1 - cos`` of the errors of the auxiliary branch's three angles (``maps.angles``), and the weight of its
    attributes. The product trains the branch too. A face without any of the attributes has no part in the published loss.

    Where the data do not tell, a factor is 1. Attributes are the face's tags of these names; the factor is 1 where the face
    has none of the tags, true or false. The true angles are those of the crop, warped and mirrored as it may be: they are
    found from the face's labelled points and an average head (:mod:`.head_pose`), much as PFLD's authors find them. The factor
    is 1 for landmark sets without an average head, and for networks without the branch.

    Args:
        context: the landmark set.
        attributes: names of the tags; those of WFLW, whose large poses the angles stand for.
        pose: False = leave the angles' factor out.
        plain: True = no factors: the mean over faces of the sum of squares.
        least: added to the angles' factor; 0 as published, where the points cease to train once the angles are right.
    """

    head: Tensor | None

    def __init__(
        self,
        context: LossContext,
        *,
        attributes: Sequence[str] = ("expression", "illumination", "makeup", "occlusion", "blur"),
        pose: bool = True,
        plain: bool = False,
        least: float = 0.0,
    ) -> None:
        super().__init__(context)
        if least < 0:
            raise ValueError(f"least is 0 or more; found {least}")
        self.attributes, self.pose, self.plain, self.least = tuple(attributes), pose, plain, least
        self.register_buffer("head", average_head(context.scheme), persistent=False)

    def forward(self, output: ModelOutput, targets: Targets) -> Tensor:
        """Return the mean over the faces that are supervised."""
        where = targets.inside
        faces = where.any(1)
        difference = torch.where(
            where[..., None], (at_least_single(output.points[-1]) - targets.xy) / targets.size, 0.0
        )
        square = difference.square().sum((1, 2))
        if self.plain:
            return targets.mean(square, faces)
        factor = self._attributes(targets, square)
        branch = output.maps.get("angles")
        if not self.pose or branch is None:
            return targets.mean(factor * square, faces)
        if self.head is None:
            # A branch that no face trains still has a gradient, of 0, as training over several processes expects.
            return targets.mean(factor * square, faces) + 0.0 * at_least_single(branch[-1]).sum()
        truth, known = head_pose(targets.xy, targets.labelled, self.head)
        wrong = weighted_square(square, at_least_single(branch[-1]) - truth, factor) + self.least * factor * square
        return targets.mean(torch.where(known, wrong, factor * square), faces)

    def _attributes(self, targets: Targets, like: Tensor) -> Tensor:
        """Return the factor ``(N,)`` of each face's attributes; 1 where its tags say nothing of any."""
        tags = _per_crop(targets)
        told = torch.tensor([any(name in tag for name in self.attributes) for tag in tags], device=like.device)
        rows = [[float(bool(tag.get(name, False))) for name in self.attributes] for tag in tags]
        if not self.attributes:
            return torch.ones_like(like)
        # Also where no face here tells any: the shares are those of all processes, which wait for each other.
        return torch.where(told, attribute_weights(torch.tensor(rows, dtype=like.dtype, device=like.device)), 1.0)


def _per_crop(targets: Targets) -> list[Mapping[str, Any]]:
    """Return the tags of every crop, in the order ``b * V + v``; empty ones where the batch has none."""
    tags = targets.batch.tags or [{}] * len(targets.batch.index)
    return [tag for tag in tags for _ in range(targets.views)]
