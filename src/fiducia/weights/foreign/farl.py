"""FaRL's alignment networks, as FacePerceiver/FaRL publishes them: ``farl``."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from ...errors import FiduciaError
from ..backbone import to_timm_names
from ..converters import Converted, converters, rename

__all__ = ["convert_farl"]

_SCHEMES = {68: "ibug68", 98: "wflw98", 19: "aflw19"}
_NORM = {"conv": "0", "bn": "1"}
"""Places of a convolution and its norm in a :class:`~fiducia.models.parts.blocks.ConvNormAct`."""
_HEAD = {"bottleneck": "bottleneck", "fpn_bottleneck": "fuse"}
_LISTS = {"psp_modules": "pools", "lateral_convs": "laterals", "fpn_convs": "smooth"}


@converters.register("farl")
def convert_farl(state: Mapping[str, Tensor]) -> Converted:
    """Convert the state dict of FaRL's alignment network, of any landmark set, resolution and width of the head.

    Its image mean and deviation are constants here, and what CLIP uses for its contrastive loss is left out.

    Raises:
        FiduciaError: tensors that the network cannot do without are absent.
    """
    state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    prefix = "backbone.visual."
    visual = to_timm_names({k.removeprefix("backbone."): v for k, v in state.items() if k.startswith(prefix)})
    tensors = {f"vit.{name}": tensor for name, tensor in visual.items()}
    tensors |= rename({k: v for k, v in state.items() if not k.startswith(prefix)}, _rename)
    for needed in ("vit.pos_embed", "vit.patch_embed.proj.weight", "head.weight", "neck_head.fuse.0.weight"):
        if needed not in tensors:
            raise FiduciaError(
                f"this is no FaRL alignment network: nothing in it becomes {needed}; expected names such as "
                f"{prefix}positional_embedding and heatmap_head.head.conv_seg.weight"
            )
    num_points = tensors["head.weight"].shape[0]
    channels = tensors["neck_head.fuse.0.weight"].shape[0]
    grid = round((tensors["vit.pos_embed"].shape[1] - 1) ** 0.5)
    return Converted(
        model="farl",
        num_points=num_points,
        size=grid * tensors["vit.patch_embed.proj.weight"].shape[-1],
        state=tensors,
        options={"channels": channels},
        scheme=_SCHEMES.get(num_points),
        scale=1.0 if num_points == 19 else 0.8,
        licence="MIT (code and weights of FacePerceiver/FaRL)",
        notes="FaRL, CVPR 2022; pre-trained on LAION-Face, then on the landmark set's training faces",
    )


def _rename(name: str) -> str | None:
    if name.startswith("backbone.fpns."):
        return name.replace("backbone.fpns.", "necks.", 1)
    match = re.fullmatch(r"heatmap_head\.head\.(.+)", name)
    if match is None:
        # The rest of CLIP, and the image's mean and deviation. Anything else has no place in the network, and is named there.
        return None if name.startswith("backbone.") else name
    part, _, rest = match[1].partition(".")
    if part == "conv_seg":
        return f"head.{rest}"
    if part in _LISTS:
        index, _, rest = rest.partition(".")
        # The published pyramid pooling counts the pooling itself as a layer, as ours does.
        step = "1." if part == "psp_modules" else ""
        rest = rest.removeprefix(step)
        layer, _, leaf = rest.partition(".")
        return f"neck_head.{_LISTS[part]}.{index}.{step}{_NORM[layer]}.{leaf}"
    if part in _HEAD:
        layer, _, leaf = rest.partition(".")
        return f"neck_head.{_HEAD[part]}.{_NORM[layer]}.{leaf}"
    return name
