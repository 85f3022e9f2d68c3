"""FiFANet, the paper's network (Fig. 2): a ViT with an anti-aliased hourglass after every third of its blocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..heatmaps.decode import heatmap_decoders
from ..structures import ModelOutput
from .base import split_parameters
from .fifanet_grow import grow
from .fifanet_options import Backbone, Head, Hourglasses
from .fifanet_parts import HeadedModel, Refine, build_hourglass
from .parts.blocks import ConvNormAct, Normalize, ResidualBlock, heatmap_head
from .parts.hourglass import BlurPool, resize
from .parts.spectral import FFParser
from .parts.vit import ConvStem, ViT, block_number

__all__ = ["FiFANet"]


class FiFANet(HeadedModel):
    """Transformer blocks in three groups, an hourglass after each, all three fused into one head.

    The paper fixes only that hourglasses stand "in-between the transformer layers"; ``hourglass.wiring`` has the readings.

    Args:
        num_points: K.
        size: S, side of the input in pixels, divisible by ``backbone.patch``.
        backbone: the transformer and its stem.
        hourglass: the hourglasses.
        head: the way to heatmaps.
        norm: ``"batch"``, or ``"group"`` for exact training in several processes.

    Raises:
        ValueError: sizes that do not divide, or an unknown choice.
    """

    fresh = ("head.", "aux_heads.", "refine.")

    def __init__(
        self,
        num_points: int,
        size: int,
        *,
        backbone: Backbone = Backbone(),
        hourglass: Hourglasses = Hourglasses(),
        head: Head = Head(),
        norm: str = "batch",
    ) -> None:
        super().__init__(num_points, size)
        _check(size, backbone, hourglass, head)
        self.decoders = heatmap_decoders("expectation")
        channels, stride = hourglass.channels, hourglass.stride
        self.stride, width = (stride // 2, head.refine) if head.refine else (stride, channels)
        self.wiring = hourglass.wiring
        self.group = backbone.depth // 3
        self.map_stride, self.cells = stride, size // stride
        convolutions = None
        if backbone.stem == "conv":
            convolutions = ConvStem(backbone.patch, backbone.width, backbone.stem_base, stride, norm, backbone.fold)
        self.normalize = Normalize()
        self.vit = ViT(
            size // backbone.patch,
            backbone.patch,
            backbone.width,
            backbone.depth,
            backbone.heads,
            mlp_ratio=backbone.mlp_ratio,
            act="gelu" if backbone.stem == "conv" else "quick_gelu",
            stem=convolutions,
        )
        finer = convolutions.channels if convolutions is not None else {}
        kept = finer.get(stride, 0)
        # Laid out at the tokens' own resolution: the linear map commutes with the bilinear one, and is 16 times cheaper there.
        self.lift = nn.ModuleList([nn.Conv2d(backbone.width, channels, 1) for _ in range(3)])
        self.detail = nn.ModuleList([nn.Conv2d(kept, channels, 1) for _ in range(3)] if kept else [])
        self.hourglasses = nn.ModuleList([build_hourglass(hourglass, self.cells, norm) for _ in range(3)])
        returns = 0 if hourglass.wiring == "lateral" else 2
        factor = backbone.patch // stride
        self.sink = nn.ModuleList([_Return(channels, backbone.width, factor, norm) for _ in range(returns)])
        self.join = nn.Sequential(
            ConvNormAct(3 * channels, channels, 1, norm=norm), ResidualBlock(channels, channels, norm)
        )
        self.refine = Refine(channels, finer[self.stride], head.refine, norm) if head.refine else None
        self.head = heatmap_head(width, num_points, head.bias)
        self.aux_heads = nn.ModuleList(
            [heatmap_head(channels, num_points, head.bias) for _ in range(3)] if head.aux else []
        )

    def forward(self, images: Tensor) -> ModelOutput:
        """Crops ``(B, 3, S, S)``, uint8 or float in [0, 255] → logits ``(B, K, S/stride, S/stride)`` and features."""
        features, maps = self.features(images)
        early = [head(m) for head, m in zip(self.aux_heads, maps, strict=True)] if len(self.aux_heads) else []
        return ModelOutput(heatmaps=[*early, self.head(features)], features=features)

    def default_loss(self) -> dict[str, dict[str, Any]]:
        """Return the paper's: heatmap BCE, a coordinate loss and DCCA between the views, each of weight 1 (Sect. 3)."""
        return {"heatmap": {"kind": "bce"}, "coord": {"kind": "coord"}, "similarity": {"kind": "dcca"}}

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Return the parameters; ``backbone`` is the ViT. FF-Parser filters take no decay."""
        filters = [p for m in self.modules() if isinstance(m, FFParser) for p in m.parameters()]
        return split_parameters(self, backbone=("vit.",), free=filters, depth=block_number)

    def encoder(self) -> nn.Module | None:
        """Return the ViT where it has CLIP's patch embedding; one with a convolutional stem has nothing to load."""
        return self.vit if self.vit.prefix else None

    def adapted(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors of a FiFANet with fewer blocks, fewer pixels or richer hourglasses, fitted to this one."""
        return grow(state, self, self.vit)

    def features(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the features ``(B, C, h, w)`` before the head, and every hourglass's maps."""
        tokens, finer = self.vit.embed(self.normalize(images))
        maps: list[Tensor] = []
        for i, hourglass in enumerate(self.hourglasses):
            tokens = self.vit.run(tokens, i * self.group, (i + 1) * self.group)
            x = resize(self.lift[i](self.vit.to_map(tokens)), self.cells)
            if len(self.detail):
                x = x + self.detail[i](finer[self.map_stride])
            if self.wiring == "cascade" and maps:
                x = x + maps[-1]
            maps.append(hourglass(x))
            if i < len(self.sink):
                tokens = self.vit.add_map(tokens, self.sink[i](maps[-1]))
        features = self.join(torch.cat(maps, dim=1))
        if self.refine is not None:
            features = self.refine(features, finer[self.stride])
        return features, maps


def _check(size: int, backbone: Backbone, hourglass: Hourglasses, head: Head) -> None:
    patch, stride, stem, fold = backbone.patch, hourglass.stride, backbone.stem, backbone.fold
    if size % patch or patch % stride or backbone.depth % 3:
        raise ValueError(
            f"size must divide by backbone.patch, backbone.patch by hourglass.stride, and backbone.depth by 3; found size "
            f"{size}, patch {patch}, stride {stride}, depth {backbone.depth}"
        )
    if head.refine and (stem != "conv" or stride < 4 * fold):
        raise ValueError(
            f"head.refine needs backbone.stem = 'conv' and a hourglass.stride of {4 * fold} or more; found {stem!r} and {stride}"
        )
    if fold > 1 and (stem != "conv" or patch % (2 * fold) or stride < 2 * fold):
        raise ValueError(
            f"backbone.fold needs backbone.stem = 'conv', and a patch and hourglass.stride of {2 * fold} or more; found "
            f"{stem!r}, {patch} and {stride}"
        )


class _Return(nn.Module):
    """An hourglass's map → an update of the tokens, behind a gate that starts closed."""

    def __init__(self, channels: int, width: int, factor: int, norm: str) -> None:
        super().__init__()
        steps: list[nn.Module] = []
        while factor > 1:
            steps.append(BlurPool())
            factor //= 2
        self.down = nn.Sequential(*steps, ConvNormAct(channels, width, 1, norm=norm))
        self.gate = nn.Parameter(torch.zeros(width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, h, w)`` → ``(B, D, h / factor, w / factor)``."""
        return self.gate * self.down(x)
