"""HRNetV2-W18 for faces: branches of four resolutions side by side, all of them read by one fused head."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..heatmaps.decode import heatmap_decoders
from ..structures import ModelOutput, Prediction
from .base import LandmarkModel, split_parameters
from .parts.blocks import IMAGENET, Normalize
from .parts.hrnet import FusedHead, HRNetTrunk
from .parts.pixels import PixelOptions
from .registry import register

__all__ = ["HRNet"]


@register(
    "hrnet_w18",
    size=256,
    about="HRNetV2-W18 with its fused head (Wang et al., TPAMI 2020)",
    test_options={"widths": (8, 16, 32, 64), "modules": (1, 1, 1), "blocks": 1},
    test_size=64,
)
class HRNet(LandmarkModel):
    """HRNetV2-W18 (Wang et al., "Deep High-Resolution Representation Learning", TPAMI 2020; facial version).

    One linear heatmap a landmark at a quarter of the crop's side. The published decoding is the largest cell and a quarter of
    a cell towards its larger neighbours.

    Published points count from the outer edge of the crop. Training takes the cell that holds the point: it cuts off the
    decimals of a coordinate that runs from 0 to w over the crop. Decoding counts cells from 1, adds 0.5 and takes off 1 on the
    way to the photograph, so that cell x, from 0, is read as x + 0.5, the middle of the cell. In crop pixels that is this
    package's own rule, ``(x + 0.5) * S / w - 0.5``. The two rules of ``pixels`` differ only for a map without a value above 0:
    there the published point is half a cell outside the crop. What is left out: the published code cuts the decimals off
    points in the photograph, and with them up to one of its pixels.

    Args:
        num_points: K.
        size: S, a multiple of 32.
        pixels: the pixel rule.
        widths: channels of the four branches: 18, 36, 72, 144.
        modules: exchange modules of stages 2, 3 and 4: 1, 4, 3.
        blocks: residual blocks of a branch in every module: 4.

    Raises:
        ValueError: a size that does not divide.
    """

    def __init__(
        self,
        num_points: int,
        size: int = 256,
        *,
        pixels: PixelOptions = PixelOptions(),
        widths: tuple[int, ...] = (18, 36, 72, 144),
        modules: tuple[int, ...] = (1, 4, 3),
        blocks: int = 4,
    ) -> None:
        super().__init__(num_points, size)
        self.decoders = heatmap_decoders("quarter")
        if len(widths) != 4:
            raise ValueError(f"widths: HRNet has four branches; found {list(widths)}")
        if size % 32:
            raise ValueError(f"HRNet takes crops whose side is a multiple of 32; found {size}")
        self.pixels = pixels
        self.normalize = Normalize(IMAGENET)
        self.trunk = HRNetTrunk(widths, modules, blocks)
        self.head = FusedHead(widths, num_points)

    def forward(self, images: Tensor) -> ModelOutput:
        """Crops ``(B, 3, S, S)`` → heatmaps ``(B, K, S / 4, S / 4)`` and the features before their last convolution."""
        *layers, last = self.head
        features = self.head.join(self.trunk(self.normalize(images)))
        for layer in layers:
            features = layer(features)
        return ModelOutput(heatmaps=[last(features)], linear=True, features=features)

    def decode(self, output: ModelOutput, method: str | None = None) -> Prediction:
        """Read the final maps; see :meth:`LandmarkModel.decode`."""
        prediction = self.decode_heatmaps(output, method)
        if not self.pixels.published:
            return prediction
        maps = output.heatmaps[-1].detach().float()
        beside = torch.full_like(prediction.points, -0.5 * self.size / maps.shape[-1] - 0.5)
        found = maps.flatten(2).amax(-1, keepdim=True) > 0
        return prediction.with_points(torch.where(found, prediction.points, beside))

    def default_loss(self) -> dict[str, dict[str, Any]]:
        """Mean squared error of all cells."""
        return {"heatmap": {"kind": "heatmap_mse", "weight": 1.0}}

    def encoder(self) -> nn.Module:
        """The trunk takes ImageNet weights, under the published names."""
        return self.trunk

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """The trunk, for which there are ImageNet weights, is the backbone."""
        return split_parameters(self, backbone=("trunk.",))
