"""Several weight files → one, of a committee of their networks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ..recipes.sections import ModelConfig
from ..errors import UsageError
from ..models.build import build_model
from .files import WeightCard, load_card, load_weights, save_weights

__all__ = ["join_weights"]

_ALIKE = ("scheme_table", "num_points", "scale", "box_source", "decode", "mirror_bias")


def join_weights(sources: Sequence[str | Path], out: Path) -> WeightCard:
    """Write a :class:`~fiducia.models.ensemble.Committee` of trained networks, with the card of the one of largest crops.

    Unlike :func:`~fiducia.weights.files.average_weights` it takes networks of any kind and past; it costs the time of all.

    Args:
        sources: two or more, named as in :func:`fiducia.weights.files.find_weights`; the first of largest crop leads.
        out: the safetensors file, float32.

    Raises:
        UsageError: fewer than two, or weights of other landmarks or another cut of the face; or crops and heatmaps whose
            sides do not go into each other.
        FiduciaError: a damaged file.
    """
    if len(sources) < 2:
        raise UsageError("a committee takes two weights or more")
    loaded = sorted((load_weights(source) for source in sources), key=lambda pair: -pair[1].size)
    card = loaded[0][1]
    for _, other in loaded[1:]:
        for key in _ALIKE:
            if getattr(other, key) != getattr(card, key):
                raise UsageError(
                    f"{other.name}: {key} is {getattr(other, key)!r}, that of {card.name} {getattr(card, key)!r}; "
                    "members of a committee look at one crop for one landmark set"
                )
    members: list[dict[str, Any]] = [{"model": c.model, "size": c.size, **c.options} for _, c in loaded]
    state: dict[str, torch.Tensor] = {}
    for i, (model, _) in enumerate(loaded):
        state |= {f"members.{i}.{key}": tensor for key, tensor in model.state_dict().items()}
    update: dict[str, Any] = {
        "model": "committee",
        "options": {"members": members},
        "which": "committee",
        "numbers": [],
        "training": {
            **card.training,
            "members": [{"name": c.name, "sha256": c.sha256, **c.training} for _, c in loaded],
        },
        "command": "; ".join(dict.fromkeys(c.command for _, c in loaded if c.command)),
    }
    joined = card.model_copy(update=update)
    with torch.device("meta"):  # what could not be read again is refused before it is written
        build_model(
            ModelConfig(name="committee", options=joined.options), card.num_points, card.size, preset_options=False
        )
    save_weights(out, state, joined)
    return load_card(out)
