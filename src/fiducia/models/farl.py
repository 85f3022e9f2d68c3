"""FaRL's alignment network: CLIP's ViT-B/16 with a feature pyramid and a UPerNet head (Zheng et al., CVPR 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..heatmaps.decode import heatmap_decoders
from ..structures import ModelOutput, Prediction
from .base import LandmarkModel, split_parameters
from .parts.blocks import ConvNormAct, Normalize, heatmap_head, make_norm
from .parts.hourglass import resize
from .parts.vit import ViT, block_number
from .registry import register

__all__ = ["FaRL", "bin_matrix"]


@register(
    "farl",
    size=448,
    about="FaRL (CVPR 2022): ViT-B/16 and a UPerNet head of 768 channels; loads CLIP or FaRL weights",
    test_options={"width": 32, "heads": 2, "channels": 16},
    test_size=64,
)
@register(
    "farl_256",
    size=448,
    options={"channels": 256},
    about="FaRL with a UPerNet head of 256 channels: a third of the work",
    test_options={"width": 32, "heads": 2, "channels": 16},
    test_size=64,
)
class FaRL(LandmarkModel):
    """A ViT whose blocks at a quarter, a half, two thirds and all of its depth make a pyramid for a UPerNet head.

    The pyramid has strides 4, 8, 16 and 32 where a patch has 16 pixels; the heatmaps have the finest. A batch of one crop
    cannot be trained with ``norm = "batch"``, since one of the head's layers sees a single cell a crop.

    Args:
        num_points: K.
        size: S, side of the input in pixels, divisible by ``patch`` (published: 448).
        patch: stride of the tokens, 4 times the stride of the heatmaps.
        width: D.
        depth: transformer blocks, divisible by 6.
        heads: attention heads.
        mlp_ratio: hidden width over D.
        channels: C of the head (published: 768).
        dropout: probability of dropping a channel before the last convolution, in training.
        norm: ``"batch"`` or ``"group"``, of pyramid and head.
        head_bias: first bias of the heatmaps; see :func:`~fiducia.models.parts.blocks.heatmap_head`.

    Raises:
        ValueError: sizes that do not divide.
    """

    fresh = ("necks.", "neck_head.", "head.")

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
        channels: int = 768,
        dropout: float = 0.1,
        norm: str = "batch",
        head_bias: float = -5.0,
    ) -> None:
        super().__init__(num_points, size)
        if size % patch or size < 2 * patch or depth % 6:
            raise ValueError(
                f"size must divide by patch and hold two of them, and depth divide by 6; found size {size}, patch {patch}, "
                f"depth {depth}"
            )
        self.decoders = heatmap_decoders("expectation")
        self.ends = (depth // 3, depth // 2, 2 * depth // 3, depth)
        self.normalize = Normalize()
        grid = size // patch
        self.side = 4 * grid
        self.vit = ViT(grid, patch, width, depth, heads, mlp_ratio=mlp_ratio)
        self.necks = nn.ModuleList(
            [
                nn.Sequential(
                    nn.ConvTranspose2d(width, width, 2, 2),
                    make_norm(norm, width),
                    nn.GELU(),
                    nn.ConvTranspose2d(width, width, 2, 2),
                ),
                nn.ConvTranspose2d(width, width, 2, 2),
                nn.Identity(),
                nn.MaxPool2d(2, 2),
            ]
        )
        self.neck_head = UPerNet([width] * 4, channels, grid // 2, norm)
        self.dropout = nn.Dropout2d(dropout)
        self.head = heatmap_head(channels, num_points, head_bias)

    def forward(self, images: Tensor) -> ModelOutput:
        """Crops ``(B, 3, S, S)``, uint8 or float in [0, 255] → logits ``(B, K, 4 S/patch, 4 S/patch)`` and features."""
        tokens, _ = self.vit.embed(self.normalize(images))
        levels, start = [], 0
        for end, neck in zip(self.ends, self.necks, strict=True):
            tokens = self.vit.run(tokens, start, end)
            levels.append(neck(self.vit.to_map(tokens)))
            start = end
        features = self.neck_head(levels)
        return ModelOutput(heatmaps=[self.head(self.dropout(features))], features=features)

    def decode(self, output: ModelOutput, method: str | None = None) -> Prediction:
        """Read the heatmaps; published: by expectation over the whole map."""
        return self.decode_heatmaps(output, method)

    def default_loss(self) -> dict[str, dict[str, Any]]:
        """Return FaRL's: BCE against Gaussians of radius 5 and sigma 5/4 cells, and the mean Euclidean distance, 1 each.

        FaRL compares maps of 112 cells at 128, the quarter of its crop before it is reduced to 448 pixels; other sizes likewise.
        """
        return {
            "heatmap": {"kind": "bce", "side": round(self.side * 128 / 112), "sigma": 1.25, "radius": 5.0},
            "coord": {"kind": "coord", "distance": "norm"},
        }

    def encoder(self) -> nn.Module | None:
        """Return the ViT, which loads CLIP, FaRL or timm weights."""
        return self.vit

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Return parameters by rate and decay; ``backbone`` is the ViT, by its blocks. FaRL gives the rest 100 times its rate."""
        return split_parameters(self, backbone=("vit.",), depth=block_number)


