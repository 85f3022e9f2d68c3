"""PropNet, a reconstruction (Huang et al., "PropagationNet: Propagate Points to Curve to Learn Structure Information", 2020)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..heatmaps.decode import heatmap_decoders
from ..schemes.curves import boundary_curves
from ..schemes.sets import Scheme
from ..structures import ModelOutput, Prediction
from .base import LandmarkModel
from .parts.blocks import IMAGENET, ConvNormAct, Normalize, ResidualBlock
from .parts.coordconv import CoordConv
from .parts.hourglass import BlurPool
from .parts.plain_hourglass import PlainHourglass
from .registry import register

__all__ = ["PropNet"]


@register(
    "propnet",
    size=256,
    about="PropNet (CVPR 2020), a reconstruction: stacked hourglasses; boundaries steer attention",
    test_options={"stacks": 2, "channels": 16, "depth": 2, "propagation": 16},
    test_size=64,
)
class PropNet(LandmarkModel):
    """A reconstruction of PropNet: landmarks are propagated to the face's boundaries, which tell the next stack where to look.

    No code was published, and the method section could not be read. Established by the paper's abstract and the caption of its
    figure: heatmap regression by stacked hourglasses; a propagation module that takes landmark heatmaps through several
    convolutions, puts the result beside the features of the hourglass before, and goes through two hourglasses and a
    sigmoid to an attention map, by which the features are multiplied; the boundaries of LAB as the structure; CoordConv
    and anti-aliased pooling against shift variance; a focal Wing loss that gives hard faces more weight.

    Chosen here, after FAN and AWing, its nearest published relatives: four stacks of 256 channels with FAN's blocks and
    hourglasses of depth 4, every pooling a BlurPool; CoordConv before the first convolution and every hourglass, with the
    coordinates once more where the predicted boundary exceeds 0.05; one propagation module behind each stack but the last,
    its convolutions 7 x 7, its hourglasses narrower so that the whole has the 36 M parameters that are remembered of the
    paper; one linear boundary map a curve; expectation decoding, which the Wing loss on points trains; mean squared error on
    landmark maps and boundary maps beside it. Its published numbers are not claimed for it.

    Args:
        num_points: K.
        size: S, side of the input in pixels, divisible by ``4 * 2 ** depth``.
        scheme: the landmark set, whose boundaries are drawn; None, or a set without lines: one boundary map without supervision.
        stacks: hourglasses one after the other.
        channels: C of the stacks, a multiple of 8.
        depth: halvings in an hourglass.
        propagation: channels inside a propagation module, a multiple of 4.

    Raises:
        ValueError: a size that does not divide, or fewer than two stacks.
    """

    fresh = ("stacks.",)

    def __init__(
        self,
        num_points: int,
        size: int,
        *,
        scheme: Scheme | None = None,
        stacks: int = 4,
        channels: int = 256,
        depth: int = 4,
        propagation: int = 144,
    ) -> None:
        super().__init__(num_points, size)
        if size % (4 * 2**depth) or stacks < 2:
            raise ValueError(
                f"hourglasses of depth {depth} need a size that divides by {4 * 2**depth}, and 2 stacks or more; found size "
                f"{size}, stacks {stacks}"
            )
        self.decoders = heatmap_decoders("expectation")
        self.curves = len(boundary_curves(scheme)) if scheme is not None else 0
        half = channels // 2
        self.normalize = Normalize(IMAGENET)
        self.stem = nn.Sequential(
            CoordConv(3, channels // 4, 7, 2),
            nn.BatchNorm2d(channels // 4),
            nn.ReLU(inplace=True),
            ResidualBlock(channels // 4, half),
            BlurPool(),
            ResidualBlock(half, half),
            ResidualBlock(half, channels),
        )
        self.stacks = nn.ModuleList([_Stack(num_points, channels, depth, masked=i > 0) for i in range(stacks)])
        self.links = nn.ModuleList(
            [_Link(num_points, max(self.curves, 1), channels, propagation, depth) for _ in range(stacks - 1)]
        )

    def forward(self, images: Tensor) -> ModelOutput:
        """Crops ``(B, 3, S, S)``, uint8 or float in [0, 255] → linear heatmaps a stack, and ``maps.boundaries`` a link.

        Heatmaps are ``(B, K, S/4, S/4)``, boundaries ``(B, E, S/4, S/4)`` with E curves, both 0 far off and 1 at the centre.
        """
        x = self.stem(self.normalize(images))
        heatmaps: list[Tensor] = []
        boundaries: list[Tensor] = []
        features = x
        for i, stack in enumerate(self.stacks):
            features, maps = stack(x, boundaries[-1] if boundaries else None)
            heatmaps.append(maps)
            if i < len(self.links):
                x, boundary = self.links[i](x, features, maps)
                boundaries.append(boundary)
        return ModelOutput(heatmaps=heatmaps, linear=True, maps={"boundaries": boundaries}, features=features)

    def decode(self, output: ModelOutput, method: str | None = None) -> Prediction:
        """Read the last stack's heatmaps, by expectation where nothing else is asked for; the published decoding is unknown."""
        return self.decode_heatmaps(output, method)

    def default_loss(self) -> dict[str, dict[str, Any]]:
        """Return focal Wing on the points, mean squared error on the heatmaps and, where the set has lines, on the boundaries."""
        loss: dict[str, dict[str, Any]] = {
            "heatmap": {"kind": "heatmap_mse", "weight": 10.0, "stages": "all"},
            "coord": {"kind": "focal_wing", "stages": "all"},
        }
        if self.curves:
            loss["boundaries"] = {"kind": "boundaries", "weight": 10.0}
        return loss


