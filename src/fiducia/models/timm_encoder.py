"""``timm:NAME``: any feature extractor of timm under this package's heads. Needs the extra ``timm``."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ..errors import UsageError
from ..heatmaps.decode import heatmap_decoders
from ..structures import ModelOutput, Prediction
from .base import LandmarkModel, split_parameters
from .parts.blocks import CLIP, IMAGENET, Normalize, ResidualBlock, heatmap_head
from .parts.hourglass import Hourglass, resize
from .parts.spectral import FFParser
from .registry import register

__all__ = ["TimmEncoder"]

_SCALINGS = {"imagenet": IMAGENET, "clip": CLIP, "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))}


@register(
    "timm:", size=256, about="any timm feature extractor, such as timm:resnet18, with our heatmap or hourglass head"
)
class TimmEncoder(LandmarkModel):
    """An encoder from timm, its levels summed at one resolution, and a residual block or an hourglass before the heatmaps.

    The weights are random; ``model.backbone_weights`` loads a local file. Import trouble: timm needs torchvision, whose usual
    wheel fails beside a CPU build of torch with "operator torchvision::nms does not exist". Install the torchvision that
    belongs to your torch; or define the two missing operators first:
    ``torch.library.Library("torchvision", "DEF").define("nms(Tensor d, Tensor s, float t) -> Tensor")`` and the same for
    ``qnms``; keep the ``Library`` object alive.

    Args:
        num_points: K.
        size: S, side of the input in pixels, divisible by ``stride``.
        encoder_name: what stands behind the colon: a name that ``timm.create_model`` knows.
        head: ``"heatmap"``: a residual block; ``"hourglass"``: FiFANet's anti-aliased hourglass.
        channels: C of the head, a multiple of 4.
        stride: pixels a heatmap cell.
        depth: halvings of the hourglass.
        scaling: mean and deviation that the encoder was trained with: ``"imagenet"``, ``"clip"``, or ``"half"`` (-1 to 1).
        tell_size: pass ``img_size`` to the encoder, as transformers with position embeddings need it.
        norm: ``"batch"`` or ``"group"``, of the head.
        head_bias: first bias of the heatmaps.

    Raises:
        UsageError: timm is missing, does not import, or knows no such encoder.
        ValueError: sizes that do not divide.
    """

    fresh = ("lateral.", "neck.", "head.")

    def __init__(
        self,
        num_points: int,
        size: int,
        *,
        encoder_name: str,
        head: Literal["heatmap", "hourglass"] = "heatmap",
        channels: int = 128,
        stride: int = 4,
        depth: int = 3,
        scaling: Literal["imagenet", "clip", "half"] = "imagenet",
        tell_size: bool = False,
        norm: str = "batch",
        head_bias: float = -5.0,
    ) -> None:
        super().__init__(num_points, size)
        if size % stride:
            raise ValueError(f"size must divide by stride; found size {size}, stride {stride}")
        if head not in ("heatmap", "hourglass") or scaling not in _SCALINGS:
            raise ValueError(
                f"head is 'heatmap' or 'hourglass', scaling one of {', '.join(_SCALINGS)}; found {head!r} and {scaling!r}"
            )
        self.decoders = heatmap_decoders("expectation")
        self.cells = size // stride
        self.normalize = Normalize(_SCALINGS[scaling])
        self.trunk = _create(encoder_name, size if tell_size else None)
        widths, reductions = list(self.trunk.feature_info.channels()), list(self.trunk.feature_info.reduction())
        self.channels_last = _channels_last(self.trunk, widths, encoder_name, size)
        # Finer maps than the heatmaps cost most and tell least; an encoder with no coarser one is taken whole.
        levels = [i for i, r in enumerate(reductions) if r >= stride]
        self.levels = levels or list(range(len(widths)))
        self.lateral = nn.ModuleList([nn.Conv2d(widths[i], channels, 1) for i in self.levels])
        self.neck: nn.Module = ResidualBlock(channels, channels, norm)
        if head == "hourglass":
            self.neck = nn.Sequential(self.neck, Hourglass(channels, self.cells, depth, norm=norm))
        self.head = heatmap_head(channels, num_points, head_bias)

    def forward(self, images: Tensor) -> ModelOutput:
        """Crops ``(B, 3, S, S)``, uint8 or float in [0, 255] → logits ``(B, K, S/stride, S/stride)`` and features."""
        maps = self.trunk(self.normalize(images))
        maps = [m.permute(0, 3, 1, 2) if last else m for m, last in zip(maps, self.channels_last, strict=True)]
        chosen = [resize(lateral(maps[i]), self.cells) for i, lateral in zip(self.levels, self.lateral, strict=True)]
        features = self.neck(torch.stack(chosen).sum(0))
        return ModelOutput(heatmaps=[self.head(features)], features=features)

    def decode(self, output: ModelOutput, method: str | None = None) -> Prediction:
        """Read the heatmaps, by expectation where nothing else is asked for (FaRL)."""
        return self.decode_heatmaps(output, method)

    def default_loss(self) -> dict[str, dict[str, Any]]:
        """Return heatmap BCE and a coordinate loss, as FaRL is trained."""
        return {"heatmap": {"kind": "bce"}, "coord": {"kind": "coord", "distance": "norm"}}

    def encoder(self) -> nn.Module | None:
        """Return timm's network, which loads its own weights from a local file."""
        return self.trunk

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Return parameters by learning rate and decay; ``backbone`` is timm's network. FF-Parser filters take no decay."""
        filters = [p for m in self.modules() if isinstance(m, FFParser) for p in m.parameters()]
        return split_parameters(self, backbone=("trunk.",), free=filters)


def _create(name: str, size: int | None) -> Any:
    """Return timm's feature extractor; ``feature_info`` tells the channels of its maps and their strides in pixels."""
    timm = _import(name)
    options = {} if size is None else {"img_size": size}
    try:
        return timm.create_model(name, features_only=True, pretrained=False, **options)
    except (RuntimeError, ValueError, TypeError, KeyError) as error:
        reason = " ".join(str(error).split())[:120]
        raise UsageError(
            f"model.name: timm makes no feature extractor of {name!r} ({reason}); see timm.list_models()"
        ) from error


def _channels_last(trunk: nn.Module, widths: list[int], name: str, size: int) -> list[bool]:
    """Return which maps come as ``(B, h, w, C)``, by a crop of which only the shape goes through the encoder."""
    empty = {key: t.to("meta") for key, t in [*trunk.named_parameters(), *trunk.named_buffers()]}
    try:
        maps = functional_call(trunk, empty, (torch.zeros(2, 3, size, size, device="meta"),))
    except (AssertionError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        raise UsageError(
            f"model timm:{name} does not take crops of {size} pixels ({reason}); try model.options.tell_size = true, or "
            "another data.size"
        ) from error
    return [m.shape[1] != width and m.shape[-1] == width for m, width in zip(maps, widths, strict=True)]


def _import(name: str) -> ModuleType:
    """Import timm, which only this file needs."""
    try:
        return importlib.import_module("timm")
    except (ImportError, RuntimeError) as error:  # torchvision beside another build of torch raises RuntimeError
        reason = " ".join(str(error).split())[:120]
        raise UsageError(
            f"model.name: timm:{name} needs the package timm, which does not import ({reason}); "
            "pip install 'fiducia[timm]' with a torchvision that fits your torch"
        ) from error
