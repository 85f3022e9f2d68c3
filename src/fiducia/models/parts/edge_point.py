"""The network of ADNet and STAR: a stacked hourglass whose heatmaps are weighted by edge maps and point maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...schemes.curves import Curve, curves
from ...schemes.sets import Scheme
from ...structures import ModelOutput, Prediction
from .blocks import Normalize
from .bottleneck import PreActBottleneck
from .coordconv import CoordConv
from .moments import expected_points, read_moments
from .plain_hourglass import PlainHourglass

__all__ = ["EdgePointNetwork", "StackMaps"]


class StackMaps(NamedTuple):
    """What one stack gives.

    Attributes:
        heatmaps: ``(B, K, h, w)`` normalised per map, 0 or more.
        edges: ``(B, E, h, w)`` in [0, 1], one map a curve; None without attention or curves.
        points: ``(B, K, h, w)`` in [0, 1]; None without attention.
        attention: ``(B, K, h, w)``: for every landmark the sum of its curves' maps (1 where it is on none) times its point
            map; None without attention.
        fusion: ``(B, K, h, w)``: the heatmaps weighted by the attention.
    """

    heatmaps: Tensor
    edges: Tensor | None
    points: Tensor | None
    attention: Tensor | None
    fusion: Tensor


class EdgePointNetwork(nn.Module):
    """Stem with CoordConv, then stacks of hourglass, heads and re-injection.

    Args:
        num_points: K.
        size: S, side of the crop in pixels, a multiple of 64.
        scheme: the landmark set, whose E curves (:func:`fiducia.schemes.curves.curves`) are the edges. Without one, or without
            edges in it, there are no edge maps.
        published: the grid of the published checkpoints, see :func:`.moments.expected_points`.
        attention: False = neither edge maps nor point maps.
        stacks: hourglasses.
        channels: of the hourglasses, a multiple of 4.

    Raises:
        ValueError: a size that does not divide, no stack, or a landmark set of another number of points.
    """

    def __init__(
        self,
        num_points: int,
        size: int,
        scheme: Scheme | None,
        *,
        published: bool = False,
        attention: bool = True,
        stacks: int = 4,
        channels: int = 256,
    ) -> None:
        super().__init__()
        if size % 64 or stacks < 1:
            raise ValueError(f"expected a side that is a multiple of 64, and 1 or more stacks; found {size}, {stacks}")
        if scheme is not None and scheme.num_points != num_points:
            raise ValueError(
                f"the landmark set {scheme.name!r} has {scheme.num_points} points, the network {num_points}"
            )
        self.size, self.published = size, published
        used = curves(scheme) if attention and scheme is not None else ()
        self.drawn = (*(["edges"] if used else []), *(["points"] if attention else []))
        half = channels // 2
        self.normalize = Normalize(((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)))
        self.coord = CoordConv(3, channels // 4, 7, 2)
        self.norm = nn.BatchNorm2d(channels // 4)
        self.stem = nn.Sequential(
            PreActBottleneck(channels // 4, half),
            nn.MaxPool2d(2),
            PreActBottleneck(half, half),
            PreActBottleneck(half, channels),
        )
        self.stacks = nn.ModuleList(
            _Stack(channels, num_points, used, attention=attention, first=i == 0, last=i == stacks - 1)
            for i in range(stacks)
        )

    def forward(self, images: Tensor) -> ModelOutput:
        """Crops ``(B, 3, S, S)`` → of all stacks: points, fusion maps as heatmaps, and ``maps`` of edges, points and attention."""
        x = self.normalize(images).flip(1)  # the published network reads blue, green, red
        x = self.stem(F.relu(self.norm(self.coord(x))))
        found: list[StackMaps] = []
        features = x
        for stack in self.stacks:
            # The published code calls this mask the boundary; it is the last landmark's map.
            mask = found[-1].heatmaps[:, -1:] if found else None
            maps, features, x = stack(x, mask)
            found.append(maps)
        fusion = [m.fusion for m in found]
        points = [expected_points(maps, self.size, published=self.published) for maps in fusion]
        named = {
            "edges": [m.edges for m in found if m.edges is not None],
            "points": [m.points for m in found if m.points is not None],
            "attention": [m.attention for m in found if m.attention is not None],
        }
        maps = {name: stages for name, stages in named.items() if stages}
        return ModelOutput(heatmaps=fusion, linear=True, points=points, maps=maps, features=features)

    def losses(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the published losses: ``kind`` for the points, and 10 x AWing on the edge maps and on the point maps.

        Each stack weighs twice as much as the one before.
        """
        grid = "centres" if self.published else "edges"
        tables: dict[str, dict[str, Any]] = {kind: {"kind": kind, "weight": 1.0, "grid": grid, "stages": "doubling"}}
        maps = {"edges": "edges", "points": "point_maps"}
        rule = "published" if self.published else "cells"
        for name in self.drawn:
            tables[name] = {"kind": maps[name], "weight": 10.0, "rule": rule, "stages": "doubling"}
        return tables

    def decode(self, output: ModelOutput) -> Prediction:
        """Return the last stack's points, with confidence and spread of its fusion maps (:func:`.moments.read_moments`)."""
        return read_moments(output.heatmaps[-1], output.points[-1], self.size, published=self.published)


