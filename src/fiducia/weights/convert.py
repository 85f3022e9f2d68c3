"""A published checkpoint → our weight file with a model card, or a bare encoder for ``model.backbone_weights``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from safetensors.torch import save as to_bytes

from ..errors import FiduciaError, UsageError
from ..files import write_atomic
from ..models.bounded import without_memory
from ..models.build import build_model
from ..models.registry import find_preset, merge_options
from ..schemes.sets import get_scheme, scheme_from_table
from ..words import one_line
from .backbone import convert_backbone, read_state
from .card import WeightCard
from .converters import Converted, converters
from .store import read_card, save_weights

__all__ = ["VIT", "convert_checkpoint", "kinds"]

VIT = "vit"
"""A ViT encoder with CLIP's, FaRL's or timm's names."""


def kinds() -> list[str]:
    """Return the kinds of checkpoints that can be converted."""
    return sorted([VIT, *converters])


def convert_checkpoint(kind: str, source: Path, out: Path) -> tuple[WeightCard | None, int]:
    """Convert a published checkpoint; nothing in it is executed.

    Args:
        kind: one of :func:`kinds`.
        source: ``.pth`` of nothing but tensors, or ``.safetensors``.
        out: the file to write, ``*.safetensors``.

    Returns:
        The card of a whole network, or None for an encoder alone; and the number of tensors.

    Raises:
        UsageError: an unknown kind.
        FiduciaError: a file that cannot be read, or tensors that are not of that kind.
    """
    if kind == VIT:
        return None, convert_backbone(source, out)
    convert = converters.get(kind, "--from: ") if kind in converters else None
    if convert is None:
        raise UsageError(f"--from {kind}: no such kind of checkpoint; known: {', '.join(kinds())}")
    state = read_state(source)
    try:
        found = convert(state)
        card, names = _card(kind, source, out, found) if found.model else (None, list(found.state))
    except FiduciaError as error:
        raise FiduciaError(f"{source}: {error}") from error
    except Exception as error:
        # A converter counts on the shapes of its own kind; the file is a stranger's.
        raise FiduciaError(
            f"{source}: no checkpoint of kind {kind!r} ({type(error).__name__}: {one_line(error, 160)})"
        ) from error
    # Copies: a stranger's tensors may share their memory, which safetensors does not write.
    tensors = {name: found.state[name].clone().contiguous() for name in names}
    if card is None:
        write_atomic(out, to_bytes(tensors))
        return None, len(tensors)
    save_weights(out, tensors, card)
    return read_card(out), len(tensors)


def _card(kind: str, source: Path, out: Path, found: Converted) -> tuple[WeightCard, list[str]]:
    """Return the card of a whole network and the names of its tensors, once they fit the network.

    Raises:
        FiduciaError: they do not.
    """
    bare = scheme_from_table({"name": f"{kind}{found.num_points}", "points": found.num_points, "mirror": []})
    scheme = get_scheme(found.scheme) if found.scheme is not None else bare
    preset = find_preset(found.model, "converted: ")
    options = merge_options(preset.options, found.options)
    with without_memory():
        model = build_model(found.model, found.num_points, found.size, options=options, scheme=scheme, preset=False)
    expected = {name: tensor.shape for name, tensor in model.state_dict().items()}
    for name, shape in expected.items():
        if name not in found.state or found.state[name].shape != shape:
            there = tuple(found.state[name].shape) if name in found.state else "absent"
            raise FiduciaError(f"no checkpoint of kind {kind!r}: {name} is {there}, expected {tuple(shape)}")
    card = WeightCard(
        name=one_line(out.stem, 200),
        model=found.model,
        options=options,
        scheme=scheme.name,
        scheme_table=scheme.to_table(),
        num_points=found.num_points,
        size=found.size,
        scale=found.scale,
        which="converted",
        licence=found.licence,
        training={"origin": "converted, not trained here", "kind": kind, "file": one_line(source.name, 200)},
        date=datetime.now(UTC).date().isoformat(),
        notes=f"Converted, not trained here. {found.notes}".strip(),
    )
    return card, list(expected)
