"""A plain vision transformer with timm's parameter names, so that CLIP, FaRL and timm weights fit it."""

from __future__ import annotations

import re

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .blocks import ConvNormAct, ResidualBlock, make_act

__all__ = ["Block", "ConvStem", "PatchStem", "ViT", "resize_position", "block_number"]


class Attention(nn.Module):
    """Multi-head self-attention over N tokens."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"{heads} heads cannot share a width of {width}; take a divisor")
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, N, D)`` → ``(B, N, D)``."""
        b, n, d = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        if x.device.type == "cpu" and q.dtype == torch.bfloat16:
            # The fused kernel's gradient takes four times as long there in bfloat16 as in float32.
            with torch.autocast("cpu", enabled=False):
                mixed = F.scaled_dot_product_attention(q.float(), k.float(), v.float())
        else:
            mixed = F.scaled_dot_product_attention(q, k, v)
        return self.proj(mixed.transpose(1, 2).reshape(b, n, d))


class Mlp(nn.Module):
    """Two linear layers round an activation."""

    def __init__(self, width: int, hidden: int, act: str) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.act = make_act(act)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, N, D)`` → ``(B, N, D)``."""
        return self.fc2(self.act(self.fc1(x)))


class Block(nn.Module):
    """A pre-norm transformer block."""

    def __init__(self, width: int, heads: int, mlp_ratio: float, act: str) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-5)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-5)
        self.mlp = Mlp(width, round(width * mlp_ratio), act)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, N, D)`` → ``(B, N, D)``."""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PatchStem(nn.Module):
    """CLIP's patch embedding: one convolution without bias, kernel = stride = patch."""

    def __init__(self, patch: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, patch, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, dict[int, Tensor]]:
        """``(B, 3, S, S)`` → token map ``(B, D, S / patch, S / patch)``, and no finer map."""
        return self.proj(x), {}


class ConvStem(nn.Module):
    """Convolutions down to the token grid: learns from thousands of faces what a patch embedding needs millions for.

    Residual blocks stand at the strides from ``keep`` to the last but one; finer maps would take most of the time.

    Args:
        patch: stride of the tokens, a power of two.
        width: D, channels of the tokens.
        base: channels at half resolution; they double at every halving up to the tokens.
        keep: stride of the map that is meant for the hourglasses.
        norm: ``"batch"`` or ``"group"``.
        fold: side of the squares of pixels that become channels first, without loss; ``base`` counts from there.
    """

    def __init__(self, patch: int, width: int, base: int, keep: int, norm: str, fold: int = 1) -> None:
        super().__init__()
        self.channels: dict[int, int] = {}
        self.fold = fold
        stages: list[nn.Module] = []
        channels, stride = 3 * fold**2, fold
        while stride < patch:
            stride *= 2
            outputs = width if stride == patch else min(width, base * stride // (2 * fold))
            layers: list[nn.Module] = [ConvNormAct(channels, outputs, 3, 2, norm)]
            if keep <= stride < patch:
                layers.append(ResidualBlock(outputs, outputs, norm))
            stages.append(nn.Sequential(*layers))
            channels = outputs
            self.channels[stride] = outputs
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Tensor) -> tuple[Tensor, dict[int, Tensor]]:
        """``(B, 3, S, S)`` → token map ``(B, D, S / patch, S / patch)``, and each stride's map, of ``channels[stride]``."""
        maps: dict[int, Tensor] = {}
        if self.fold > 1:
            x = F.pixel_unshuffle(x, self.fold)
        for stride, stage in zip(self.channels, self.stages, strict=True):
            x = maps[stride] = stage(x)
        return x, maps


