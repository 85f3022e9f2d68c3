"""Weight files: safetensors with a model card in their header. Nothing in them is ever executed."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from ..errors import FiduciaError, UsageError
from ..files import write_atomic
from ..models.base import LandmarkModel
from ..models.build import build_model
from ..models.registry import is_registered, models
from ..models.shapes import without_memory
from ..registry import did_you_mean
from .card import WeightCard, card_scheme
from .places import SHIPPED, find_weights, load_saved_plugins, shipped_names

__all__ = [
    "describe_weights",
    "load_card",
    "load_weights",
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


def load_card(name: str | Path) -> WeightCard:
    """Read the card of weights, as it stands in the file; the network need not be registered here.

    Args:
        name: as in :func:`fiducia.weights.places.find_weights`.

    Raises:
        UsageError: no such weights.
        FiduciaError: the file is damaged, is not safetensors, has no card, or one that contradicts itself.
    """
    return _read(find_weights(name))[1]


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
    path = find_weights(name)
    scheme = card_scheme(card)

    def build() -> LandmarkModel:
        return build_model(card.model, card.num_points, card.size, options=card.options, scheme=scheme, preset=False)

    # Shapes first, on a device that takes no memory: an absurd card never reaches an allocator.
    with without_memory():
        shapes = {k: v.shape for k, v in build().state_dict().items()}
    wrong = next((k for k, v in shapes.items() if k not in state or state[k].shape != v), None)
    wrong = wrong or next((k for k in state if k not in shapes), None)
    if wrong is not None:
        found = tuple(state[wrong].shape) if wrong in state else "absent"
        expected = tuple(shapes[wrong]) if wrong in shapes else "none of that name"
        raise FiduciaError(
            f"{path}: does not fit the network {card.model} that its card names: tensor {wrong} is {found}, expected {expected}"
        )
    model = build()
    model.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
    return model.to(device).eval(), card


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
    """Return a file's tensors and card. Pickles, archives and torn files are refused before anything is done with them.

    Raises:
        UsageError: no such weights, or a network that is not registered here.
        FiduciaError: see :func:`load_card`.
    """
    path = find_weights(name)
    state, card = _read(path)
    load_saved_plugins(name)
    for network in card.networks:
        if not is_registered(network):
            cure = (
                f"; it comes from the plugin {', '.join(card.plugins)}: give --plugin FILE.py" if card.plugins else ""
            )
            known = cure or did_you_mean(network, list(models))
            raise UsageError(f"{path}: its network {network!r} is not registered here{known}")
    return state, card.upgraded()


def _read(path: Path) -> tuple[dict[str, Tensor], WeightCard]:
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise FiduciaError(
            f"{path}: not a readable safetensors file ({' '.join(str(error).split())}); "
            "get it again, or convert a published checkpoint with: fiducia weights convert"
        ) from error
    if "fiducia" not in metadata:
        raise FiduciaError(
            f"{path}: safetensors without a model card, so its network and landmarks are unknown; "
            "a bare backbone goes into a recipe's model.backbone_weights"
        )
    try:
        card = WeightCard.model_validate_json(metadata["fiducia"])
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise FiduciaError(
            f"{path}: its model card cannot be used: {where + ': ' if where else ''}{message}; get the file again"
        ) from error
    bad = next((k for k, v in state.items() if v.is_floating_point() and not bool(torch.isfinite(v).all())), None)
    if bad is not None:
        raise FiduciaError(f"{path}: tensor {bad} is not finite; the file is damaged or its training diverged")
    return state, card.model_copy(update={"sha256": _digest(state)})


def _digest(state: dict[str, Tensor]) -> str:
    """Return the SHA-256 of names and tensors; the card is left out, so that writing a number into it changes nothing."""
    digest = hashlib.sha256()
    for key in sorted(state):
        digest.update(key.encode())
        digest.update(state[key].contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
