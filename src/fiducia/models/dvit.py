"""D-ViT (Dang, Li, Liu, "Cascaded Dual Vision Transformer for Accurate Facial Landmark Detection", WACV 2025): a reconstruction."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..heatmaps.decode import decoders, heatmap_decoders, to_crop_pixels
from ..structures import ModelOutput, Prediction
from .base import LandmarkModel, split_parameters
from .parts.blocks import IMAGENET, ConvNormAct, Normalize, ResidualBlock
from .parts.hourglass import resize
from .parts.resnet import ResNetTrunk
from .parts.vit import Block
from .registry import register

__all__ = ["DViT"]


@register(
    "dvit",
    size=256,
    about="D-ViT (WACV 2025), a reconstruction: cascaded blocks that attend among places and among channels",
    test_options={"blocks": 2, "channels": 16, "width": 32, "heads": 2},
    test_size=64,
)
class DViT(LandmarkModel):
    """A reconstruction of D-ViT: a cascade of blocks, each with heatmaps and points of its own.

    Established by the paper's abstract and introduction (arXiv 2411.07167; its method section could not be read): heatmap
    regression by a cascade of prediction blocks with intermediate supervision; in each block a usual vision transformer,
    whose tokens are places of the map (spatial-split), and one whose tokens are the map's channels (channel-split), which
    are read as a basis of the heatmaps; long skip connections that bring low-level image features to every block. Taken from
    a third party's account of its own rebuild, hence less sure: a ResNet-18 for the features, 8 blocks with 256 channels,
    places of 2 x 2 cells, adaptive Wing loss on the heatmaps and smooth L1 on the points of all blocks.

    Chosen here: maps of stride 4, the sum of the ResNet's four maps brought to C channels; every channel's map at half its side
    as a channel token; one transformer layer of width 256 with 8 heads on each branch; the branches side by side through a
    1x1 convolution and a residual block, added to the block's input; the long skip a 1x1 convolution that is added to the
    input; linear heatmaps of peak 1, read by expectation above zero; equal weights of the blocks. Its published numbers are
    not claimed for it.

    Args:
        num_points: K.
        size: S, side of the input in pixels, divisible by 32. The transformers' weights fit one size alone.
        blocks: prediction blocks.
        channels: C of the maps, a multiple of 4.
        width: D of the tokens.
        depth: transformer layers on each branch of a block.
        heads: attention heads.
        mlp_ratio: hidden width over D.
        channel_split: the second branch; without it the blocks are plain vision transformers (the paper's ablation).
        skip: the long skip connections.
        norm: ``"batch"`` or ``"group"``, outside the trunk.

    Raises:
        ValueError: sizes that do not divide.
    """

    fresh = ("blocks.",)

    def __init__(
        self,
        num_points: int,
        size: int,
        *,
        blocks: int = 8,
        channels: int = 256,
        width: int = 256,
        depth: int = 1,
        heads: int = 8,
        mlp_ratio: float = 4.0,
        channel_split: bool = True,
        skip: bool = True,
        norm: str = "batch",
    ) -> None:
        super().__init__(num_points, size)
        if size % 32 or blocks < 1:
            raise ValueError(f"size must divide by 32, and blocks be 1 or more; found size {size}, blocks {blocks}")
        self.decoders = heatmap_decoders("expectation")
        side = size // 4
        self.normalize = Normalize(IMAGENET)
        self.trunk = ResNetTrunk(18)
        self.lateral = nn.ModuleList([nn.Conv2d(c, channels, 1) for c in self.trunk.channels])
        self.merge = ResidualBlock(channels, channels, norm)
        skips = blocks - 1 if skip else 0
        self.skips = nn.ModuleList([nn.Conv2d(channels, channels, 1) for _ in range(skips)])
        self.blocks = nn.ModuleList(
            [
                _Dual(channels, side, width, depth, heads, mlp_ratio, num_points, channel_split, norm)
                for _ in range(blocks)
            ]
        )

    def forward(self, images: Tensor) -> ModelOutput:
        """Crops ``(B, 3, S, S)``, uint8 or float in [0, 255] → a stage of heatmaps and points a block, and features."""
        maps = self.trunk(self.normalize(images))
        side = maps[0].shape[-1]
        laid = [resize(lateral(m), side) for lateral, m in zip(self.lateral, maps, strict=True)]
        low = x = self.merge(torch.stack(laid).sum(0))
        heatmaps, points = [], []
        for i, block in enumerate(self.blocks):
            if i and len(self.skips):
                x = x + self.skips[i - 1](low)
            x, heatmap = block(x)
            heatmaps.append(heatmap)
            cells = decoders["expectation"](heatmap.float())
            points.append(to_crop_pixels(cells, side, self.size))
        return ModelOutput(heatmaps=heatmaps, linear=True, points=points, features=x)

    def decode(self, output: ModelOutput, method: str | None = None) -> Prediction:
        """Return the last block's points, or read its heatmaps in another way; confidence is the largest value of a map."""
        if self.check_method(method) != "expectation":
            return self.decode_heatmaps(output, method)
        return self.decode_points(output, output.heatmaps[-1].float().flatten(2).amax(-1))

    def default_loss(self) -> dict[str, dict[str, Any]]:
        """Return adaptive Wing loss on all heatmaps and smooth L1 on all points, as a third party's description has it."""
        return {
            "heatmap": {"kind": "awing", "stages": "all"},
            "coord": {"kind": "coord", "distance": "smooth_l1", "stages": "all"},
        }

    def encoder(self) -> nn.Module | None:
        """Return the ResNet-18, which loads torchvision's ImageNet weights."""
        return self.trunk

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Return parameters by learning rate and decay; ``backbone`` is the ResNet. Position embeddings take no decay."""
        positions = [p for name, p in self.named_parameters() if name.endswith(".position")]
        return split_parameters(self, backbone=("trunk.",), free=positions)


class _Dual(nn.Module):
    """A prediction block: attention among places, attention among channels, and heatmaps of what both say."""

    def __init__(
        self,
        channels: int,
        side: int,
        width: int,
        depth: int,
        heads: int,
        mlp_ratio: float,
        num_points: int,
        channel_split: bool,
        norm: str,
    ) -> None:
        super().__init__()
        self.spatial = _SpatialSplit(channels, side, width, depth, heads, mlp_ratio)
        self.channel = _ChannelSplit(channels, side, width, depth, heads, mlp_ratio) if channel_split else None
        branches = 2 if channel_split else 1
        self.join = nn.Sequential(
            ConvNormAct(branches * channels, channels, 1, norm=norm), ResidualBlock(channels, channels, norm)
        )
        self.head = nn.Conv2d(channels, num_points, 1)
        nn.init.normal_(self.head.weight, std=0.001)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, C, h, w)`` → the same shape for the next block, and heatmaps ``(B, K, h, w)``."""
        told = [self.spatial(x)] if self.channel is None else [self.spatial(x), self.channel(x)]
        x = x + self.join(torch.cat(told, dim=1))
        return x, self.head(x)


class _SpatialSplit(nn.Module):
    """A vision transformer over squares of 2 x 2 cells."""

    def __init__(self, channels: int, side: int, width: int, depth: int, heads: int, mlp_ratio: float) -> None:
        super().__init__()
        self.grid = side // 2
        self.embed = nn.Conv2d(channels, width, 2, 2)
        self.position = nn.Parameter(nn.init.normal_(torch.empty(1, self.grid**2, width), std=0.02))
        self.layers = nn.Sequential(*[Block(width, heads, mlp_ratio, "gelu") for _ in range(depth)])
        self.back = nn.ConvTranspose2d(width, channels, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, h, w)`` → the same shape."""
        tokens = self.embed(x).flatten(2).transpose(1, 2) + self.position
        tokens = self.layers(tokens).transpose(1, 2)
        return self.back(tokens.unflatten(2, (self.grid, self.grid)))


class _ChannelSplit(nn.Module):
    """A vision transformer whose tokens are channels: each is one map of half the side, read as a vector."""

    def __init__(self, channels: int, side: int, width: int, depth: int, heads: int, mlp_ratio: float) -> None:
        super().__init__()
        self.side = side
        self.halve = nn.AvgPool2d(2)
        self.embed = nn.Linear((side // 2) ** 2, width)
        self.position = nn.Parameter(nn.init.normal_(torch.empty(1, channels, width), std=0.02))
        self.layers = nn.Sequential(*[Block(width, heads, mlp_ratio, "gelu") for _ in range(depth)])
        self.back = nn.Linear(width, (side // 2) ** 2)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, h, w)`` → the same shape."""
        tokens = self.layers(self.embed(self.halve(x).flatten(2)) + self.position)
        half = self.side // 2
        return resize(self.back(tokens).unflatten(2, (half, half)), self.side)
