"""MobileNetV2's inverted residual block (Sandler et al., CVPR 2018), with plain ReLU."""

from __future__ import annotations

from torch import Tensor, nn

from .blocks import ConvNormAct

__all__ = ["InvertedResidual"]


class InvertedResidual(nn.Module):
    """1x1 convolution to ``expand`` times the channels, a depthwise 3x3, a linear 1x1 to the output.

    Args:
        inputs: channels in.
        outputs: channels out.
        stride: of the depthwise convolution.
        expand: factor on the channels in between.
        residual: add the input; shapes must agree.

    Raises:
        ValueError: ``residual`` where the shapes differ.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, expand: int, *, residual: bool) -> None:
        super().__init__()
        if residual and (inputs != outputs or stride != 1):
            raise ValueError(f"a residual block keeps its shape; found {inputs} to {outputs} channels, stride {stride}")
        self.residual = residual
        wide = inputs * expand
        self.widen = ConvNormAct(inputs, wide, 1)
        self.depthwise = nn.Sequential(
            nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False), nn.BatchNorm2d(wide), nn.ReLU(inplace=True)
        )
        self.narrow = nn.Sequential(nn.Conv2d(wide, outputs, 1, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs, h, w)`` → ``(B, outputs, h / stride, w / stride)``, linear."""
        y = self.narrow(self.depthwise(self.widen(x)))
        return x + y if self.residual else y
