"""A larger or leaner FiFANet from another's weights; a larger one computes at first what the other did (as in Net2Net, Chen
et al. 2016), a leaner one something near it.

Training from nothing is what thousands of faces are too few for; a network that starts where a smaller one ended only has
to learn what more pixels and more blocks are good for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from .parts.spectral import FFParser, resize_spectrum
from .parts.vit import ConvStem, ViT, resize_position

__all__ = ["fit_spectra", "grow"]

_BLOCK = re.compile(r"^vit\.blocks\.(\d+)\.(.+)$")
_INNER = re.compile(r"^(hourglasses\.\d+\.(?:inner\.)+)((?:wide|middle|narrow)\..+)$")
_LAST = ("attn.proj.weight", "attn.proj.bias", "mlp.fc2.weight", "mlp.fc2.bias")


def grow(state: Mapping[str, Tensor], model: nn.Module, vit: ViT) -> dict[str, Tensor]:
    """Fit a smaller network's tensors to ``model`` as far as its kind allows; what does not fit is handed through.

    * More transformer blocks: every third of the depth keeps its own first, and the rest starts as the identity (their
      last linear maps are zero). Fewer: every third keeps its first.
    * ``fold``: the first convolution sees the mean of the pixels that became channels, which is what it saw before of a
      crop of the smaller side.
    * Another number of tokens or another map side: position embedding and FF-Parser filters are resized.
    * Fewer halvings in an hourglass: what stood in the place of its innermost block now, an hourglass, gives its last block.
    * 1x1 convolutions where there were larger ones (``down_kernel``): the sum of the taps, which answers a smooth map alike.

    Args:
        state: of the smaller network, a ``state_dict``.
        model: the larger FiFANet, new; only its shapes are read.
        vit: its transformer.

    Returns:
        tensors under ``model``'s names, to be loaded; those that fit nowhere keep their name and shape.
    """
    own = model.state_dict()
    grown = _deepen(state, own, vit.depth)
    first = "vit.patch_embed.stages.0.0.0.weight"
    if isinstance(vit.patch_embed, ConvStem) and first in grown:
        share, rest = divmod(own[first].shape[1], grown[first].shape[1])
        if share > 1 and not rest:
            grown[first] = grown[first].repeat_interleave(share, dim=1) / share
    if "vit.pos_embed" in grown and grown["vit.pos_embed"].shape[-1] == vit.width:
        grown["vit.pos_embed"] = resize_position(grown["vit.pos_embed"], vit.grid, vit.prefix)
    for name, tensor in own.items():
        if name not in grown and (found := _INNER.match(name)) and f"{found[1]}after.{found[2]}" in grown:
            grown[name] = grown[f"{found[1]}after.{found[2]}"]
        taps = grown.get(name)
        if taps is not None and taps.ndim == tensor.ndim == 4 and tensor.shape == (*taps.shape[:2], 1, 1):
            grown[name] = taps.sum((-2, -1), keepdim=True)
    return fit_spectra(grown, model)


def fit_spectra(state: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Return tensors with the FF-Parser filters resized to the maps of ``model``, which are square."""
    for name, module in model.named_modules():
        weight = state.get(f"{name}.weight")
        if isinstance(module, FFParser) and weight is not None and weight.ndim == 4:
            # Maps are square here, so the whole axis tells the halved one.
            state[f"{name}.weight"] = resize_spectrum(weight, weight.shape[1], module.height, module.width)
    return state


def _deepen(state: Mapping[str, Tensor], own: dict[str, Tensor], depth: int) -> dict[str, Tensor]:
    """Spread a ViT's blocks over the thirds of another one: new blocks add nothing at first, and a third too long is cut."""
    found = [int(match[1]) for name in state if (match := _BLOCK.match(name))]
    old = max(found, default=-1) + 1
    if old in (0, depth) or old % 3 or depth % 3:
        return dict(state)
    few, many = old // 3, depth // 3
    grown: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if match := _BLOCK.match(name):
            third, place = divmod(int(match[1]), few)
            if place >= many:
                continue
            name = f"vit.blocks.{third * many + place}.{match[2]}"
        grown[name] = tensor
    for name, tensor in own.items():
        if name not in grown and (match := _BLOCK.match(name)):
            grown[name] = torch.zeros_like(tensor) if match[2] in _LAST else tensor
    return grown