class _Stack(nn.Module):
    """CoordConv, an hourglass, and landmark heatmaps."""

    def __init__(self, num_points: int, channels: int, depth: int, *, masked: bool) -> None:
        super().__init__()
        self.coord = CoordConv(channels, channels, masked=masked)
        self.hourglass = _hourglass(channels, depth)
        self.top = nn.Sequential(ResidualBlock(channels, channels), ConvNormAct(channels, channels, 1))
        self.head = nn.Conv2d(channels, num_points, 1)

    def forward(self, x: Tensor, boundary: Tensor | None) -> tuple[Tensor, Tensor]:
        """``(B, C, h, w)`` and the last boundaries ``(B, E, h, w)`` → features ``(B, C, h, w)``, heatmaps ``(B, K, h, w)``."""
        mask = None if boundary is None else boundary.amax(1, keepdim=True)
        features = self.top(self.hourglass(self.coord(x, mask)))
        return features, self.head(features)


class _Link(nn.Module):
    """From one stack to the next: the propagation module, and the sum of what the stack saw and said."""

    def __init__(self, num_points: int, curves: int, channels: int, inner: int, depth: int) -> None:
        super().__init__()
        self.propagate = nn.Sequential(
            ConvNormAct(num_points, 64, 7), ConvNormAct(64, 64, 7), nn.Conv2d(64, curves, 7, padding=3)
        )
        self.attention = nn.Sequential(
            nn.Conv2d(channels + curves, inner, 1),
            _hourglass(inner, depth),
            _hourglass(inner, depth),
            ConvNormAct(inner, inner, 1),
            nn.Conv2d(inner, channels, 1),
        )
        self.carry = nn.Conv2d(channels, channels, 1)
        self.feed = nn.Conv2d(num_points, channels, 1)

    def forward(self, x: Tensor, features: Tensor, heatmaps: Tensor) -> tuple[Tensor, Tensor]:
        """The stack's input, features and heatmaps → the next stack's input ``(B, C, h, w)`` and boundaries ``(B, E, h, w)``."""
        boundary = self.propagate(heatmaps)
        attention = torch.sigmoid(self.attention(torch.cat([features, boundary], dim=1)))
        return x + self.carry(features * attention) + self.feed(heatmaps), boundary


def _hourglass(channels: int, depth: int) -> PlainHourglass:
    """Return a plain hourglass of FAN's blocks, whose poolings do not depend on even and odd cells."""
    return PlainHourglass(depth, lambda: ResidualBlock(channels, channels), pooling="blur")