class ViT(nn.Module):
    """The transformer up to its last block, without the final norm; blocks are called in groups from outside.

    Args:
        grid: tokens a side.
        patch: stride of a token in pixels.
        width: D.
        depth: blocks.
        heads: attention heads.
        mlp_ratio: hidden over D.
        act: ``"quick_gelu"`` (CLIP, FaRL) or ``"gelu"``.
        stem: ``"patch"`` (with class token and ``norm_pre``, as in CLIP) or a :class:`ConvStem`.
    """

    def __init__(
        self,
        grid: int,
        patch: int,
        width: int,
        depth: int,
        heads: int,
        *,
        mlp_ratio: float = 4.0,
        act: str = "quick_gelu",
        stem: ConvStem | None = None,
    ) -> None:
        super().__init__()
        self.grid, self.width, self.depth = grid, width, depth
        self.prefix = 0 if stem is not None else 1
        self.patch_embed: nn.Module = stem if stem is not None else PatchStem(patch, width)
        if self.prefix:
            self.cls_token = nn.Parameter(nn.init.normal_(torch.empty(1, 1, width), std=0.02))
            self.norm_pre: nn.Module = nn.LayerNorm(width, eps=1e-5)
        else:
            self.norm_pre = nn.Identity()
        self.pos_embed = nn.Parameter(nn.init.normal_(torch.empty(1, grid * grid + self.prefix, width), std=0.02))
        self.blocks = nn.ModuleList([Block(width, heads, mlp_ratio, act) for _ in range(depth)])

    def embed(self, images: Tensor) -> tuple[Tensor, dict[int, Tensor]]:
        """Normalised images ``(B, 3, S, S)`` → tokens ``(B, prefix + N, D)`` and the stem's maps by stride, if it has any."""
        x, maps = self.patch_embed(images)
        tokens = x.flatten(2).transpose(1, 2)
        if self.prefix:
            tokens = torch.cat([self.cls_token.expand(tokens.shape[0], -1, -1), tokens], dim=1)
        return self.norm_pre(tokens + self.pos_embed), maps

    def run(self, tokens: Tensor, start: int, stop: int) -> Tensor:
        """Apply blocks ``start`` … ``stop - 1``."""
        for block in self.blocks[start:stop]:
            tokens = block(tokens)
        return tokens

    def to_map(self, tokens: Tensor) -> Tensor:
        """Tokens ``(B, prefix + N, D)`` → ``(B, D, grid, grid)``; the class token is dropped."""
        return tokens[:, self.prefix :].transpose(1, 2).reshape(tokens.shape[0], self.width, self.grid, self.grid)

    def add_map(self, tokens: Tensor, update: Tensor) -> Tensor:
        """Add a map ``(B, D, grid, grid)`` to the patch tokens; the class token stays as it is."""
        return tokens + F.pad(update.flatten(2).transpose(1, 2), (0, 0, self.prefix, 0))


def resize_position(position: Tensor, grid: int, prefix: int = 1) -> Tensor:
    """Fit a position embedding ``(1, prefix + n * n, D)`` to ``grid`` tokens a side, as FaRL does.

    Bicubic, edges kept together, without antialiasing (timm's default antialiases, 7.8 % away).

    Raises:
        ValueError: the embedding is not of a square grid.
    """
    count = position.shape[1] - prefix
    side = round(count**0.5)
    if side * side != count:
        raise ValueError(f"a position embedding of {position.shape[1]} rows is not {prefix} + n x n")
    if side == grid:
        return position
    tokens = position[:, prefix:].reshape(1, side, side, -1).permute(0, 3, 1, 2).float()
    tokens = F.interpolate(tokens, size=(grid, grid), mode="bicubic", align_corners=False)
    tokens = tokens.permute(0, 2, 3, 1).reshape(1, grid * grid, -1).to(position.dtype)
    return torch.cat([position[:, :prefix], tokens], dim=1)


def block_number(name: str) -> int:
    """Return the depth of a ViT's parameter by its name: 0 for what embeds, n + 1 for block n."""
    found = re.search(r"(?:^|\.)blocks\.(\d+)\.", name)
    return int(found[1]) + 1 if found else 0
