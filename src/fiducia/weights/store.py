"""Weight files: safetensors with a model card in their header. Nothing in them is ever executed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as to_bytes
from torch import Tensor

from ..errors import FiduciaError, UsageError
from ..files import write_atomic
from ..models.base import LandmarkModel
from ..models.bounded import MOST_PARTS, without_memory
from ..models.build import build_model
from ..models.registry import is_registered, models
from ..registry import did_you_mean
from ..words import one_line
from .card import WeightCard, card_in, card_scheme
from .header import Header, digest, read_header
from .info import load_card
from .places import SHIPPED, find_weights, load_saved_plugins, shipped_names
from .tensors import read_tensors

__all__ = [
    "card_in",
    "described",
    "described_network",
    "describe_weights",
    "load_card",
    "load_weights",
    "read_card",
    "read_weights",
    "save_weights",
]


def save_weights(path: Path, state: dict[str, Tensor], card: WeightCard, *, half: bool = False) -> None:
    """Write tensors and card into one safetensors file, beside and then renamed.

    Args:
        path: the file, ``*.safetensors``.
        state: a network's ``state_dict``.
        card: goes into the header as JSON.
        half: store float32 as float16, half the size; a face's points move by less than 0.01 pixels.
    """
    tensors = {
        k: (v.half() if half and v.dtype == torch.float32 else v).detach().cpu().contiguous() for k, v in state.items()
    }
    card = card.model_copy(update={"params": sum(v.numel() for v in tensors.values()), "sha256": ""})
    write_atomic(path, to_bytes(tensors, metadata={"fiducia": card.model_dump_json()}))


def load_weights(
    name: str | Path = "fifa_tiny", *, device: str | torch.device = "cpu"
) -> tuple[LandmarkModel, WeightCard]:
    """Build the network that weights belong to, and load them; float32, in evaluation mode.

    The network of a run's directory may come from a plugin that was saved with the run; it is imported from there.

    Raises:
        UsageError: no such weights, or a network that is not registered here.
        FiduciaError: a damaged file, or tensors that do not fit the network that its card names.
    """
    state, card = read_weights(name)
    # A network is first filled with drawn numbers: the caller's own draws go on as if none had been made here.
    with torch.random.fork_rng(devices=[]):
        model = build_model(
            card.model, card.num_points, card.size, options=card.options, scheme=card_scheme(card), preset=False
        )
    model.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
    return model.to(device).eval(), card


def described(card: WeightCard, origin: str, *, most_parts: int = MOST_PARTS) -> dict[str, Tensor]:
    """Return the names and shapes of the tensors of a card's network, on a device that takes no memory.

    Args:
        card: upgraded.
        origin: the file, for messages.
        most_parts: more parameters, buffers and modules than this are refused.

    Raises:
        FiduciaError: options that no network can be built from, or of absurd size.
    """
    return described_network(card, origin, most_parts=most_parts).state_dict()


def described_network(card: WeightCard, origin: str, *, most_parts: int = MOST_PARTS) -> LandmarkModel:
    """Return a card's network without its numbers, as :func:`described` does."""
    scheme = card_scheme(card)
    try:
        with without_memory(most_parts):
            model = build_model(
                card.model, card.num_points, card.size, options=card.options, scheme=scheme, preset=False
            )
        model.check_method(card.decode)
        return model
    except Exception as error:
        # The options are a stranger's, and builders, also those of plugins, are not written for them.
        raise FiduciaError(
            f"{origin}: its network {card.model} cannot be built as its card says: {one_line(error, 300)}"
        ) from error


def describe_weights() -> list[dict[str, Any]]:
    """Return one row for each shipped weight file."""
    rows = []
    for name in shipped_names():
        card = load_card(name)
        best = next((f"{r['metric']} {r['value']:.2f} on {r['data']} {r['split']}" for r in card.numbers), "")
        rows.append(
            {
                "name": name,
                "model": card.model,
                "scheme": card.scheme,
                "input": card.size,
                "megabytes": round((SHIPPED / f"{name}.safetensors").stat().st_size / 1e6, 1),
                "measured": best,
                "licence": card.licence,
            }
        )
    return rows


def read_weights(name: str | Path) -> tuple[dict[str, Tensor], WeightCard]:
    """Return a file's tensors, which fit the network that its card names, and the card.

    Pickles, archives and torn files are refused before anything is done with them. Names, types and shapes are compared by
    the header, with a network that takes no memory: an absurd card never reaches an allocator.

    Raises:
        UsageError: no such weights, or a network that is not registered here.
        FiduciaError: a damaged file, or tensors that do not fit the network that its card names.
    """
    header, card = _look(name)
    _check_fit(
        header, card, described(card, str(header.path), most_parts=min(MOST_PARTS, 10 * len(header.tensors) + 1_000))
    )
    return read_tensors(header), card


def read_card(name: str | Path) -> WeightCard:
    """Return the card of :func:`read_weights` alone; no tensor is read."""
    return _look(name)[1]


def _look(name: str | Path) -> tuple[Header, WeightCard]:
    """Return a file's header, and its card in this version's form, once its network is known here."""
    header = read_header(find_weights(name))
    card = card_in(header)
    if len(header.tensors) > MOST_PARTS:
        raise FiduciaError(f"{header.path}: {len(header.tensors):,} tensors; no network here has over {MOST_PARTS:,}")
    load_saved_plugins(name)
    for network in card.networks:
        if not is_registered(network):
            cure = (
                f"; it comes from the plugin {', '.join(card.plugins)}: give --plugin FILE.py" if card.plugins else ""
            )
            known = cure or did_you_mean(network, list(models))
            raise UsageError(f"{header.path}: its network {one_line(network, 60)!r} is not registered here{known}")
    try:
        card = card.upgraded()
    except FiduciaError as error:
        raise FiduciaError(f"{header.path}: {error}") from error
    return header, card.model_copy(update={"sha256": digest(header)})


def _check_fit(header: Header, card: WeightCard, network: dict[str, Tensor]) -> None:
    """Compare a file's tensors with its network's and with its card, by the header alone.

    Raises:
        FiduciaError: one that is missing, too many, of another shape or of another kind of numbers; or a card that gives
            another number of them.
    """
    for name in (*network, *header.tensors):
        there, want = header.tensors.get(name), network.get(name)
        found = (there.shape, there.floating) if there is not None else None
        expected = (tuple(want.shape), want.is_floating_point()) if want is not None else None
        if found != expected:
            words = [
                "absent" if one is None else f"{one[0]} {'real' if one[1] else 'whole'}" for one in (found, expected)
            ]
            raise FiduciaError(
                f"{header.path}: does not fit the network {card.model} that its card names: tensor {one_line(name, 80)} is "
                f"{words[0]}, expected {words[1]}"
            )
    count = sum(entry.numel for entry in header.tensors.values())
    if card.params not in (0, count):
        raise FiduciaError(
            f"{header.path}: its card says {card.params:,} numbers, but its tensors hold {count:,}; get it again"
        )
