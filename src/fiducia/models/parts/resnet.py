"""ResNet trunks and their two residual blocks (He et al., CVPR 2016), in torchvision's parameter names."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["BasicBlock", "Bottleneck", "ResNetTrunk", "kaiming_"]


def kaiming_(root: nn.Module) -> None:
    """Initialise convolutions for ReLU networks trained from scratch: Kaiming normal, fan out, no bias."""
    for module in root.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut, ReLU after the sum.

    Args:
        inputs: channels in.
        width: channels of the convolutions and of the output.
        stride: of the first convolution and the shortcut.
        momentum: of the batch norms.
    """

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int = 1, momentum: float = 0.1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width, momentum=momentum)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width, momentum=momentum)
        self.downsample = _shortcut(inputs, width, stride, momentum)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs, h, w)`` → ``(B, width, h / stride, w / stride)``."""
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolution with a shortcut, ReLU after the sum; the output has four times ``width`` channels.

    The stride is in the 3x3 convolution. Arguments as in :class:`BasicBlock`.
    """

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int = 1, momentum: float = 0.1) -> None:
        super().__init__()
        outputs = self.expansion * width
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width, momentum=momentum)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width, momentum=momentum)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs, momentum=momentum)
        self.downsample = _shortcut(inputs, outputs, stride, momentum)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs, h, w)`` → ``(B, 4 width, h / stride, w / stride)``."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + self.downsample(x))


_DEPTHS: dict[int, tuple[type[BasicBlock] | type[Bottleneck], Sequence[int]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
}


class ResNetTrunk(nn.Module):
    """A ResNet without its pooling and classifier, as a pyramid of four maps.

    The parameters carry torchvision's names in torchvision's order (``conv1``, ``bn1``, ``layer1.0.conv1``, ...), so a
    ``state_dict`` of ImageNet weights loads once its ``fc`` entries are dropped.

    Args:
        depth: 18, 34, 50 or 101.

    Attributes:
        channels: C of F1 to F4: (64, 128, 256, 512), four times that from depth 50 on.

    Raises:
        ValueError: another depth.
    """

    def __init__(self, depth: int = 18) -> None:
        super().__init__()
        if depth not in _DEPTHS:
            raise ValueError(f"a ResNet has a depth of {', '.join(map(str, _DEPTHS))}; found {depth}")
        block, counts = _DEPTHS[depth]
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inputs = 64
        stages = []
        for stage, count in enumerate(counts):
            width = 64 * 2**stage
            blocks: list[nn.Module] = []
            for i in range(count):
                blocks.append(block(inputs, width, 2 if stage and not i else 1))
                inputs = width * block.expansion
            stages.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.channels = tuple(64 * 2**stage * block.expansion for stage in range(4))
        kaiming_(self)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Normalised images ``(B, 3, H, W)`` → F1 to F4 ``(B, C, H / s, W / s)`` at strides s = 4, 8, 16, 32."""
        f1 = self.layer1(self.maxpool(F.relu(self.bn1(self.conv1(x)))))
        f2 = self.layer2(f1)
        f3 = self.layer3(f2)
        return [f1, f2, f3, self.layer4(f3)]


def _shortcut(inputs: int, outputs: int, stride: int, momentum: float) -> nn.Module:
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs, momentum=momentum))
