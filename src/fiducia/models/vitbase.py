"""The vanilla network of Table 3's first row: the same ViT, without hourglasses."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ..heatmaps.decode import heatmap_decoders
from ..structures import ModelOutput, Prediction
from .base import LandmarkModel, split_parameters
from .parts.blocks import ConvNormAct, Normalize, ResidualBlock, check_choice, heatmap_head, make_norm
from .parts.vit import ConvStem, ViT, block_number
from .registry import register

__all__ = ["VanillaViT"]


@register(
    "vit_base",
    size=512,
    about="the same ViT without hourglasses: Table 3's first row",
    test_options={"width": 32, "depth": 2, "heads": 2, "channels": 16},
    test_size=64,
)
class VanillaViT(LandmarkModel):
    """A ViT, two transposed convolutions (x4), a residual block and a 1x1 head, of FiFANet's width C.

    FaRL's own head (161 M parameters, 603 GMAC at 512) would make "+ hourglass" the smaller network, so the
    vanilla row of Table 3 takes this one; FaRL's belongs to the baseline ``farl`` alone.

    Args:
        num_points: K.
        size: S, side of the input in pixels, divisible by ``patch``.
        patch: stride of the tokens, 4 times the stride of the maps.
        width: D.
        depth: transformer blocks.
        heads: attention heads.
        mlp_ratio: hidden over D.
        channels: C of the head.
        stem: ``"patch"``, or ``"conv"`` for the stem of the small FiFANets, so that the step to their hourglasses is that alone.
        stem_base: channels of the convolutional stem at half resolution.
        norm: ``"batch"`` or ``"group"``.
        head_bias: first bias of the head.
    """

    def __init__(
        self,
        num_points: int,
        size: int,
        *,
        patch: int = 16,
        width: int = 768,
        depth: int = 12,
        heads: int = 12,
        mlp_ratio: float = 4.0,
        channels: int = 128,
        stem: str = "patch",
        stem_base: int = 32,
        norm: str = "batch",
        head_bias: float = -5.0,
    ) -> None:
        super().__init__(num_points, size)
        if size % patch or patch % 4:
            raise ValueError(f"size must divide by patch, and patch by 4; found size {size}, patch {patch}")
        self.decoders = heatmap_decoders("expectation")
        self.normalize = Normalize()
        convolutions = None
        if check_choice("stem", stem, ("patch", "conv")) == "conv":
            convolutions = ConvStem(patch, width, stem_base, patch // 4, norm)
        act = "gelu" if stem == "conv" else "quick_gelu"
        self.vit = ViT(size // patch, patch, width, depth, heads, mlp_ratio=mlp_ratio, act=act, stem=convolutions)
        self.neck = nn.Sequential(
            ConvNormAct(width, channels, 1, norm=norm),
            nn.ConvTranspose2d(channels, channels, 4, 2, 1, bias=False),
            make_norm(norm, channels),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(channels, channels, 4, 2, 1, bias=False),
            make_norm(norm, channels),
            nn.ReLU(inplace=True),
            ResidualBlock(channels, channels, norm),
        )
        self.head = heatmap_head(channels, num_points, head_bias)

    def forward(self, images: Tensor) -> ModelOutput:
        """Crops ``(B, 3, S, S)``, uint8 or float in [0, 255] → logits ``(B, K, S/stride, S/stride)`` and features."""
        tokens, _ = self.vit.embed(self.normalize(images))
        features = self.neck(self.vit.to_map(self.vit.run(tokens, 0, self.vit.depth)))
        return ModelOutput(heatmaps=[self.head(features)], features=features)

    def decode(self, output: ModelOutput, method: str | None = None) -> Prediction:
        """Read the heatmaps, by expectation where nothing else is asked for (FaRL)."""
        return self.decode_heatmaps(output, method)

    def default_loss(self) -> dict[str, dict[str, Any]]:
        """Return heatmap BCE and a coordinate loss, as FaRL is trained."""
        return {"heatmap": {"kind": "bce"}, "coord": {"kind": "coord"}}

    def encoder(self) -> nn.Module | None:
        """Return the ViT where it has CLIP's patch embedding; one with a convolutional stem has nothing to load."""
        return self.vit if self.vit.prefix else None

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Return parameters by learning rate (``backbone``: the ViT) and decay, for the optimiser."""
        return split_parameters(self, backbone=("vit.",), depth=block_number)
