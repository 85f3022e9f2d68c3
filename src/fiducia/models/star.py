"""STAR: ADNet's network, trained with the self-adaptive ambiguity reduction loss."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..schemes.sets import Scheme
from ..structures import ModelOutput, Prediction
from .base import LandmarkModel
from .parts.edge_point import EdgePointNetwork
from .parts.pixels import PixelOptions
from .registry import register

__all__ = ["STAR"]


@register(
    "star",
    size=256,
    about="STAR, ADNet's network with the STAR loss (Zhou et al., CVPR 2023)",
    test_options={"stacks": 2, "channels": 16},
    test_size=64,
)
class STAR(LandmarkModel):
    """STAR (Zhou, Li, Liu, Wang, Yu, Ji, "STAR Loss: Reducing Semantic Ambiguity in Facial Landmark Detection", CVPR 2023).

    The outputs are those of :class:`fiducia.models.adnet.ADNet`, and so is the published pixel rule.

    Args:
        num_points: K.
        size: S, a multiple of 64.
        scheme: the landmark set, whose curves (:func:`fiducia.schemes.curves.curves`) are the edges. Without one, or without
            edges in it, there are no edge maps.
        pixels: the pixel rule.
        attention: False = the published option without attention: neither edge maps nor point maps.
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
        attention: bool = True,
        stacks: int = 4,
        channels: int = 256,
    ) -> None:
        super().__init__(num_points, size)
        self.network = EdgePointNetwork(
            num_points,
            size,
            scheme,
            published=pixels.published,
            attention=attention,
            stacks=stacks,
            channels=channels,
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
        """STAR loss on the fusion maps + 10 x AWing on the edge maps + 10 x AWing on the point maps."""
        return self.network.losses("star")
