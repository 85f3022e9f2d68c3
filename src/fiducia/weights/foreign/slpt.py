"""Checkpoints of Jiahao-UTS/SLPT-master: kind ``slpt``."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ...models.parts.mean_face import mean_face
from ...schemes.sets import get_scheme
from ..converters import Converted, converters, rename
from ..published import SCHEMES, require

__all__ = ["convert_slpt"]

_LAYER = {
    "self_attn": "among",
    "multihead_attn": "across",
    "linear1": "widen",
    "linear2": "narrow",
    "norm1": "norm1",
    "norm2": "norm2",
    "norm3": "norm3",
}
_QUERY = "Transformer.landmark_query"


@converters.register("slpt")
def convert_slpt(state: Mapping[str, Tensor]) -> Converted:
    """Rename the tensors of an SLPT of any number of layers. Its unused ``feature_norm`` is left out.

    The face that the network starts from is a file of its own in the published project; ``--mean-face`` adds it to the
    tensors as ``mean_face``, fractions of the crop ``(K, 2)`` or ``(2 K,)``. Without it a drawn face takes its place.

    Raises:
        FiduciaError: the tensors are of another network.
    """
    num_points = require(state, _QUERY, "SLPT").shape[1]
    require(state, "backbone.head.3.weight", "SLPT")
    tensors = rename(state, _rename)
    tensors["token.weight"] = tensors["token.weight"].flatten(1)
    face, scheme = tensors.get("mean_face"), SCHEMES.get(num_points)
    drawn = mean_face(num_points, get_scheme(scheme) if scheme else None, share=1 / 1.2)
    tensors["mean_face"] = drawn if face is None else face.reshape(num_points, 2).float()
    layers = len({name.split(".")[2] for name in tensors if name.startswith("relations.layers.")})
    return Converted(
        model="slpt",
        num_points=num_points,
        size=256,
        state=tensors,
        options={"patches": {"layers": layers}},
        scheme=scheme,
        scale=1 / 1.2,
        licence="GPL (code); the checkpoints follow the terms of their training data",
        notes=f"SLPT with {layers} layers (Xia et al., CVPR 2022)"
        + ("" if face is not None else "; it starts from a drawn face"),
    )


def _rename(name: str) -> str | None:
    first, _, rest = name.partition(".")
    if first == "backbone":
        return f"neck.{rest.removeprefix('head.')}" if rest.startswith("head.") else f"trunk.{rest}"
    if first == "Transformer":
        part, _, leaf = rest.partition(".")
        if part != "Transformer_block":
            return {"structure_encoding": "relations.structure", "landmark_query": "relations.query"}.get(part, rest)
        layers, _, inner = leaf.partition(".")
        if layers != "layers":
            return f"relations.{leaf}"
        number, _, inner = inner.partition(".")
        layer, _, leaf = inner.partition(".")
        return f"relations.layers.{number}.{_LAYER.get(layer, layer)}.{leaf}"
    if first == "feature_norm":
        return None
    return {"feature_extractor": "token", "out_layer": "head"}.get(first, first) + (f".{rest}" if rest else "")