class _Stack(nn.Module):
    """One hourglass, its three heads, and what it hands on; the last one hands on nothing."""

    membership: Tensor
    alone: Tensor

    def __init__(
        self, channels: int, num_points: int, edges: Sequence[Curve], *, attention: bool, first: bool, last: bool
    ) -> None:
        super().__init__()
        self.coord = CoordConv(channels, channels, masked=not first)
        self.hourglass = PlainHourglass(4, lambda: PreActBottleneck(channels, channels), pooling="max")
        self.block = PreActBottleneck(channels, channels)
        self.conv = nn.Conv2d(channels, channels, 1)
        self.norm = nn.BatchNorm2d(channels)
        outputs = {"heatmaps": num_points}
        if attention:
            outputs |= {"edges": len(edges)} if edges else {}
            outputs |= {"points": num_points}
        self.heads = nn.ModuleDict({name: nn.Conv2d(channels, count, 1) for name, count in outputs.items()})
        self.merge = nn.ModuleDict()
        if not last:
            inputs = {"features": channels, **outputs}
            self.merge.update({name: nn.Conv2d(count, channels, 1) for name, count in inputs.items()})
        membership = torch.zeros(num_points, len(edges), 1, 1)
        for i, curve in enumerate(edges):
            membership[list(curve.points), i] = 1.0
        self.register_buffer("membership", membership, persistent=False)
        self.register_buffer("alone", (membership.sum((1, 2, 3)) == 0).float(), persistent=False)

    def forward(self, x: Tensor, mask: Tensor | None) -> tuple[StackMaps, Tensor, Tensor]:
        """``(B, C, h, w)`` and the mask of the coordinates → maps, features, and the next stack's input."""
        features = F.relu(self.norm(self.conv(self.block(self.hourglass(self.coord(x, mask))))))
        raw = {name: head(features) for name, head in self.heads.items()}
        maps = {name: _standardise(m.float()) if name == "heatmaps" else m.sigmoid() for name, m in raw.items()}
        found = self._weigh(maps)
        for name, merge in self.merge.items():
            x = x + merge(features if name == "features" else maps[name].to(features.dtype))
        return found, features, x

    def _weigh(self, maps: dict[str, Tensor]) -> StackMaps:
        heatmaps, edges, points = maps["heatmaps"], maps.get("edges"), maps.get("points")
        if points is None:
            return StackMaps(heatmaps, None, None, None, heatmaps)
        if edges is None:
            attention = points.float()
        else:
            own = F.conv2d(edges, self.membership.to(edges.dtype), self.alone.to(edges.dtype))
            attention = own.float() * points.float()
        return StackMaps(heatmaps, edges, points, attention, attention * heatmaps)


def _standardise(maps: Tensor) -> Tensor:
    """Instance norm without parameters, the same in training and evaluation, and ReLU."""
    variance, mean = torch.var_mean(maps, dim=(-2, -1), correction=0, keepdim=True)
    return F.relu((maps - mean) * torch.rsqrt(variance + 1e-5))
