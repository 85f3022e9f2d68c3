"""FiFANet, the paper's network (Fig. 2): a ViT with an anti-aliased hourglass after every third of its blocks."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from ..structures import ModelOutput
from .parts.blocks import ConvNormAct, Normalize, ResidualBlock, check_choice, heatmap_head
from .parts.hourglass import BlurPool, Hourglass, resize
from .parts.spectral import FFParser
from .parts.vit import ConvStem, ViT

__all__ = ["FiFANet", "split_parameters"]


class FiFANet(nn.Module):
    """Transformer blocks in three groups, an hourglass after each, all three fused into one head.

    Wiring (the paper fixes only that hourglasses stand "in-between the transformer layers"):
    ``"instream"``: the first two hourglasses also send their maps back into the tokens, through a gate that starts at
    zero so that pre-trained blocks see at first what they always saw; ``"lateral"``: tokens flow on untouched;
    ``"cascade"``: in-stream, and every hourglass adds the one before to its input.

    Args:
        num_points: K.
        size: S, side of the input in pixels, divisible by ``patch``.
        patch: stride of the tokens.
        width: D of the tokens.
        depth: transformer blocks, divisible by 3.
        heads: attention heads.
        mlp_ratio: hidden over D.
        channels: C of the hourglasses and of ``features``.
        hourglass_depth: halvings in an hourglass; 0 = no hourglasses, all else as it is (to leave them out of a recipe).
        map_stride: pixels a cell of the hourglasses' maps, and of the heatmaps where ``refine`` is 0 (the paper: 4).
        stem: ``"patch"`` (CLIP's, loads pre-trained weights) or ``"conv"`` (trains from nothing).
        stem_base: channels of the convolutional stem at half resolution.
        fold: side of the squares of pixels that become channels before the convolutional stem: a crop of twice the side
            is read at the old cost, and all strides count pixels of the larger crop.
        refine: channels of one last step to heatmaps of twice the hourglasses' side, fed by the convolutional stem's map of
            that side; 0 = none, as in the paper. Small crops need it: at 128 pixels a cell of stride 4 is a fifteenth of
            the inter-ocular distance.
        wiring: ``"instream"``, ``"lateral"`` or ``"cascade"``.
        antialias: BlurPool (True) or max-pooling.
        down_kernel: side of the kernel of the hourglasses' convolutions before a BlurPool, 3 or 1 (a ninth of the cost).
        ffp: FF-Parsers (True) or none.
        ffp_init: ``"identity"`` or ``"paper"``.
        ffp_max: largest map side with FF-Parsers; 0 = all.
        fuse: ``"concat"`` or ``"add"`` in the hourglasses.
        skip_block: residual blocks on the hourglasses' skips.
        norm: ``"batch"`` or ``"group"``.
        aux: a head on every hourglass, for intermediate supervision; their logits are in ``aux["logits"]``.
        head_bias: first bias of the heads.
        shape: a :class:`~fiducia.models.shape.ShapeRegressor` behind the decoder.

    Attributes:
        stride: pixels a heatmap cell.
        feature_channels: C of ``ModelOutput.features``.

    Raises:
        ValueError: sizes that do not divide, or an unknown choice.
    """

    name = "fifanet"

    def __init__(
        self,
        num_points: int,
        size: int,
        *,
        patch: int = 16,
        width: int = 768,
        depth: int = 12,
        heads: int = 12,
        mlp_ratio: float = 4.0,
        channels: int = 128,
        hourglass_depth: int = 3,
        map_stride: int = 4,
        stem: str = "patch",
        stem_base: int = 32,
        fold: int = 1,
        refine: int = 0,
        wiring: str = "instream",
        antialias: bool = True,
        down_kernel: int = 3,
        ffp: bool = True,
        ffp_init: str = "identity",
        ffp_max: int = 0,
        fuse: str = "concat",
        skip_block: bool = True,
        norm: str = "batch",
        aux: bool = False,
        head_bias: float = -5.0,
        shape: bool = False,
    ) -> None:
        super().__init__()
        if size % patch or patch % map_stride or depth % 3:
            raise ValueError(
                f"size must divide by patch, patch by map_stride, and depth by 3; found size {size}, patch {patch}, "
                f"map_stride {map_stride}, depth {depth}"
            )
        if refine and (stem != "conv" or map_stride < 4 * fold):
            raise ValueError(
                f"refine needs stem = 'conv' and a map_stride of {4 * fold} or more; found {stem!r} and {map_stride}"
            )
        if fold > 1 and (stem != "conv" or patch % (2 * fold) or map_stride < 2 * fold):
            raise ValueError(
                f"fold needs stem = 'conv', and a patch and map_stride of {2 * fold} or more; found {stem!r}, {patch} and "
                f"{map_stride}"
            )
        self.num_points, self.size = num_points, size
        self.stride, self.feature_channels = (map_stride // 2, refine) if refine else (map_stride, channels)
        self.wiring = check_choice("wiring", wiring, ("instream", "lateral", "cascade"))
        self.group = depth // 3
        self.map_stride, self.cells = map_stride, size // map_stride
        convolutions = None
        if check_choice("stem", stem, ("patch", "conv")) == "conv":
            convolutions = ConvStem(patch, width, stem_base, map_stride, norm, fold)
        self.normalize = Normalize()
        act = "gelu" if stem == "conv" else "quick_gelu"
        self.vit = ViT(size // patch, patch, width, depth, heads, mlp_ratio=mlp_ratio, act=act, stem=convolutions)
        finer = convolutions.channels if convolutions is not None else {}
        kept = finer.get(map_stride, 0)
        # Laid out at the tokens' own resolution: the linear map commutes with the bilinear one, and is 16 times cheaper there.
        self.lift = nn.ModuleList([nn.Conv2d(width, channels, 1) for _ in range(3)])
        self.detail = nn.ModuleList([nn.Conv2d(kept, channels, 1) for _ in range(3)] if kept else [])
        self.hourglasses = nn.ModuleList(
            [
                Hourglass(
                    channels,
                    self.cells,
                    hourglass_depth,
                    antialias=antialias,
                    down_kernel=down_kernel,
                    ffp=ffp,
                    ffp_init=ffp_init,
                    ffp_max=ffp_max,
                    fuse=fuse,
                    skip_block=skip_block,
                    norm=norm,
                )
                if hourglass_depth
                else nn.Identity()
                for _ in range(3)
            ]
        )
        returns = 0 if wiring == "lateral" else 2
        self.sink = nn.ModuleList([_Return(channels, width, patch // map_stride, norm) for _ in range(returns)])
        self.join = nn.Sequential(
            ConvNormAct(3 * channels, channels, 1, norm=norm), ResidualBlock(channels, channels, norm)
        )
        self.refine = _Refine(channels, finer[self.stride], refine, norm) if refine else None
        self.head = heatmap_head(self.feature_channels, num_points, head_bias)
        self.shape = ShapeRegressor(num_points) if shape else None
        self.aux_heads = nn.ModuleList([heatmap_head(channels, num_points, head_bias) for _ in range(3)] if aux else [])

    def forward(self, images: Tensor) -> ModelOutput:
        """Crops ``(B, 3, S, S)``, uint8 or float in [0, 255] → logits ``(B, K, S/stride, S/stride)`` and features."""
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
        aux = {"logits": [head(m) for head, m in zip(self.aux_heads, maps, strict=True)]} if len(self.aux_heads) else {}
        return ModelOutput(logits=self.head(features), points=None, features=features, aux=aux, settle=self.shape)

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Return parameters by learning rate (``backbone``: the ViT) and decay, for the optimiser."""
        return split_parameters(self, backbone=("vit.",))


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


def split_parameters(model: nn.Module, backbone: Iterable[str]) -> dict[str, list[nn.Parameter]]:
    """Split a network's parameters into ``backbone``, ``backbone_no_decay``, ``rest`` and ``rest_no_decay``.

    No decay: vectors (norms, biases), gates, position embedding and class token, and FF-Parser filters, which decay would
    pull from the identity to zero.
    """
    prefixes = tuple(backbone)
    spectral = {id(p) for m in model.modules() if isinstance(m, FFParser) for p in m.parameters()}
    groups: dict[str, list[nn.Parameter]] = {"backbone": [], "backbone_no_decay": [], "rest": [], "rest_no_decay": []}
    for name, parameter in model.named_parameters():
        leaf = name.rpartition(".")[2]
        free = parameter.squeeze().ndim < 2 or leaf in ("pos_embed", "cls_token") or id(parameter) in spectral
        groups[("backbone" if name.startswith(prefixes) else "rest") + ("_no_decay" if free else "")].append(parameter)
    return groups
