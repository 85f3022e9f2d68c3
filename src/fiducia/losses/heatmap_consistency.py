"""SH-FAN's Siamese loss: the heatmaps of two views of a face agree once one is warped to the other."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import UsageError
from ..structures import Batch, ModelOutput
from .base import LossContext, Term
from .heatmap import map_values
from .registry import register
from .stages import Stages, check_stages, stage_mean
from .targets import Targets

__all__ = ["HeatmapConsistency", "between_views"]


def between_views(to_image: Tensor, size: int) -> Tensor:
    """Return the affine from places in the second view's crop to places in the first's, as ``affine_grid`` wants it.

    Args:
        to_image: float64 ``(B, 2, 2, 3)``, crop → photograph of both views.
        size: side of the crops in pixels.

    Returns:
        float64 ``(B, 2, 3)``, between coordinates that run from -1 to 1 over the crop, edge to edge.
    """
    square = torch.zeros(*to_image.shape[:2], 3, 3, dtype=to_image.dtype, device=to_image.device)
    square[..., :2, :] = to_image
    square[..., 2, 2] = 1.0
    pixels = torch.linalg.solve(square[:, 0], square[:, 1])
    # u = 2 (p + 0.5) / S - 1, whatever the number of cells that the crop is cut into.
    scale, shift = 2.0 / size, 1.0 / size - 1.0
    to_unit = torch.tensor([[scale, 0.0, shift], [0.0, scale, shift], [0.0, 0.0, 1.0]], dtype=to_image.dtype)
    return (to_unit.to(pixels) @ pixels @ torch.linalg.inv(to_unit).to(pixels))[:, :2]


@register("heatmap_consistency", needs=("heatmaps",), views=2)
class HeatmapConsistency(Term):
    """Squared difference of the second view's heatmaps and the first's, warped to it (SH-FAN, BMVC 2021; reconstruction).

    ``|warp(H(x)) - H(A x)|^2``, the mean over the landmarks that are labelled and over the cells that both views show; both
    views pass the gradient. The paper claims heatmap consistency across geometric transformations; its formula and weight
    were not found, so this is a reconstruction. The warp comes from the two crops' places in the photograph
    (``Batch.to_image``); where one view is mirrored, its landmarks change names as the landmark set says. An extra augmentation
    that bends the crop is not followed.

    Args:
        context: the landmark set.
        stages: see :data:`~fiducia.losses.stages.Stages`.
        detach: True = the first view is a fixed target.
    """

    def __init__(self, context: LossContext, *, stages: Stages = "all", detach: bool = False) -> None:
        super().__init__(context)
        check_stages(stages)
        self.stages, self.detach = stages, detach
        self.register_buffer("mirror", torch.tensor(context.scheme.mirror), persistent=False)

    def forward(self, output: ModelOutput, targets: Targets) -> Tensor:
        """Return the mean squared difference, averaged over the stages.

        Raises:
            UsageError: the batch does not have two views.
        """
        if targets.views != 2:
            raise UsageError(
                f"heatmap_consistency compares two views; the batch has {targets.views}; set augment.views = 2"
            )
        labelled = targets.labelled.unflatten(0, (-1, 2)).all(1)

        def one(maps: Tensor) -> Tensor:
            return targets.mean(self._errors(map_values(maps, output.linear), targets.batch, targets.size), labelled)

        return stage_mean(output.heatmaps, self.stages, one)

    def _errors(self, maps: Tensor, batch: Batch, size: int) -> Tensor:
        """Return the mean squared difference of every landmark's maps, ``(B, K)``."""
        first, second = maps.unflatten(0, (-1, 2)).unbind(1)
        if self.detach:
            first = first.detach()
        theta = between_views(batch.to_image, size).to(first)
        # Channel k of a mirror image is the point mirror[k] of the picture that is not mirrored.
        renamed = first[:, torch.as_tensor(self.mirror)]
        swapped = (batch.mirrored[:, 0] != batch.mirrored[:, 1]).view(-1, 1, 1, 1)
        first = torch.where(swapped, renamed, first)
        grid = F.affine_grid(theta, list(first.shape), align_corners=False)
        warped = F.grid_sample(first, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        # Cells within half a cell of the border would mix with the zeros beyond it.
        edge = 1.0 - 1.0 / first.shape[-1] + 1e-4
        both = (grid.abs() <= edge).all(-1)[:, None].to(warped.dtype)
        return ((warped - second).square() * both).sum((-2, -1)) / both.sum((-2, -1)).clamp(min=1.0)
