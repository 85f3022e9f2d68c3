"""HRNet: branches of falling resolution that run side by side and exchange what they see (Wang et al., TPAMI 2020).

Written from the published topology of the facial HRNetV2-W18 (arXiv 1908.07919). Parameters carry the published names, which
are timm's too, so ImageNet weights load without a key map.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .resnet import BasicBlock, Bottleneck, kaiming_

__all__ = ["FusedHead", "HRNetTrunk"]

MOMENTUM = 0.01
"""Of all batch norms of the published network."""


class HRNetTrunk(nn.Module):
    """Stem, bottleneck layer and stages of HRNet.

    Args:
        widths: channels of the branches at strides 4, 8, 16, 32; stage i + 2 runs the first i + 2 of them.
        modules: exchange modules in stages 2, 3, ...: (1, 4, 3) for HRNetV2-W18, (1, 1, 1) for SLPT's light one.
        blocks: residual blocks a branch and module.

    Attributes:
        widths: as given.

    Raises:
        ValueError: ``modules`` does not have one entry less than ``widths``.
    """

    def __init__(
        self, widths: Sequence[int] = (18, 36, 72, 144), modules: Sequence[int] = (1, 4, 3), blocks: int = 4
    ) -> None:
        super().__init__()
        if len(modules) != len(widths) - 1:
            raise ValueError(f"{len(widths)} widths need {len(widths) - 1} numbers of modules; found {len(modules)}")
        self.widths = tuple(widths)
        self.stages = len(modules)
        self.conv1 = nn.Conv2d(3, 64, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(64, momentum=MOMENTUM)
        self.conv2 = nn.Conv2d(64, 64, 3, 2, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(64, momentum=MOMENTUM)
        first = [Bottleneck(64, 64, momentum=MOMENTUM), *(Bottleneck(256, 64, momentum=MOMENTUM) for _ in range(3))]
        self.layer1 = nn.Sequential(*first)
        for i, count in enumerate(modules):
            active = self.widths[: i + 2]
            self.add_module(f"transition{i + 1}", _Transition((256,) if i == 0 else self.widths[: i + 1], active))
            self.add_module(f"stage{i + 2}", nn.Sequential(*(_Exchange(active, blocks) for _ in range(count))))
        kaiming_(self)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Normalised images ``(B, 3, H, W)`` → one map ``(B, C, H / s, W / s)`` a branch, strides s = 4, 8, 16, 32.

        H and W divide by 32 where there are four branches.
        """
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        branches = [self.layer1(x)]
        for i in range(self.stages):
            branches = self.get_submodule(f"transition{i + 1}")(branches)
            branches = self.get_submodule(f"stage{i + 2}")(branches)
        return branches


class _Transition(nn.ModuleList):
    """Between stages: fit the widths of the branches, and make one more branch from the lowest."""

    def __init__(self, before: Sequence[int], after: Sequence[int]) -> None:
        super().__init__()
        for i, width in enumerate(after):
            if i < len(before):
                self.append(nn.Identity() if before[i] == width else _conv_bn_relu(before[i], width))
            else:
                # One level deeper, as in the published names: a new branch may take several steps down.
                self.append(nn.Sequential(_conv_bn_relu(before[-1], width, 2)))

    def forward(self, branches: list[Tensor]) -> list[Tensor]:
        """Maps of n branches → maps of n + 1 branches."""
        return [part(branches[min(i, len(branches) - 1)]) for i, part in enumerate(self)]


class _Exchange(nn.Module):
    """One module: residual blocks on every branch, then every branch becomes the sum of all, brought to its size."""

    def __init__(self, widths: Sequence[int], blocks: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*(BasicBlock(w, w, momentum=MOMENTUM) for _ in range(blocks))) for w in widths
        )
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(_path(widths, j, i) for j in range(len(widths))) for i in range(len(widths))
        )

    def forward(self, branches: list[Tensor]) -> list[Tensor]:
        """One map a branch → the same shapes."""
        seen = [branch(x) for branch, x in zip(self.branches, branches, strict=True)]
        fused = []
        for own, row in zip(seen, self.fuse_layers, strict=True):
            total: Tensor | None = None
            for x, path in zip(seen, _children(row), strict=True):
                part = _bilinear(path(x), own)
                total = part if total is None else total + part
            assert total is not None
            fused.append(F.relu(total))
        return fused


class FusedHead(nn.Sequential):
    """All branches at the size of the first, side by side, through two 1x1 convolutions: HRNetV2's head.

    Args:
        widths: of the branches.
        outputs: channels of the result.
    """

    def __init__(self, widths: Sequence[int], outputs: int) -> None:
        total = sum(widths)
        super().__init__(
            nn.Conv2d(total, total, 1),
            nn.BatchNorm2d(total, momentum=MOMENTUM),
            nn.ReLU(),
            nn.Conv2d(total, outputs, 1),
        )
        for module in self:
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.001)

    def forward(self, branches: list[Tensor]) -> Tensor:
        """One map a branch → ``(B, outputs, h, w)``, linear values, h and w those of the first branch."""
        return super().forward(self.join(branches))

    @staticmethod
    def join(branches: list[Tensor]) -> Tensor:
        """Return all branches at the size of the first, ``(B, sum of widths, h, w)``: the features before the head."""
        return torch.cat([_bilinear(x, branches[0]) for x in branches], dim=1)


def _conv_bn(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return [conv, nn.BatchNorm2d(outputs, momentum=MOMENTUM)]


def _conv_bn_relu(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(*_conv_bn(inputs, outputs, 3, stride), nn.ReLU())


def _path(widths: Sequence[int], source: int, target: int) -> nn.Module:
    """Return what brings branch ``source`` to the width of ``target``, and down to its size; up is interpolation."""
    if source == target:
        return nn.Identity()
    if source > target:
        return nn.Sequential(*_conv_bn(widths[source], widths[target], 1))
    steps = [_conv_bn_relu(widths[source], widths[source], 2) for _ in range(target - source - 1)]
    return nn.Sequential(*steps, nn.Sequential(*_conv_bn(widths[source], widths[target], 3, 2)))


def _children(row: nn.Module) -> list[nn.Module]:
    return list(row.children())


def _bilinear(x: Tensor, like: Tensor) -> Tensor:
    if x.shape[-2:] == like.shape[-2:]:
        return x
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)
