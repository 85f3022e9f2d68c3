"""FiFANet, the paper's network (Fig. 2), by its options: on a ViT as published, or on a convolutional encoder."""

from __future__ import annotations

from typing import Any

from .fifanet_options import RENAMED, Backbone, Head, Hourglasses
from .fifanet_parts import HeadedModel
from .fifanet_pyramid import PyramidFiFANet
from .fifanet_vit import FiFANet
from .registry import register

__all__ = ["fifanet"]


# For two CPU cores: most of an hourglass's time goes into its largest maps, so those carry no block on the skip and 1x1
# convolutions before the BlurPools, FF-Parsers stand on maps of 16 and less, and one light block refines to 64 x 64. The
# tokens are 8 x 8 and see the whole face, so hourglasses need not go below that.
_TINY: dict[str, Any] = {
    "backbone": {"width": 128, "depth": 6, "heads": 4, "mlp_ratio": 3.0, "stem": "conv", "stem_base": 24},
    "hourglass": {
        "channels": 64,
        "depth": 2,
        "wiring": "cascade",
        "fuse": "add",
        "skip_block": False,
        "down_kernel": 1,
        "ffp_max": 16,
    },
    "head": {"refine": 32},
}
# Four times the pixels through the same maps, twice the blocks and a wider refinement: it can start from fifa_tiny's weights.
_SMALL: dict[str, Any] = {
    "backbone": {**_TINY["backbone"], "fold": 2, "patch": 32, "depth": 12},
    "hourglass": {**_TINY["hourglass"], "stride": 8},
    "head": {"refine": 64},
}


_TEST: dict[str, Any] = {
    "backbone": {"width": 32, "depth": 3, "heads": 2, "stem_base": 8},
    "hourglass": {"channels": 16, "depth": 1},
}


# On EfficientNet-Lite0 at ImageNet's weights; 6 MB in half precision. One hourglass on maps of stride 4, lean as fifa_tiny's.
_LITE: dict[str, Any] = {
    "backbone": {"kind": "efficientnet_lite0"},
    "hourglass": {
        "channels": 64,
        "depth": 2,
        "fuse": "add",
        "skip_block": False,
        "down_kernel": 1,
        "ffp_max": 24,
    },
}


@register(
    "fifa_lite",
    size=192,
    options=_LITE,
    about="FiFANet on EfficientNet-Lite0, one hourglass; takes ImageNet weights",
    test_options={"hourglass": {"channels": 16, "depth": 1}, "head": {"refine": 16}},
    test_size=64,
)
@register(
    "fifa_base",
    size=512,
    renamed=RENAMED,
    about="FiFANet on ViT-B/16, as in the paper; loads CLIP or FaRL weights",
    test_options=_TEST,
    test_size=64,
)
@register(
    "fifa_small",
    size=256,
    renamed=RENAMED,
    options=_SMALL,
    about="FiFANet with 12 narrow blocks, for accuracy on CPUs",
    test_options={**_TEST, "head": {"refine": 16}},
    test_size=64,
)
@register(
    "fifa_tiny",
    size=128,
    renamed=RENAMED,
    options=_TINY,
    about="FiFANet with 6 narrow blocks, for speed on CPUs",
    test_options={**_TEST, "head": {"refine": 16}},
    test_size=64,
)
def fifanet(
    num_points: int,
    size: int,
    *,
    backbone: Backbone = Backbone(),
    hourglass: Hourglasses = Hourglasses(),
    head: Head = Head(),
    norm: str = "batch",
) -> HeadedModel:
    """Return the FiFANet of a backbone's kind.

    Args:
        num_points: K.
        size: S, side of the input in pixels.
        backbone: the encoder.
        hourglass: the hourglasses.
        head: the way to heatmaps.
        norm: ``"batch"``, or ``"group"`` for exact training in several processes; an encoder's own norms stay.

    Raises:
        ValueError: sizes that do not divide, or an unknown choice.
        UsageError: an unknown kind.
    """
    family = FiFANet if backbone.kind == "vit" else PyramidFiFANet
    return family(num_points, size, backbone=backbone, hourglass=hourglass, head=head, norm=norm)
