"""FiFANet's options in three groups, and where the flat options of earlier versions are now."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt, model_validator

from .base import Options

__all__ = ["RENAMED", "Backbone", "Head", "Hourglasses"]


class Backbone(Options):
    """The encoder: a transformer and its stem, or a convolutional one that takes pre-trained weights."""

    kind: str = "vit"
    """``vit``, or a convolutional encoder: ``efficientnet_lite0``, ``efficientnet_lite1`` or ``efficientnet_lite2``. All options
    below but ``drop_path`` belong to ``vit``."""
    drop_path: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Share of crops for which the last residual block of a convolutional encoder is left out in training (stochastic depth);
    it falls linearly to zero at the first block."""
    patch: PositiveInt = 16
    """Stride of the tokens in pixels."""
    width: PositiveInt = 768
    """D of the tokens."""
    depth: PositiveInt = 12
    """Transformer blocks, divisible by 3."""
    heads: PositiveInt = 12
    """Attention heads."""
    mlp_ratio: float = Field(default=4.0, gt=0)
    """Hidden width over D."""
    stem: Literal["patch", "conv"] = "patch"
    """``patch``: CLIP's, loads pre-trained weights; ``conv``: trains from nothing."""
    stem_base: PositiveInt = 32
    """Channels of the convolutional stem at half resolution."""
    fold: PositiveInt = 1
    """Side of the squares of pixels that become channels before the convolutional stem: a crop of twice the side is read at
    the old cost, and all strides count pixels of the larger crop."""

    @model_validator(mode="after")
    def _of_one_kind(self) -> Backbone:
        """Options of the transformer stand with ``vit`` alone, and ``drop_path`` with the others."""
        strange = self.model_fields_set - (
            {"kind", "drop_path"} if self.kind != "vit" else set(type(self).model_fields)
        )
        if self.kind == "vit" and self.drop_path:
            strange = {"drop_path"}
        if strange:
            raise ValueError(f"backbone.{min(strange)} has no meaning with backbone.kind = {self.kind!r}; leave it out")
        return self


class Hourglasses(Options):
    """The three hourglasses between the thirds of a transformer's blocks, or the one behind a convolutional encoder."""

    channels: PositiveInt = 128
    """C of the hourglasses."""
    depth: int = Field(default=3, ge=0)
    """Halvings in an hourglass; 0 = no hourglasses, all else as it is (to leave them out of a recipe)."""
    stride: PositiveInt = 4
    """Pixels a cell of the hourglasses' maps (the paper: 4)."""
    wiring: Literal["instream", "lateral", "cascade"] = "instream"
    """``instream``: the first two hourglasses also send their maps back into the tokens, through a gate that starts at zero;
    ``lateral``: the tokens flow on untouched; ``cascade``: in-stream, and every hourglass adds the one before to its input.
    One hourglass alone has nothing to wire."""
    antialias: bool = True
    """BlurPool (True) or max-pooling."""
    down_kernel: Literal[1, 3] = 3
    """Kernel of the convolutions before a BlurPool; 1 costs a ninth."""
    ffp: bool = True
    """FF-Parsers after each upsample-and-concatenate."""
    ffp_init: Literal["identity", "paper"] = "identity"
    """First weights of the FF-Parsers."""
    ffp_max: int = Field(default=0, ge=0)
    """Largest map side with FF-Parsers; 0 = all."""
    fuse: Literal["concat", "add"] = "concat"
    """How an hourglass joins its skip with what comes back from below."""
    skip_block: bool = True
    """Residual blocks on the skips."""


class Head(Options):
    """From the hourglasses' maps to heatmaps."""

    refine: int = Field(default=0, ge=0)
    """Channels of one last step to heatmaps of twice the hourglasses' side, fed by the stem's or encoder's map of that side;
    0 = none, as in the paper. Small crops need it: at 128 pixels a cell of stride 4 is a fifteenth of the inter-ocular distance."""
    aux: bool = False
    """A head on every hourglass, for intermediate supervision: three more stages of heatmaps. With a convolutional encoder: a
    head before the hourglass."""
    bias: float = -5.0
    """First bias of the heads."""


RENAMED = {
    **{k: f"backbone.{k}" for k in ("patch", "width", "depth", "heads", "mlp_ratio", "stem", "stem_base", "fold")},
    **{
        k: f"hourglass.{k}"
        for k in ("channels", "wiring", "antialias", "down_kernel", "ffp", "ffp_init", "ffp_max", "fuse")
    },
    "skip_block": "hourglass.skip_block",
    "hourglass_depth": "hourglass.depth",
    "map_stride": "hourglass.stride",
    "refine": "head.refine",
    "aux": "head.aux",
    "head_bias": "head.bias",
}
