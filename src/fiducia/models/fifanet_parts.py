"""What FiFANets of every encoder share: the hourglass by its options, the step to finer maps, and the form for graphs."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor, nn

from ..structures import ModelOutput, Prediction
from .base import LandmarkModel
from .fifanet_options import Hourglasses
from .parts.blocks import ResidualBlock
from .parts.hourglass import Hourglass, resize
from .parts.reading import ExpectationHead

__all__ = ["FeatureGraph", "HeadedModel", "Refine", "build_hourglass"]


class HeadedModel(LandmarkModel):
    """A network whose heatmaps are a 1x1 convolution of its features.

    Attributes:
        head: features ``(B, C, h, w)`` → logits ``(B, K, h, w)``.
        stride: pixels a cell of the heatmaps.
    """

    head: nn.Conv2d
    stride: int

    @abstractmethod
    def features(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the features before the head, and maps for heads of intermediate supervision."""

    def decode(self, output: ModelOutput, method: str | None = None) -> Prediction:
        """Read the final heatmaps, by expectation where nothing else is asked for (FaRL)."""
        return self.decode_heatmaps(output, method)

    def graph(self, method: str | None = None) -> nn.Module:
        """As the base class; the expectation is read in one product with the head, which runtimes compute faster."""
        if self.check_method(method) != "expectation":
            return super().graph(method)
        return FeatureGraph(self)


def build_hourglass(options: Hourglasses, cells: int, norm: str) -> nn.Module:
    """Return one hourglass for maps of ``cells`` a side; the identity where ``depth`` is 0."""
    if not options.depth:
        return nn.Identity()
    return Hourglass(
        options.channels,
        cells,
        options.depth,
        antialias=options.antialias,
        down_kernel=options.down_kernel,
        ffp=options.ffp,
        ffp_init=options.ffp_init,
        ffp_max=options.ffp_max,
        fuse=options.fuse,
        skip_block=options.skip_block,
        norm=norm,
    )


class FeatureGraph(nn.Module):
    """A FiFANet from crops to points, for graphs: the expectation is read in one product with the head."""

    def __init__(self, model: HeadedModel) -> None:
        super().__init__()
        self.model = model
        self.reading = ExpectationHead(model.head, model.size // model.stride, model.size)

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Uint8 ``(N, 3, S, S)`` → points ``(N, K, 2)`` in crop pixels and confidence ``(N, K)``."""
        return self.reading(self.model.features(crops)[0])


class Refine(nn.Module):
    """Features and a stem's map of twice their side → features of that side."""

    def __init__(self, inputs: int, finer: int, channels: int, norm: str) -> None:
        super().__init__()
        self.lift = nn.Conv2d(inputs, channels, 1)
        self.detail = nn.Conv2d(finer, channels, 1)
        self.block = ResidualBlock(channels, channels, norm)

    def forward(self, x: Tensor, finer: Tensor) -> Tensor:
        """``(B, C, h, w)`` and ``(B, F, 2h, 2w)`` → ``(B, channels, 2h, 2w)``."""
        return self.block(resize(self.lift(x), finer.shape[-1]) + self.detail(finer))
