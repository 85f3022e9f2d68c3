"""Several weight files → one, of an ensemble of their networks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ..errors import UsageError
from ..words import one_line
from .card import WeightCard
from .store import described, described_network, read_card, read_weights, save_weights

__all__ = ["join_weights"]

_ALIKE = ("scheme_table", "num_points", "scale", "box_source", "mirror_bias")


def join_weights(sources: Sequence[str | Path], out: Path) -> WeightCard:
    """Write an :class:`~fiducia.models.ensemble.Ensemble` of trained networks of any kind, with the card of the largest crop's.

    Args:
        sources: two or more, named as in :func:`fiducia.weights.store.find_weights`; the first of largest crop leads.
        out: the safetensors file, float32.

    Raises:
        UsageError: fewer than two, weights of other landmarks or another cut of the face, crops whose sides do not divide, or
            cards that ask for different decoders; said before anything is computed.
        FiduciaError: a damaged file.
    """
    if len(sources) < 2:
        raise UsageError("an ensemble takes two weights or more")
    cards = sorted(((read_card(source), source) for source in sources), key=lambda pair: -pair[0].size)
    card = cards[0][0]
    first = card.model_dump()
    for other, source in cards[1:]:
        theirs = other.model_dump()
        for key in _ALIKE:
            if theirs[key] != first[key]:
                raise UsageError(
                    f"{source}: {key} is {one_line(repr(theirs[key]), 120)}, that of {card.name} "
                    f"{one_line(repr(first[key]), 120)}; "
                    "members of an ensemble look at one crop for one landmark set"
                )
        if card.size % other.size:
            raise UsageError(
                f"{source}: its crop of {other.size} pixels does not divide {card.name}'s {card.size}; members see one crop, "
                "averaged down by a whole factor"
            )
    members: list[dict[str, Any]] = [{"model": c.model, "size": c.size, **c.options} for c, _ in cards]
    methods = {c.decode for c, _ in cards}
    if len(methods) > 1:
        for one, source in cards:
            own = described_network(one, str(source)).check_method(None)
            if one.decode not in (None, own):
                raise UsageError(
                    f"{source}: is read by {one.decode!r}, and other members are not; members of an ensemble are all read by one "
                    f"decoder, or each by its network's own, which is {own!r} here"
                )
    state: dict[str, torch.Tensor] = {}
    for i, (_, source) in enumerate(cards):
        tensors, _ = read_weights(source)
        state |= {f"members.{i}.{key}": t.float() if t.is_floating_point() else t for key, t in tensors.items()}
    update: dict[str, Any] = {
        "model": "ensemble",
        "options": {"members": members},
        "which": "ensemble",
        "decode": card.decode if len(methods) == 1 else None,
        "numbers": [],
        "calibration": None,
        "plugins": sorted({name for c, _ in cards for name in c.plugins}),
        "training": {
            **card.training,
            "members": [{"name": c.name, "sha256": c.sha256, **c.training} for c, _ in cards],
        },
        "command": "; ".join(dict.fromkeys(c.command for c, _ in cards if c.command)),
    }
    joined = card.model_copy(update=update)
    described(joined, str(out))  # what could not be read again is refused before it is written
    save_weights(out, state, joined)
    return read_card(out)
