"""SLPT's loss: the error of every stage and layer in units of the eyes' distance, later stages counting more."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..structures import ModelOutput
from .base import LossContext, Term
from .registry import register
from .stages import at_least_single
from .targets import Targets

__all__ = ["StageLoss", "errors_in_units", "face_lengths"]


def errors_in_units(points: Tensor, truth: Tensor, unit: Tensor) -> Tensor:
    """Return the Euclidean errors ``(N, K)`` of points ``(N, K, 2)``, divided by each face's ``unit (N,)``."""
    # The small constant keeps the gradient finite where the error is exactly 0.
    return (at_least_single(points) - truth).square().sum(-1).add(1e-12).sqrt() / unit[:, None]


def face_lengths(targets: Targets) -> Tensor:
    """Return each face's normaliser ``(N,)`` in crop pixels: the distance of the outer eye corners.

    Where the landmark set has no eye corners or a face's are not labelled: half the root of the area of the tight box of its
    labelled points, which is about the same length. At least 1 pixel.
    """
    xy, labelled = targets.xy, targets.labelled[..., None]
    far = torch.full_like(xy, 1e6)
    low = torch.where(labelled, xy, far).amin(1)
    high = torch.where(labelled, xy, -far).amax(1)
    length = 0.5 * (high - low).clamp(min=0.0).prod(-1).sqrt()
    eyes = targets.scheme.inter_ocular
    if eyes is not None:
        between = (xy[:, eyes[0]] - xy[:, eyes[1]]).square().sum(-1).sqrt()
        length = torch.where(torch.isfinite(between), between, length)
    return length.clamp(min=1.0)


@register("stages", needs=("points",))
class StageLoss(Term):
    """Mean Euclidean error in units of the eyes' distance, a weighted sum over stages (SLPT, Xia et al., CVPR 2022).

    A network that answers several times in each stage, as SLPT does once a layer, gives its points stage after stage; the
    answers of a stage are averaged.

    Args:
        context: what the network gives.
        weights: one a stage, the last one final; their number divides the number of the network's answers. SLPT's are 0.2, 0.3
            and 0.5. () = every answer is a stage, and all count alike.
    """

    def __init__(self, context: LossContext, *, weights: Sequence[float] = ()) -> None:
        super().__init__(context)
        if any(weight < 0 for weight in weights):
            raise ValueError(f"weights are 0 or more; found {list(weights)}")
        if weights and context.stages % len(weights):
            raise ValueError(f"weights names {len(weights)} stages; the network gives {context.stages} answers")
        self.weights = tuple(weights)

    def forward(self, output: ModelOutput, targets: Targets) -> Tensor:
        """Return the weighted sum of the stages' mean errors."""
        count = len(output.points)
        weights = self.weights or (1 / count,) * count
        # A nan would pass into the gradient, even of a point that is left out.
        unit, truth = face_lengths(targets), torch.nan_to_num(targets.xy)
        errors = [targets.mean(errors_in_units(points, truth, unit), targets.inside) for points in output.points]
        stages = torch.stack(errors).view(len(weights), -1).mean(1)
        return (stages * torch.tensor(weights, dtype=stages.dtype, device=stages.device)).sum()
