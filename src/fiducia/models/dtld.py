"""DTLD (Li et al., "Towards Accurate Facial Landmark Detection via Cascaded Transformers", CVPR 2022): a reconstruction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..structures import ModelOutput, Prediction
from .base import LandmarkModel, split_parameters
from .parts.blocks import IMAGENET, Normalize, PreciseLinear
from .parts.deformable import DeformableAttention, cell_centres
from .parts.resnet import ResNetTrunk
from .registry import register

__all__ = ["DTLD"]


@register(
    "dtld",
    size=256,
    about="DTLD (CVPR 2022), a reconstruction: landmark queries and deformable decoders on a ResNet-18",
    test_options={"layers": 2, "width": 32, "heads": 4, "hidden": 32},
    test_size=64,
)
@register(
    "dtld_plus",
    size=256,
    options={"parallel": True},
    about="DTLD+ (CVPR 2022), a reconstruction: DTLD whose decoders refine the image features too",
    test_options={"layers": 2, "width": 32, "heads": 4, "hidden": 32},
    test_size=64,
)
class DTLD(LandmarkModel):
    """A reconstruction of DTLD: landmarks as queries that look at an image pyramid round where they think they are.

    **Patent.** US 12,430,793 B2 (Samsung, granted 2025) covers a pipeline such as this one: staged convolutional maps, one
    query a landmark from the last map by a fully connected layer, a flattened memory of several levels, cascaded decoders. Code
    written from scratch does not change that. Whether you may use it is for you to decide; this is no legal advice.

    No code was published. Established by the paper's abstract and figure, a reader's note and the patent: a ResNet-18 with maps
    at strides 4 to 32; a 1x1 convolution on each to C channels; all cells as one memory; first queries from the last map by a
    linear map over its cells; first points by a linear layer and a sigmoid; layers of self-attention among landmarks,
    deformable attention to the memory round the last points, and a correction of the points; points in, points out, no
    heatmap; in DTLD+ every layer also updates the memory by deformable attention.

    Chosen here, after Deformable DETR: 3 layers, C = 256, 8 heads, 4 samples a head and level, hidden layers of 1024, dropout
    0.1, norms behind the residuals, a position embedding a landmark for queries and keys, corrections in logits by an MLP
    of three layers that starts at zero, the last points detached, L1 on all points with equal weights.

    Args:
        num_points: K.
        size: S, side of the input in pixels, divisible by 32. The weights of the first queries fit one size alone.
        layers: decoder layers; the published number is unknown.
        width: C.
        heads: attention heads.
        points: samples of a head on a level.
        hidden: hidden width of the feed-forward layers; 0 = none.
        dropout: in training.
        parallel: DTLD+: the layers update the memory.
        queries: ``"image"``, the paper's; ``"learned"``: the same first queries for every image, its ablation.

    Raises:
        ValueError: a size that does not divide by 32, or heads that do not divide the width.
    """

    fresh = ("start.", "position", "learned")

    def __init__(
        self,
        num_points: int,
        size: int,
        *,
        layers: int = 3,
        width: int = 256,
        heads: int = 8,
        points: int = 4,
        hidden: int = 1024,
        dropout: float = 0.1,
        parallel: bool = False,
        queries: Literal["image", "learned"] = "image",
    ) -> None:
        super().__init__(num_points, size)
        if size % 32:
            raise ValueError(f"size must divide by 32; found {size}")
        self.normalize = Normalize(IMAGENET)
        self.trunk = ResNetTrunk(18)
        strides = (4, 8, 16, 32)
        self.shapes = [(size // s, size // s) for s in strides]
        self.project = nn.ModuleList([_Project(c, width) for c in self.trunk.channels])
        self.start: nn.Module | None = nn.Linear((size // 32) ** 2, num_points) if queries == "image" else None
        self.learned = (
            nn.Parameter(nn.init.normal_(torch.empty(num_points, width), std=0.02)) if queries == "learned" else None
        )
        self.first = PreciseLinear(width, 2)
        self.position = nn.Parameter(nn.init.normal_(torch.empty(num_points, width), std=0.02))
        self.layers = nn.ModuleList([_Layer(width, heads, points, hidden, dropout) for _ in range(layers)])
        self.updates = nn.ModuleList(
            [_Update(width, heads, points, self.shapes) for _ in range(layers if parallel else 0)]
        )

    def forward(self, images: Tensor) -> ModelOutput:
        """Crops ``(B, 3, S, S)``, uint8 or float in [0, 255] → ``layers + 1`` stages of points and the finest features."""
        maps = [p(m) for p, m in zip(self.project, self.trunk(self.normalize(images)), strict=True)]
        memory = torch.cat([m.flatten(2) for m in maps], dim=-1).transpose(1, 2)
        if self.start is not None:
            query = self.start(maps[-1].flatten(2)).transpose(1, 2)
        else:
            assert self.learned is not None
            query = self.learned.expand(images.shape[0], -1, -1)
        logits = self.first(query)
        stages = [logits]
        for i, layer in enumerate(self.layers):
            if len(self.updates):
                memory = self.updates[i](memory)
            # Each layer answers for its own correction only (Deformable DETR).
            before = stages[-1].detach()
            query, step = layer(query, self.position, before.sigmoid(), memory, self.shapes)
            stages.append(before + step)
        points = [s.float().sigmoid() * self.size - 0.5 for s in stages]
        return ModelOutput(points=points, features=maps[0])

    def decode(self, output: ModelOutput, method: str | None = None) -> Prediction:
        """Return the last layer's points; there is nothing to choose, and confidence is 1."""
        self.check_method(method)
        return self.decode_points(output)

    def default_loss(self) -> dict[str, dict[str, Any]]:
        """Return the mean L1 distance of all stages; the published loss is unknown."""
        return {"coord": {"kind": "coord", "distance": "l1", "stages": "all"}}

    def encoder(self) -> nn.Module | None:
        """Return the ResNet-18, which loads torchvision's ImageNet weights."""
        return self.trunk

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Return parameters by learning rate and decay; ``backbone`` is the ResNet."""
        return split_parameters(self, backbone=("trunk.",), free=[self.position])


class _Project(nn.Sequential):
    """1x1 convolution and group norm: a level of the pyramid → C channels."""

    def __init__(self, inputs: int, width: int) -> None:
        convolution = nn.Conv2d(inputs, width, 1)
        nn.init.xavier_uniform_(convolution.weight)
        super().__init__(convolution, nn.GroupNorm(min(32, width // 4), width))


class _Layer(nn.Module):
    """One decoder layer: landmarks look at each other, then at the image, and correct their places."""

    def __init__(self, width: int, heads: int, points: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.among = nn.MultiheadAttention(width, heads, dropout, batch_first=True)
        self.image = DeformableAttention(width, heads, 4, points)
        self.feed = _FeedForward(width, hidden, dropout) if hidden else None
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.drop = nn.Dropout(dropout)
        last = PreciseLinear(width, 2)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.correct = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), last)

    def forward(
        self, query: Tensor, position: Tensor, places: Tensor, memory: Tensor, shapes: Sequence[tuple[int, int]]
    ) -> tuple[Tensor, Tensor]:
        """Return the new queries ``(B, K, C)`` and the correction ``(B, K, 2)`` in logits.

        Args:
            query: ``(B, K, C)``.
            position: ``(K, C)``, which landmark a query is.
            places: ``(B, K, 2)`` in [0, 1] of the crop.
            memory: ``(B, M, C)``.
            shapes: of the levels.
        """
        named = query + position
        mixed, _ = self.among(named, named, query, need_weights=False)
        query = self.norm1(query + self.drop(mixed))
        query = self.norm2(query + self.drop(self.image(query + position, places, memory, shapes)))
        if self.feed is not None:
            query = self.feed(query)
        return query, self.correct(query)


class _FeedForward(nn.Module):
    """Two linear layers and a norm behind the residual."""

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.drop = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, K, C)`` → the same shape."""
        return self.norm(x + self.drop(self.down(self.drop(F.relu(self.up(x))))))


