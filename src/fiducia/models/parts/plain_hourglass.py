"""The plain hourglass of the published stacked networks (Newell et al., "Stacked Hourglass Networks", ECCV 2016)."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from .blocks import check_choice
from .hourglass import BlurPool

__all__ = ["PlainHourglass", "make_pool"]


def make_pool(kind: str) -> nn.Module:
    """Return a pool that halves a map: ``"average"``, ``"max"``, or ``"blur"``, a BlurPool, which is anti-aliased."""
    pools: dict[str, Callable[[], nn.Module]] = {
        "average": lambda: nn.AvgPool2d(2),
        "max": lambda: nn.MaxPool2d(2),
        "blur": BlurPool,
    }
    return pools[check_choice("pooling", kind, pools)]()


class PlainHourglass(nn.Module):
    """Halve ``depth`` times and come back; at every level the map from before is added.

    A level: a block on the skip; pool by 2; block; (the next level, or a block at the lowest); block; up by 2; sum. What the
    published networks differ in is passed in.

    Args:
        depth: halvings; 4 in all published ones.
        block: builds one residual block that keeps the number of channels.
        pooling: ``"average"`` (FAN, AWing), ``"max"`` (ADNet, STAR, HIH) or ``"blur"`` (PropNet).
        upsampling: ``"nearest"``, or ``"bilinear_corners"``: bilinear, with the centres of the corner cells kept together (HIH).

    Raises:
        ValueError: ``depth`` is less than 1, or an unknown choice.
    """

    def __init__(
        self,
        depth: int,
        block: Callable[[], nn.Module],
        *,
        pooling: str,
        upsampling: str = "nearest",
    ) -> None:
        super().__init__()
        if depth < 1:
            raise ValueError(f"an hourglass has a depth of 1 or more; found {depth}")
        self.upsampling = check_choice("upsampling", upsampling, ("nearest", "bilinear_corners"))
        self.skip = block()
        self.pool = make_pool(pooling)
        self.before = block()
        self.inner = PlainHourglass(depth - 1, block, pooling=pooling, upsampling=upsampling) if depth > 1 else block()
        self.after = block()

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, h, w)`` → the same shape; h and w divide by ``2 ** depth``."""
        skip = self.skip(x)
        low = self.after(self.inner(self.before(self.pool(x))))
        if self.upsampling == "nearest":
            return skip + F.interpolate(low, scale_factor=2.0, mode="nearest")
        return skip + F.interpolate(low, scale_factor=2.0, mode="bilinear", align_corners=True)
