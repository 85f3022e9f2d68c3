"""PFLD: a small MobileNet that gives coordinates, with a branch that learns the head's pose in training."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..structures import ModelOutput, Prediction
from .base import LandmarkModel
from .parts.blocks import ZERO_TO_ONE, ConvNormAct, Normalize, PreciseLinear
from .parts.inverted_residual import InvertedResidual
from .registry import register

__all__ = ["PFLD"]


@register(
    "pfld", size=112, about="PFLD 1X, direct regression with an auxiliary pose branch (Guo et al., 2019)", test_size=64
)
class PFLD(LandmarkModel):
    """PFLD (Guo et al., "PFLD: A Practical Facial Landmark Detector", arXiv 1902.10859).

    The authors published no code. This is the network of the best-known implementation, polarisZhao/PFLD-pytorch, whose second
    convolution is a full one. Points are fractions of the crop: value v is crop pixel ``v * S``, as published.

    The branch reads the features at a quarter of the crop's side and gives yaw, pitch and roll in radians as ``maps.angles``;
    only the loss ``pfld`` looks at them, and exported graphs are without it.

    Args:
        num_points: K.
        size: S, a multiple of 16; the two kernels that cover a whole map grow with it (7 x 7 at the published 112).
        pose: False = no auxiliary branch.

    Raises:
        ValueError: a size that does not divide, or is smaller than 32.
    """

    def __init__(self, num_points: int, size: int = 112, *, pose: bool = True) -> None:
        super().__init__(num_points, size)
        if size % 16 or size < 32:
            raise ValueError(f"PFLD takes crops whose side is a multiple of 16, 32 or more; found {size}")
        side = size // 16
        self.normalize = Normalize(ZERO_TO_ONE)
        self.stem = nn.Sequential(ConvNormAct(3, 64, 3, 2), ConvNormAct(64, 64, 3))
        self.early = nn.Sequential(
            InvertedResidual(64, 64, 2, 2, residual=False),
            *(InvertedResidual(64, 64, 1, 2, residual=True) for _ in range(4)),
        )
        self.late = nn.Sequential(
            InvertedResidual(64, 128, 2, 2, residual=False),
            # Its shapes would allow a shortcut; the published block has none.
            InvertedResidual(128, 128, 1, 4, residual=False),
            *(InvertedResidual(128, 128, 1, 4, residual=True) for _ in range(5)),
            InvertedResidual(128, 16, 1, 2, residual=False),
        )
        self.down = ConvNormAct(16, 32, 3, 2)
        self.whole = nn.Conv2d(32, 128, side)
        self.head = PreciseLinear(16 + 32 + 128, 2 * num_points)
        self.auxiliary = _PoseBranch(side) if pose else None

    def forward(self, images: Tensor) -> ModelOutput:
        """Crops ``(B, 3, S, S)`` in [0, 255] → points ``(B, K, 2)``, features at a quarter of the side, and angles ``(B, 3)``."""
        features = self.early(self.stem(self.normalize(images)))
        x = self.late(features)
        y = self.down(x)
        z = F.relu(self.whole(y))
        scales = torch.cat([x.mean((2, 3)), y.mean((2, 3)), z.flatten(1)], dim=1)
        points = self.head(scales).unflatten(1, (self.num_points, 2)) * self.size
        maps = {} if self.auxiliary is None else {"angles": [self.auxiliary(features)]}
        return ModelOutput(points=[points], maps=maps, features=features)

    def decode(self, output: ModelOutput, method: str | None = None) -> Prediction:
        """Return the points; there is nothing to choose, and no confidence."""
        self.check_method(method)
        return self.decode_points(output)

    def default_loss(self) -> dict[str, dict[str, Any]]:
        """Return PFLD's squared error, weighted by attributes and pose, with the plain one added to it (``least = 1``).

        As published, ``least = 0``, the loss is a product in which the angles' factor is the sum of ``1 - cos`` of their errors.
        It has a second minimum: right angles, whatever the points. Large data keep the angles from being right, and the
        recipe ``zoo/pfld`` has the published form. With few faces the factor vanishes soon: of eight, the loss was 0 at an
        error of 37 % of the eyes' distance. Adding 1 to the factor leaves its gradient to the branch as it is and gives the
        points a weight that never vanishes; that is the cure, and no published one is known.
        """
        return {"points": {"kind": "pfld", "least": 1.0}}


class _PoseBranch(nn.Sequential):
    """Features → yaw, pitch and roll. There is no activation between its linear layers."""

    def __init__(self, side: int) -> None:
        super().__init__(
            ConvNormAct(64, 128, 3, 2),
            ConvNormAct(128, 128, 3),
            ConvNormAct(128, 32, 3, 2),
            # Padded by 1, a kernel as large as the map gives 3 x 3 cells.
            nn.Conv2d(32, 128, side, padding=1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3),
            nn.Flatten(),
            nn.Linear(128, 32),
            nn.Linear(32, 3),
        )

    def forward(self, features: Tensor) -> Tensor:
        """``(B, 64, S / 4, S / 4)`` → angles ``(B, 3)`` in radians."""
        return super().forward(features)