class _Update(nn.Module):
    """DTLD+'s update of the memory: every cell looks round itself on all levels."""

    centres: Tensor
    waves: Tensor

    def __init__(self, width: int, heads: int, points: int, shapes: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self.shapes = list(shapes)
        centres = cell_centres(shapes)
        self.register_buffer("centres", centres, persistent=False)
        self.register_buffer("waves", sine_position(centres, width), persistent=False)
        self.level = nn.Parameter(nn.init.normal_(torch.empty(len(shapes), width), std=0.02))
        self.attention = DeformableAttention(width, heads, len(shapes), points)
        self.norm = nn.LayerNorm(width)

    def forward(self, memory: Tensor) -> Tensor:
        """``(B, M, C)`` → the same shape."""
        level = torch.cat([e.expand(h * w, -1) for e, (h, w) in zip(self.level, self.shapes, strict=True)])
        query = memory + self.waves + level
        centres = self.centres.expand(memory.shape[0], -1, -1)
        return self.norm(memory + self.attention(query, centres, memory, self.shapes))


def sine_position(places: Tensor, width: int) -> Tensor:
    """Return sines and cosines of y, then of x (DETR): ``(M, 2)`` in [0, 1] → ``(M, width)``; width divides by 4."""
    count = width // 4
    rates = 2 * torch.pi * 10000 ** (-torch.arange(count, dtype=places.dtype) / count)
    angles = places[:, [1, 0], None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(1)
