"""The registered networks: a name is a builder with the network's own keyword options."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from ..config import ModelConfig
from ..registry import Registry, did_you_mean
from ..structures import UsageError
from .committee import Committee
from .fifanet import FiFANet
from .vitbase import VanillaViT

__all__ = ["Preset", "build_model", "models"]


@dataclass(frozen=True)
class Preset:
    """A network class, the side of its usual input in pixels, and the options that differ from the class's own."""

    build: Callable[..., nn.Module]
    size: int
    options: dict[str, Any]

    def accepts(self) -> list[str]:
        """Return the options that a recipe may set under ``model.options``."""
        return [p.name for p in inspect.signature(self.build).parameters.values() if p.kind is p.KEYWORD_ONLY]


models: Registry[Preset] = Registry("model")

models.register("fifa_base")(Preset(FiFANet, 512, {}))
# For two CPU cores: most of an hourglass's time goes into its largest maps, so those carry no block on the skip and 1x1
# convolutions before the BlurPools, FF-Parsers stand on maps of 16 and less, and one light block refines to 64 x 64. The
# tokens are 8 x 8 and see the whole face, so hourglasses need not go below that.
_TINY: dict[str, Any] = {
    "width": 128,
    "depth": 6,
    "heads": 4,
    "mlp_ratio": 3.0,
    "channels": 64,
    "stem": "conv",
    "stem_base": 24,
    "refine": 32,
    "wiring": "cascade",
    "fuse": "add",
    "skip_block": False,
    "down_kernel": 1,
    "hourglass_depth": 2,
    "ffp_max": 16,
}
models.register("fifa_tiny")(Preset(FiFANet, 128, _TINY))
# Four times the pixels through the same maps, twice the blocks and a wider refinement: it can start from fifa_tiny's weights.
_SMALL = {**_TINY, "fold": 2, "patch": 32, "map_stride": 8, "depth": 12, "refine": 64}
models.register("fifa_small")(Preset(FiFANet, 256, _SMALL))
# What "fiducia weights join" writes; a recipe that trains one names its members itself.
_PAIR = [{"model": "fifa_small", "size": 256, **_SMALL}, {"model": "fifa_tiny", "size": 128, **_TINY}]
models.register("committee")(Preset(Committee, 256, {"members": _PAIR}))
models.register("vit_base")(Preset(VanillaViT, 512, {}))


def build_model(cfg: ModelConfig, num_points: int, size: int, *, preset_options: bool = True) -> nn.Module:
    """Build a network for ``num_points`` landmarks on ``size`` x ``size`` crops.

    The result has ``num_points``, ``size``, ``stride`` (crop pixels a heatmap cell), ``feature_channels`` and
    ``parameter_groups()``. ``cfg.backbone_weights`` are loaded where the network has a ViT. With ``preset_options`` off,
    ``cfg.options`` are all that differ from the class's own: trained weights keep the network that they were trained in
    when the preset of its name moves on.

    Raises:
        UsageError: an unknown network or option, or sizes that do not divide.
        FiduciaError: backbone weights that cannot be read or do not fit.
    """
    if cfg.name not in models:
        raise UsageError(f"model.name: no model is called {cfg.name!r}{did_you_mean(cfg.name, list(models))}")
    preset = models[cfg.name]
    known = preset.accepts()
    for option in cfg.options:
        if option not in known:
            raise UsageError(f"model.options: {cfg.name} has no option {option!r}{did_you_mean(option, known)}")
    try:
        model = preset.build(num_points, size, **{**(preset.options if preset_options else {}), **cfg.options})
    except (ValueError, TypeError) as error:
        raise UsageError(f"model {cfg.name} at {size} pixels: {error}") from error
    model.name = cfg.name  # type: ignore[assignment]
    if cfg.backbone_weights is not None:
        from .backbone import load_backbone

        load_backbone(model, cfg.backbone_weights)
    return model
