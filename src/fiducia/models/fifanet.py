"""FiFANet, the paper's network (Fig. 2): a ViT with an anti-aliased hourglass after every third of its blocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..heatmaps.decode import heatmap_decoders
from ..structures import ModelOutput, Prediction
from .base import LandmarkModel, split_parameters
from .fifanet_grow import grow
from .fifanet_options import RENAMED, Backbone, Head, Hourglasses
from .parts.blocks import ConvNormAct, Normalize, ResidualBlock, heatmap_head
from .parts.hourglass import BlurPool, Hourglass, resize
from .parts.reading import ExpectationHead
from .parts.spectral import FFParser
from .parts.vit import ConvStem, ViT, block_number
from .registry import register

__all__ = ["Backbone", "FiFANet", "Head", "Hourglasses"]


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
class FiFANet(LandmarkModel):
    """Transformer blocks in three groups, an hourglass after each, all three fused into one head.

    The paper fixes only that hourglasses stand "in-between the transformer layers"; ``hourglass.wiring`` has the readings.

    Args:
        num_points: K.
        size: S, side of the input in pixels, divisible by ``backbone.patch``.
        backbone: the transformer and its stem.
        hourglass: the hourglasses.
        head: the way to heatmaps.
        norm: ``"batch"``, or ``"group"`` for exact training in several processes.

    Raises:
        ValueError: sizes that do not divide, or an unknown choice.
    """

    fresh = ("head.", "aux_heads.", "refine.")

    def __init__(
        self,
        num_points: int,
        size: int,
        *,
        backbone: Backbone = Backbone(),
        hourglass: Hourglasses = Hourglasses(),
        head: Head = Head(),
        norm: str = "batch",
    ) -> None:
        super().__init__(num_points, size)
        _check(size, backbone, hourglass, head)
        self.decoders = heatmap_decoders("expectation")
        channels, stride = hourglass.channels, hourglass.stride
        self.stride, width = (stride // 2, head.refine) if head.refine else (stride, channels)
        self.wiring = hourglass.wiring
        self.group = backbone.depth // 3
        self.map_stride, self.cells = stride, size // stride
        convolutions = None
        if backbone.stem == "conv":
            convolutions = ConvStem(backbone.patch, backbone.width, backbone.stem_base, stride, norm, backbone.fold)
        self.normalize = Normalize()
        self.vit = ViT(
            size // backbone.patch,
            backbone.patch,
            backbone.width,
            backbone.depth,
            backbone.heads,
            mlp_ratio=backbone.mlp_ratio,
            act="gelu" if backbone.stem == "conv" else "quick_gelu",
            stem=convolutions,
        )
        finer = convolutions.channels if convolutions is not None else {}
        kept = finer.get(stride, 0)
        # Laid out at the tokens' own resolution: the linear map commutes with the bilinear one, and is 16 times cheaper there.
        self.lift = nn.ModuleList([nn.Conv2d(backbone.width, channels, 1) for _ in range(3)])
        self.detail = nn.ModuleList([nn.Conv2d(kept, channels, 1) for _ in range(3)] if kept else [])
        self.hourglasses = nn.ModuleList([_hourglass(hourglass, self.cells, norm) for _ in range(3)])
        returns = 0 if hourglass.wiring == "lateral" else 2
        factor = backbone.patch // stride
        self.sink = nn.ModuleList([_Return(channels, backbone.width, factor, norm) for _ in range(returns)])
        self.join = nn.Sequential(
            ConvNormAct(3 * channels, channels, 1, norm=norm), ResidualBlock(channels, channels, norm)
        )
        self.refine = _Refine(channels, finer[self.stride], head.refine, norm) if head.refine else None
        self.head = heatmap_head(width, num_points, head.bias)
        self.aux_heads = nn.ModuleList(
            [heatmap_head(channels, num_points, head.bias) for _ in range(3)] if head.aux else []
        )

    def forward(self, images: Tensor) -> ModelOutput:
        """Crops ``(B, 3, S, S)``, uint8 or float in [0, 255] → logits ``(B, K, S/stride, S/stride)`` and features."""
        features, maps = self.features(images)
        early = [head(m) for head, m in zip(self.aux_heads, maps, strict=True)] if len(self.aux_heads) else []
        return ModelOutput(heatmaps=[*early, self.head(features)], features=features)

    def decode(self, output: ModelOutput, method: str | None = None) -> Prediction:
        """Read the final heatmaps, by expectation where nothing else is asked for (FaRL)."""
        return self.decode_heatmaps(output, method)

    def graph(self, method: str | None = None) -> nn.Module:
        """As the base class; the expectation is read in one product with the head, which runtimes compute faster."""
        if self.check_method(method) != "expectation":
            return super().graph(method)
        return _Graph(self)

    def default_loss(self) -> dict[str, dict[str, Any]]:
        """Return the paper's: heatmap BCE, a coordinate loss and DCCA between the views, each of weight 1 (Sect. 3)."""
        return {"heatmap": {"kind": "bce"}, "coord": {"kind": "coord"}, "similarity": {"kind": "dcca"}}

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Return the parameters; ``backbone`` is the ViT. FF-Parser filters take no decay."""
        filters = [p for m in self.modules() if isinstance(m, FFParser) for p in m.parameters()]
        return split_parameters(self, backbone=("vit.",), free=filters, depth=block_number)

    def encoder(self) -> nn.Module | None:
        """Return the ViT where it has CLIP's patch embedding; one with a convolutional stem has nothing to load."""
        return self.vit if self.vit.prefix else None

    def adapted(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors of a FiFANet with fewer blocks, fewer pixels or richer hourglasses, fitted to this one."""
        return grow(state, self, self.vit)

    def features(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the features ``(B, C, h, w)`` before the head, and every hourglass's maps."""
        tokens, finer = self.vit.embed(self.normalize(images))
        maps: list[Tensor] = []
        for i, hourglass in enumerate(self.hourglasses):
            tokens = self.vit.run(tokens, i * self.group, (i + 1) * self.group)
            x = resize(self.lift[i](self.vit.to_map(tokens)), self.cells)
            if len(self.detail):
                x = x + self.detail[i](finer[self.map_stride])
            if self.wiring == "cascade" and maps:
                x = x + maps[-1]
            maps.append(hourglass(x))
            if i < len(self.sink):
                tokens = self.vit.add_map(tokens, self.sink[i](maps[-1]))
        features = self.join(torch.cat(maps, dim=1))
        if self.refine is not None:
            features = self.refine(features, finer[self.stride])
        return features, maps


def _check(size: int, backbone: Backbone, hourglass: Hourglasses, head: Head) -> None:
    patch, stride, stem, fold = backbone.patch, hourglass.stride, backbone.stem, backbone.fold
    if size % patch or patch % stride or backbone.depth % 3:
        raise ValueError(
            f"size must divide by backbone.patch, backbone.patch by hourglass.stride, and backbone.depth by 3; found size "
            f"{size}, patch {patch}, stride {stride}, depth {backbone.depth}"
        )
    if head.refine and (stem != "conv" or stride < 4 * fold):
        raise ValueError(
            f"head.refine needs backbone.stem = 'conv' and a hourglass.stride of {4 * fold} or more; found {stem!r} and {stride}"
        )
    if fold > 1 and (stem != "conv" or patch % (2 * fold) or stride < 2 * fold):
        raise ValueError(
            f"backbone.fold needs backbone.stem = 'conv', and a patch and hourglass.stride of {2 * fold} or more; found "
            f"{stem!r}, {patch} and {stride}"
        )


def _hourglass(options: Hourglasses, cells: int, norm: str) -> nn.Module:
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


class _Graph(nn.Module):
    """FiFANet from crops to points, for graphs."""

    def __init__(self, model: FiFANet) -> None:
        super().__init__()
        self.model = model
        self.reading = ExpectationHead(model.head, model.size // model.stride, model.size)

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Uint8 ``(N, 3, S, S)`` → points ``(N, K, 2)`` in crop pixels and confidence ``(N, K)``."""
        return self.reading(self.model.features(crops)[0])


class _Refine(nn.Module):
    """Features and a stem's map of twice their side → features of that side."""

    def __init__(self, inputs: int, finer: int, channels: int, norm: str) -> None:
        super().__init__()
        self.lift = nn.Conv2d(inputs, channels, 1)
        self.detail = nn.Conv2d(finer, channels, 1)
        self.block = ResidualBlock(channels, channels, norm)

    def forward(self, x: Tensor, finer: Tensor) -> Tensor:
        """``(B, C, h, w)`` and ``(B, F, 2h, 2w)`` → ``(B, channels, 2h, 2w)``."""
        return self.block(resize(self.lift(x), finer.shape[-1]) + self.detail(finer))


class _Return(nn.Module):
    """An hourglass's map → an update of the tokens, behind a gate that starts closed."""

    def __init__(self, channels: int, width: int, factor: int, norm: str) -> None:
        super().__init__()
        steps: list[nn.Module] = []
        while factor > 1:
            steps.append(BlurPool())
            factor //= 2
        self.down = nn.Sequential(*steps, ConvNormAct(channels, width, 1, norm=norm))
        self.gate = nn.Parameter(torch.zeros(width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, h, w)`` → ``(B, D, h / factor, w / factor)``."""
        return self.gate * self.down(x)
