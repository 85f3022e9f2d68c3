"""What a weight file says of itself: read from its header, with nothing executed and no tensor in memory. No torch here."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import FiduciaError
from ..words import one_line
from .card import WeightCard, card_in
from .header import Header, digest, read_header
from .places import find_weights

__all__ = ["WeightInfo", "load_card", "look_at"]

_LISTED = 8
"""Tensors that are listed of a file without a usable card."""


def load_card(name: str | Path) -> WeightCard:
    """Read the card of weights, as it stands in the file; no tensor is read, and the network need not be registered here.

    Args:
        name: as in :func:`fiducia.weights.places.find_weights`.

    Raises:
        UsageError: no such weights.
        FiduciaError: the file is damaged, is not safetensors, has no card, or one that contradicts itself.
    """
    header = read_header(find_weights(name))
    return card_in(header).model_copy(update={"sha256": digest(header)})


@dataclass(kw_only=True)
class WeightInfo:
    """What is known of a file.

    Attributes:
        file: the file.
        card: the model card; None where it has none that can be used.
        tensors: what it holds, in lines; empty for a file with a card.
        wrong: why it cannot be used; empty where nothing is wrong.
    """

    file: Path
    card: WeightCard | None = None
    tensors: list[str] = field(default_factory=list)
    wrong: str = ""


def look_at(name: str | Path) -> WeightInfo:
    """Describe weights, or a stranger's file; a file that cannot be used is described as far as it goes.

    Args:
        name: as in :func:`fiducia.weights.places.find_weights`.

    Raises:
        UsageError: no such weights.
    """
    path = find_weights(name)
    info = WeightInfo(file=path)
    if _is_torch_file(path):
        info.tensors = ["a torch checkpoint; what it holds is not looked at, since that means unpickling it"]
        info.wrong = f"{path}: not safetensors; convert it with: fiducia weights convert"
        return info
    try:
        header = read_header(path)
    except FiduciaError as error:
        info.wrong = str(error)
        return info
    try:
        info.card = card_in(header).model_copy(update={"sha256": digest(header)})
    except FiduciaError as error:
        info.wrong = str(error)
        info.tensors = _listing(header)
    return info


def _is_torch_file(path: Path) -> bool:
    """Whether a file is an archive or a bare pickle, as torch writes them; told by its first bytes."""
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError:
        return False
    # Safetensors begins with the length of its header, which may be any number, and the header with a brace.
    return start[:4] == b"PK\3\4" or (start[:1] == b"\x80" and start[1:2] in b"\2\3\4\5" and start[8:] != b"{")


def _listing(header: Header) -> list[str]:
    """Return the number and types of a file's tensors, and the first of them."""
    types = Counter(entry.dtype for entry in header.tensors.values())
    kinds = ", ".join(f"{count:,} {name}" for name, count in sorted(types.items()))
    total = sum(entry.numel for entry in header.tensors.values())
    lines = [f"{len(header.tensors):,} tensors ({kinds}), {total:,} numbers"]
    for name, entry in list(header.tensors.items())[:_LISTED]:
        lines.append(f"{one_line(name, 80)}: {entry.dtype} {entry.shape}")
    if len(header.tensors) > _LISTED:
        lines.append("...")
    return lines