class UPerNet(nn.Module):
    """Unified perceptual parsing's head (Xiao et al., ECCV 2018): pyramid pooling on top, then a feature pyramid, fused.

    Args:
        inputs: channels of the levels, finest first.
        channels: C of every level inside and of the output.
        top: side of the coarsest map in cells.
        norm: see :func:`~fiducia.models.parts.blocks.make_norm`.
        bins: sides of the pooled maps.
    """

    def __init__(
        self, inputs: Sequence[int], channels: int, top: int, norm: str = "batch", bins: Sequence[int] = (1, 2, 3, 6)
    ) -> None:
        super().__init__()
        self.top = top
        self.pools = nn.ModuleList(
            [nn.Sequential(_BinPool(top, side), ConvNormAct(inputs[-1], channels, 1, norm=norm)) for side in bins]
        )
        self.bottleneck = ConvNormAct(inputs[-1] + len(bins) * channels, channels, 3, norm=norm)
        self.laterals = nn.ModuleList([ConvNormAct(c, channels, 1, norm=norm) for c in inputs[:-1]])
        self.smooth = nn.ModuleList([ConvNormAct(channels, channels, 3, norm=norm) for _ in inputs[:-1]])
        self.fuse = ConvNormAct(len(inputs) * channels, channels, 3, norm=norm)

    def forward(self, levels: list[Tensor]) -> Tensor:
        """Maps ``(B, inputs[i], h_i, h_i)``, finest first → ``(B, C, h_0, h_0)``."""
        top = levels[-1]
        pooled = [resize(pool(top), self.top) for pool in self.pools]
        above = self.bottleneck(torch.cat([top, *pooled], dim=1))
        maps = [above]
        for level, lateral, smooth in zip(
            reversed(levels[:-1]), reversed(self.laterals), reversed(self.smooth), strict=True
        ):
            above = lateral(level) + resize(above, level.shape[-1])
            maps.append(smooth(above))
        side = maps[-1].shape[-1]
        return self.fuse(torch.cat([resize(m, side) for m in reversed(maps)], dim=1))


class _BinPool(nn.Module):
    """Average pooling of square maps to ``bins`` x ``bins`` cells, as two products with a table, which every runtime can do.

    Bin i covers the cells from floor(i side / bins) up to ceil((i + 1) side / bins): bins overlap where the side does not divide.
    """

    table: Tensor

    def __init__(self, side: int, bins: int) -> None:
        super().__init__()
        self.register_buffer("table", bin_matrix(side, bins), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, side, side)`` → ``(B, C, bins, bins)``."""
        table = self.table.to(x.dtype)
        return table @ x @ table.T


def bin_matrix(side: int, bins: int) -> Tensor:
    """Return the float32 ``(bins, side)`` matrix that averages ``side`` cells into ``bins``, which may overlap."""
    edges = [(i * side // bins, -(-(i + 1) * side // bins)) for i in range(bins)]
    return torch.tensor([[float(a <= j < b) / (b - a) for j in range(side)] for a, b in edges])
