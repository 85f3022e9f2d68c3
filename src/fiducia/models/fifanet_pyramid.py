"""FiFANet on a convolutional encoder: a feature pyramid, one anti-aliased hourglass with FF-Parsers, heatmaps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from ..heatmaps.decode import heatmap_decoders
from ..structures import ModelOutput
from .base import split_parameters
from .encoders import encoders
from .fifanet_grow import fit_spectra
from .fifanet_options import Backbone, Head, Hourglasses
from .fifanet_parts import HeadedModel, Refine, build_hourglass
from .parts.blocks import Normalize, ResidualBlock, heatmap_head
from .parts.hourglass import resize
from .parts.spectral import FFParser

__all__ = ["PyramidFiFANet"]


class PyramidFiFANet(HeadedModel):
    """An encoder's maps, added from coarse to fine (Lin et al. 2017), and FiFANet's hourglass on the finest of them.

    The paper puts hourglasses between the blocks of a pre-trained ViT; a convolutional encoder of a tenth of its size is
    pre-trained too, and has its maps of all strides already.

    Args:
        num_points: K.
        size: S, side of the input in pixels, divisible by the encoder's largest stride (32).
        backbone: the encoder; ``kind`` is not ``vit``.
        hourglass: the hourglass; ``stride`` is one of the encoder's. ``depth = 0`` leaves it out, ``wiring`` has no meaning.
        head: the way to heatmaps.
        norm: ``"batch"`` or ``"group"``, of all but the encoder.

    Raises:
        ValueError: sizes that do not divide, or an unknown choice.
        UsageError: an unknown encoder.
    """

    fresh = ("head.", "aux_head.", "refine.")

    def __init__(
        self,
        num_points: int,
        size: int,
        *,
        backbone: Backbone,
        hourglass: Hourglasses = Hourglasses(),
        head: Head = Head(),
        norm: str = "batch",
    ) -> None:
        super().__init__(num_points, size)
        encoder = encoders.get(backbone.kind, "backbone.kind: ")
        self.decoders = heatmap_decoders("expectation")
        self.normalize = Normalize(encoder.scaling)
        self.trunk = encoder.build(backbone.drop_path)
        self.block_number = encoder.block
        channels, found = hourglass.channels, self.trunk.channels
        self.levels = sorted((stride for stride in found if stride >= hourglass.stride), reverse=True)
        if hourglass.stride not in found or size % max(found):
            raise ValueError(
                f"hourglass.stride is one of the encoder's {', '.join(map(str, sorted(found)))}, and size divides by "
                f"{max(found)}; found {hourglass.stride} and {size}"
            )
        if head.refine and hourglass.stride // 2 not in found:
            raise ValueError(f"head.refine needs a map of stride {hourglass.stride // 2}, which {backbone.kind} lacks")
        self.lateral = nn.ModuleList([nn.Conv2d(found[stride], channels, 1) for stride in self.levels])
        # The finest level has the hourglass's own blocks.
        self.smooth = nn.ModuleList([ResidualBlock(channels, channels, norm) for _ in self.levels[:-1]])
        self.hourglass = build_hourglass(hourglass, size // hourglass.stride, norm)
        self.finer, self.stride = hourglass.stride // 2, hourglass.stride
        self.refine = None
        if head.refine:
            self.refine, self.stride = Refine(channels, found[self.finer], head.refine, norm), self.finer
        self.head = heatmap_head(head.refine or channels, num_points, head.bias)
        self.aux_head = heatmap_head(channels, num_points, head.bias) if head.aux else None

    def forward(self, images: Tensor) -> ModelOutput:
        """Crops ``(B, 3, S, S)``, uint8 or float in [0, 255] → logits ``(B, K, S/stride, S/stride)`` and features."""
        features, maps = self.features(images)
        early = [self.aux_head(m) for m in maps] if self.aux_head is not None else []
        return ModelOutput(heatmaps=[*early, self.head(features)], features=features)

    def features(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the features ``(B, C, h, w)`` before the head, and the pyramid's finest map before the hourglass."""
        maps = self.trunk(self.normalize(images))
        x = self.lateral[0](maps[self.levels[0]])
        for lateral, smooth, stride in zip(self.lateral[1:], self.smooth, self.levels[1:], strict=True):
            x = resize(smooth(x), self.size // stride) + lateral(maps[stride])
        features = self.hourglass(x)
        if self.refine is not None:
            features = self.refine(features, maps[self.finer])
        return features, [x]

    def default_loss(self) -> dict[str, dict[str, Any]]:
        """Return the paper's: heatmap BCE, a coordinate loss and DCCA between the views, each of weight 1 (Sect. 3)."""
        return {"heatmap": {"kind": "bce"}, "coord": {"kind": "coord"}, "similarity": {"kind": "dcca"}}

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Return the parameters; ``backbone`` is the encoder, by its blocks. FF-Parser filters take no decay."""
        filters = [p for m in self.modules() if isinstance(m, FFParser) for p in m.parameters()]
        return split_parameters(self, backbone=("trunk.",), free=filters, depth=self.block_number)

    def encoder(self) -> nn.Module | None:
        """Return the convolutional encoder, which takes published weights."""
        return self.trunk

    def adapted(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors of the same network for crops of another side: FF-Parsers are resized."""
        return fit_spectra(dict(state), self)
