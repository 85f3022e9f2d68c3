"""Trained weights → other weights: a start for a new network, the mean of several runs, a file to hand on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from ..errors import FiduciaError, UsageError
from ..models.base import LandmarkModel
from ..models.bounded import without_memory
from ..models.ensemble import member_state
from ..schemes.sets import Scheme
from ..words import one_line
from .card import WeightCard, card_scheme
from .store import read_card, read_weights, save_weights

__all__ = ["average_weights", "init_from", "pack_weights"]


def init_from(
    model: LandmarkModel, name: str | Path, *, kind: str = "", twin: Callable[[Scheme], LandmarkModel] | None = None
) -> list[str]:
    """Start a network from trained weights.

    Tensors of equal name and shape are taken over, after the network has fitted those of a relative to itself
    (:meth:`fiducia.models.base.LandmarkModel.adapted`). What depends on the landmark set, such as a head with a map for each
    landmark or edge, stays new where it differs. Of an ensemble's weights a single network takes those of the member of its name.

    Args:
        model: the new network.
        name: weights, named as in :func:`fiducia.weights.store.find_weights`.
        kind: the network's registered name.
        twin: builds the same network for another landmark set; it tells which tensors depend on that.

    Returns:
        names of the tensors that were not taken over.

    Raises:
        UsageError: no such weights, or weights of a network that does not fit.
        FiduciaError: a damaged file.
    """
    state, card = read_weights(name)
    own = model.state_dict()
    if "members" in card.options and kind != card.model:
        state = member_state(state, card.options["members"], kind)
    state = model.adapted(state)
    fits = {k: v.to(own[k].dtype) for k, v in state.items() if k in own and own[k].shape == v.shape}
    new = sorted(set(own) - set(fits))
    heads: set[str] = set()
    if twin is not None and new:
        with without_memory():
            other = twin(card_scheme(card)).state_dict()
        heads = {k for k in own if k not in other or other[k].shape != own[k].shape}
    strange = [k for k in new if k not in heads and not k.startswith(model.fresh or ("\0",))]
    if strange:
        options = one_line(json.dumps(card.options), 200)
        raise UsageError(
            f"{name}: holds a {card.model} at {card.size} pixels with options {options}, which this recipe's network does not "
            f"match ({strange[0]} and {len(strange) - 1} more); take the same width, channels and maps"
        )
    model.load_state_dict(fits, strict=False)
    return new


def pack_weights(
    source: str | Path,
    out: Path,
    *,
    name: str,
    numbers: list[dict[str, Any]],
    notes: str = "",
    command: str = "",
    flip: bool = False,
) -> WeightCard:
    """Write weights anew in half precision, under a name and with measured numbers in their card: a file to hand on.

    Args:
        source: weights, named as in :func:`fiducia.weights.store.find_weights`.
        out: the file.
        name: what the card calls them.
        numbers: rows of data, split, faces, metric, value and command; they replace the run's own where there are any.
        notes: what else a user should know.
        command: how a stranger trains them, in place of the run's own with its folders.
        flip: they are meant to be run with flip test-time augmentation; what the source's card asks for stays.

    Raises:
        UsageError, FiduciaError: as :func:`fiducia.weights.store.load_weights`.
    """
    state, card = read_weights(source)
    update: dict[str, Any] = {"name": name, "notes": notes or card.notes, "flip": flip or card.flip}
    update["command"] = command or card.command
    if numbers:
        update["numbers"] = numbers
    save_weights(out, state, card.model_copy(update=update), half=True)
    return read_card(out)


def average_weights(sources: Sequence[str | Path], out: Path) -> WeightCard:
    """Write the mean of several weights of one network, with the first one's card: a "model soup" (Wortsman et al. 2022).

    Only runs that share their beginnings have a good mean: measure it on validation faces.

    Args:
        sources: two or more, named as in :func:`fiducia.weights.store.find_weights`.
        out: the file, in the precision of the first.

    Raises:
        UsageError: fewer than two, or weights of different networks, landmarks or crops.
        FiduciaError: as :func:`fiducia.weights.store.load_weights`.
    """
    if len(sources) < 2:
        raise UsageError("an average takes two weights or more")
    (state, card), *others = (read_weights(source) for source in sources)
    first = card.model_dump()
    for source, (tensors, other) in zip(sources[1:], others, strict=True):
        theirs = other.model_dump()
        for key in _ALIKE:
            if theirs[key] != first[key]:
                raise UsageError(
                    f"{source}: {key} is {one_line(repr(theirs[key]), 120)}, that of {sources[0]} "
                    f"{one_line(repr(first[key]), 120)}; "
                    "only weights of one network can be averaged"
                )
        if {k: v.shape for k, v in tensors.items()} != {k: v.shape for k, v in state.items()}:
            raise FiduciaError(f"{source}: its tensors are not those of {sources[0]}, though their cards agree")
    for key, value in state.items():
        if not value.is_floating_point() and not key.endswith("num_batches_tracked"):
            # Whole numbers, such as who is whose neighbour, tell what the other tensors mean.
            for source, (tensors, _) in zip(sources[1:], others, strict=True):
                if not torch.equal(tensors[key], value):
                    raise UsageError(
                        f"{source}: its {key} differs from that of {sources[0]}; weights that were trained on other faces have "
                        "no mean"
                    )
        if value.is_floating_point():
            every = [value.double(), *(tensors[key].double() for tensors, _ in others)]
            state[key] = torch.stack(every).mean(0).to(value.dtype)
    training = {**card.training, "averaged_with": [other.training for _, other in others]}
    card = card.model_copy(update={"training": training, "numbers": [], "which": "average", "calibration": None})
    save_weights(out, state, card)
    return read_card(out)


_ALIKE = (
    "model",
    "options",
    "scheme_table",
    "num_points",
    "size",
    "scale",
    "box_source",
    "decode",
    "mirror_bias",
)
