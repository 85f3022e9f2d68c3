"""SH-FAN's network: FAN's hourglasses, continuous heatmaps, read by a local soft-argmax."""

from __future__ import annotations

from typing import Any

from .fan import FAN
from .registry import register

__all__ = ["SHFAN"]


@register(
    "shfan",
    size=256,
    about="SH-FAN, a reconstruction: no code was published (Bulat et al., BMVC 2021)",
    options={"trunk": {"stacks": 2}},
    test_options={"trunk": {"depth": 2, "channels": 32}},
    test_size=64,
)
class SHFAN(FAN):
    """SH-FAN (Bulat, Sanchez and Tzimiropoulos, "Subpixel Heatmap Regression for Facial Landmark Localization", BMVC 2021).

    The network is FAN's. A reconstruction: the authors published neither code nor the number of stacks. The preset has two
    stacks. What is its own: targets are drawn round the continuous points, points are read by a local soft-argmax over 5 x 5
    cells with temperature 10, and the heatmaps of two views of a face must agree (the loss ``heatmap_consistency``, which
    needs ``augment.views = 2`` with warps of their own, ``augment.siamese_views = "indep_all"``).

    Args:
        num_points: K.
        size: S, a multiple of ``4 * 2 ** trunk.depth``: 64 as published.
        trunk: the hourglasses.

    Raises:
        ValueError: a size that does not divide, or an option out of range.
    """

    published_decoder = "local_softargmax"

    def default_loss(self) -> dict[str, dict[str, Any]]:
        """Return squared error of all stacks' maps, and the agreement of two views' maps."""
        return {
            "heatmap": {"kind": "heatmap_mse", "stages": "all"},
            "consistency": {"kind": "heatmap_consistency"},
        }
