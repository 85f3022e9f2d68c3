"""ADNet: a stacked hourglass with edge and point attention, trained with the anisotropic direction loss."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..schemes.sets import Scheme
from ..structures import ModelOutput, Prediction
from .base import LandmarkModel
from .parts.edge_point import EdgePointNetwork
from .parts.pixels import PixelOptions
from .registry import register

__all__ = ["ADNet"]


@register(
    "adnet",
    size=256,
    about="ADNet, 4 stacks with edge and point attention (Huang et al., ICCV 2021)",
    test_options={"stacks": 2, "channels": 16},
    test_size=64,
)
class ADNet(LandmarkModel):
    """ADNet (Huang, Yang, Li, Kim, Wei, "Leveraging Error-Bias Towards Normal Direction in Face Alignment", ICCV 2021).

    Every stack gives heatmaps (the fusion maps), their expectation as points, and ``maps.edges``, ``maps.points`` and
    ``maps.attention``: see :class:`.parts.edge_point.StackMaps`. The published pixel rule is the grid of
    :func:`.parts.moments.expected_points`; the default losses follow it.

    Args:
        num_points: K.
        size: S, a multiple of 64.
        scheme: the landmark set, whose curves (:func:`fiducia.schemes.curves.curves`) are the edges. Without one, or without
            edges in it, there are no edge maps.
        pixels: the pixel rule.
        stacks: hourglasses.
        channels: of the hourglasses, a multiple of 4.

    Raises:
        ValueError: a size that does not divide, or a landmark set of another number of points.
    """

    def __init__(
        self,
        num_points: int,
        size: int = 256,
        *,
        scheme: Scheme | None = None,
        pixels: PixelOptions = PixelOptions(),
        stacks: int = 4,
        channels: int = 256,
    ) -> None:
        super().__init__(num_points, size)
        self.network = EdgePointNetwork(
            num_points, size, scheme, published=pixels.published, stacks=stacks, channels=channels
        )

    def forward(self, images: Tensor) -> ModelOutput:
        """Crops ``(B, 3, S, S)`` → points and maps of all stacks."""
        output: ModelOutput = self.network(images)
        return output

    def decode(self, output: ModelOutput, method: str | None = None) -> Prediction:
        """Return the last stack's points; see :meth:`.parts.edge_point.EdgePointNetwork.decode`."""
        self.check_method(method)
        return self.network.decode(output)

    def default_loss(self) -> dict[str, dict[str, Any]]:
        """Anisotropic direction loss on the points + 10 x AWing on the edge maps + 10 x AWing on the point maps."""
        return self.network.losses("adl")
