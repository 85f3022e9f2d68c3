"""SLPT: from a mean face, look at a small patch round every landmark and refine, three times, ever closer."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..schemes.sets import Scheme
from ..structures import ModelOutput, Prediction
from .base import LandmarkModel, Options, split_parameters
from .parts.blocks import IMAGENET, Normalize, PreciseLinear
from .parts.hrnet import FusedHead, HRNetTrunk
from .parts.mean_face import mean_face
from .parts.relation import InherentRelations
from .registry import register

__all__ = ["SLPT", "SlptOptions"]

_SAMPLES = 7


class SlptOptions(Options):
    """The sparse local patches and what reads them.

    Attributes:
        layers: inherent-relation layers, 6 or 12 in the publication.
        dropout: in these layers.
        reach: half the side of the patches of each stage, as shares of the crop: 8, 4 and 2 of 64 cells.
        mean_face: K pairs (x, y) in fractions of the crop, where the first stage looks; () = the mean of the training faces, and
            before training a drawn face, see :func:`.parts.mean_face.mean_face`.
    """

    layers: int = 6
    dropout: float = 0.1
    reach: tuple[float, ...] = (8 / 64, 4 / 64, 2 / 64)
    mean_face: tuple[tuple[float, float], ...] = ()


@register(
    "slpt",
    size=256,
    about="SLPT with 6 layers (Xia et al., CVPR 2022)",
    test_options={"patches": {"layers": 1}},
    test_size=64,
)
@register(
    "slpt12",
    size=256,
    about="SLPT with 12 layers",
    options={"patches": {"layers": 12}},
    test_options={"patches": {"layers": 2}},
    test_size=64,
)
class SLPT(LandmarkModel):
    """SLPT (Xia et al., "Sparse Local Patch Transformer for Robust Face Alignment and Landmarks Inherent Relation", CVPR 2022).

    A light HRNet gives 256 maps at a quarter of the crop's side. Each stage samples 7 x 7 places round every landmark, makes a
    token of them, relates the tokens, and answers with a place inside the patch's box; the next stage looks there, with
    smaller boxes. All stages share their weights. A box at the crop's border is cut, and the answer is a fraction of the cut
    box. Fraction f is crop pixel ``f * S``, as published.

    The mean face is a buffer, ``mean_face`` in the weights: weights that are loaded bring their own.

    Args:
        num_points: K.
        size: S, a multiple of 32.
        patches: see :class:`SlptOptions`.
        scheme: the landmark set, for the drawn mean face.

    Raises:
        ValueError: a size that does not divide, or an option out of range.
    """

    mean_face: Tensor

    def __init__(
        self,
        num_points: int,
        size: int = 256,
        *,
        patches: SlptOptions = SlptOptions(),
        scheme: Scheme | None = None,
    ) -> None:
        super().__init__(num_points, size)
        if size % 32:
            raise ValueError(f"SLPT takes crops whose side is a multiple of 32; found {size}")
        if patches.layers < 1 or not patches.reach:
            raise ValueError(
                f"SLPT needs a layer and a stage; found {patches.layers} layers and {len(patches.reach)} stages"
            )
        width = 256
        self.reach = patches.reach
        self.normalize = Normalize(IMAGENET)
        self.trunk = HRNetTrunk(modules=(1, 1, 1))
        self.neck = FusedHead(self.trunk.widths, width)
        # One 7x7 convolution on a 7x7 patch is a matrix product.
        self.token = nn.Linear(width * _SAMPLES**2, width, bias=False)
        self.relations = InherentRelations(num_points, width, patches.layers, dropout=patches.dropout)
        self.head = PreciseLinear(width, 2)
        nn.init.xavier_uniform_(self.token.weight)
        # A new network answers with the middle of its patches, the mean face. (Published: Xavier, answers all over the crop.)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.constant_(self.head.bias, 0.5)
        self.register_buffer("mean_face", mean_face(num_points, scheme, patches.mean_face))
        self._face_given = bool(patches.mean_face)

    def forward(self, images: Tensor) -> ModelOutput:
        """Crops ``(B, 3, S, S)`` in [0, 255] → points ``(B, K, 2)`` of every layer of every stage, and features.

        The points come stage after stage, in each layer after layer; the last are the answer. The features ``(B, 256, S / 4,
        S / 4)`` are those that the patches are cut from.
        """
        features = self.neck(self.trunk(self.normalize(images)))
        # In the mean face's own precision: under autocast the features are too coarse for places.
        at = self.mean_face.expand(features.shape[0], -1, -1)
        points: list[Tensor] = []
        for reach in self.reach:
            low, high = (at - reach).clamp(0.0, 1.0), (at + reach).clamp(0.0, 1.0)
            answers = self.relations(self.token(sample_patches(features, low, high)))
            points += [low + (high - low) * self.head(answer) for answer in answers]
            at = points[-1].detach()
        return ModelOutput(points=[p * self.size for p in points], features=features)

    def decode(self, output: ModelOutput, method: str | None = None) -> Prediction:
        """Return the last layer's points of the last stage; there is nothing to choose, and no confidence."""
        self.check_method(method)
        return self.decode_points(output)

    def default_loss(self) -> dict[str, dict[str, Any]]:
        """Return the error of all layers in units of the eyes' distance, stages weighted 0.2, 0.3 and 0.5."""
        return {"points": {"kind": "stages", "weights": [0.2, 0.3, 0.5]}}

    def prepare(self, mean_face: Tensor) -> bool:
        """Start from this face, unless the options name another."""
        if not self._face_given:
            self.mean_face = mean_face.to(self.mean_face)
        return True

    def encoder(self) -> nn.Module | None:
        """Return the light HRNet, which takes weights trained on ImageNet."""
        return self.trunk

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Return parameters by learning rate (``backbone``: the HRNet without its neck) and decay, for the optimiser."""
        tables = (self.relations.structure, self.relations.query)
        return split_parameters(self, backbone=("trunk.",), free=tables)


def sample_patches(features: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Read 7 x 7 places, evenly spaced from a box's one corner to the other, both included.

    Args:
        features: ``(B, C, h, w)``.
        low: ``(B, K, 2)`` the boxes' upper left corners; 0 and 1 are the centres of the border cells. Their type is that of the
            result.
        high: ``(B, K, 2)`` the lower right corners.

    Returns:
        ``(B, K, 49 C)``: for each channel the rows of the patch.
    """
    steps = torch.linspace(0.0, 1.0, _SAMPLES, dtype=low.dtype, device=low.device)
    lines = 2.0 * (low[..., None] + (high - low)[..., None] * steps) - 1.0
    across, down = lines.unbind(2)
    shape = (*across.shape, _SAMPLES)
    grid = torch.stack([across[..., None, :].expand(shape), down[..., :, None].expand(shape)], dim=-1)
    seen = F.grid_sample(
        features.to(grid.dtype), grid.flatten(2, 3), mode="bilinear", padding_mode="border", align_corners=True
    )
    return seen.transpose(1, 2).flatten(2)
