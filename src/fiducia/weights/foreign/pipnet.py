"""Checkpoints of jhb86253817/PIPNet with a ResNet: kind ``pipnet``."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from ...errors import FiduciaError
from ...models.parts.mean_face import mean_face, nearest_points
from ...schemes.sets import get_scheme
from ..converters import Converted, converters, rename
from ..published import SCHEMES, require

__all__ = ["convert_pipnet"]

_HEADS = {"cls_layer": "score", "x_layer": "x", "y_layer": "y", "nb_x_layer": "nb_x", "nb_y_layer": "nb_y"}
_DEPTHS = {(False, 2): 18, (False, 6): 34, (True, 6): 50, (True, 23): 101}
"""Whether its blocks are bottlenecks, and how many the third stage has → depth."""


@converters.register("pipnet")
def convert_pipnet(state: Mapping[str, Tensor]) -> Converted:
    """Rename the tensors of a PIPNet with a ResNet and stride 32.

    The mean face that tells the neighbours is a file of its own in the published project; ``--mean-face`` adds it to the
    tensors as ``mean_face``, fractions of the crop ``(K, 2)`` or ``(2 K,)``. Without it the neighbours' answers cannot be
    assigned, and the points are read from each landmark's own.

    Raises:
        FiduciaError: the tensors are of another network.
    """
    num_points = len(require(state, "cls_layer.bias", "PIPNet"))
    near = len(require(state, "nb_x_layer.bias", "PIPNet")) // num_points
    names = [name.removeprefix("module.") for name in state]
    blocks = len({name.split(".")[1] for name in names if name.startswith("layer3.")})
    depth = _DEPTHS.get(("layer1.0.conv3.weight" in names, blocks))
    if depth is None:
        raise FiduciaError(
            f"not a checkpoint of PIPNet with a ResNet: its third stage has {blocks} blocks; expected 2, 6 or 23"
        )
    tensors = rename(state, _rename)
    face, scheme = tensors.pop("mean_face", None), SCHEMES.get(num_points)
    drawn = mean_face(num_points, get_scheme(scheme) if scheme else None)
    tensors["neighbours"] = nearest_points(drawn if face is None else face.reshape(num_points, 2), near)
    heads = {"neighbours": near} if face is not None else {"neighbours": near, "merge": False}
    return Converted(
        model="pipnet_r18",
        num_points=num_points,
        size=256,
        state=tensors,
        options={"depth": depth, "heads": heads},
        scheme=scheme,
        licence="MIT (code); the checkpoints follow the terms of their training data",
        notes="PIPNet (Jin et al., IJCV 2021)"
        + ("" if face is not None else "; without its mean face, hence without neighbours"),
    )


def _rename(name: str) -> str:
    head = re.fullmatch(r"(\w+_layer)\.(weight|bias)", name)
    if head is not None:
        return f"{_HEADS.get(head[1], head[1])}.{head[2]}"
    return name if name == "mean_face" else f"trunk.{name}"
