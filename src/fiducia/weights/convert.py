"""A published checkpoint → our weight file with a model card, or a bare encoder for ``model.backbone_weights``."""

from __future__ import annotations

import zipfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save as to_bytes
from torch import Tensor

from ..errors import FiduciaError, UsageError
from ..files import write_atomic
from ..models.bounded import without_memory
from ..models.build import build_model
from ..models.registry import find_preset
from ..recipes.merge import merge_tables
from ..schemes.sets import get_scheme, scheme_from_table
from ..words import one_line
from .backbone import convert_backbone, left_over, read_state
from .card import WeightCard
from .converters import Converted, converters
from .store import read_card, save_weights

__all__ = ["VIT", "convert_checkpoint", "kinds", "read_mean_face"]

_DATA = "the file does not say; its landmarks are those of {}"
_NAMES = {"ibug68": "300W", "wflw98": "WFLW", "cofw29": "COFW", "aflw19": "AFLW"}
"""Landmark set → the data that it was made for."""

VIT = "vit"
"""A ViT encoder with CLIP's, FaRL's or timm's names."""


def kinds() -> list[str]:
    """Return the kinds of checkpoints that can be converted."""
    return sorted([VIT, *converters])


def convert_checkpoint(
    kind: str, source: Path, out: Path, *, mean_face: Path | None = None
) -> tuple[WeightCard | None, int]:
    """Convert a published checkpoint; nothing in it is executed.

    Args:
        kind: one of :func:`kinds`.
        source: ``.pth`` of nothing but tensors, or ``.safetensors``.
        out: the file to write, ``*.safetensors``.
        mean_face: a file of numbers, x y of each landmark in turn as fractions of the crop, for networks whose project keeps
            the mean face in a file beside the checkpoint; see :func:`read_mean_face`.

    Returns:
        The card of a whole network, or None for an encoder alone; and the number of tensors.

    Raises:
        UsageError: an unknown kind, or a mean face for a network that uses none.
        FiduciaError: a file that cannot be read, or tensors that are not of that kind.
    """
    if kind == VIT:
        if mean_face is not None:
            raise UsageError("--mean-face: an encoder uses no mean face; leave the option out")
        return None, convert_backbone(source, out)
    convert = converters.get(kind, "--from: ") if kind in converters else None
    if convert is None:
        raise UsageError(f"--from {kind}: no such kind of checkpoint; known: {', '.join(kinds())}")
    state = read_state(source)
    face = read_mean_face(mean_face) if mean_face is not None else None
    if face is not None:
        state = {**state, "mean_face": face}
    try:
        found = convert(state)
        card, names = _card(kind, source, out, found, face) if found.model else (None, list(found.state))
    except UsageError:
        raise
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


def read_mean_face(file: Path) -> Tensor:
    """Read a mean face, float32 ``(K, 2)`` fractions of the crop.

    Args:
        file: text with the numbers x y x y … in any layout, or an ``.npy`` or ``.npz`` file of one array.

    Raises:
        FiduciaError: the file cannot be read, or does not hold such numbers.
    """
    try:
        if file.suffix in (".npy", ".npz"):
            numbers = _array(file)
        else:
            words = file.read_text(encoding="utf-8").replace(",", " ").split()
            numbers = torch.tensor([float(word) for word in words], dtype=torch.float32)
    except OSError as error:
        raise FiduciaError(f"{file}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise FiduciaError(f"{file}: expected the numbers x and y of each landmark ({one_line(error, 120)})") from error
    if len(numbers) < 2 or len(numbers) % 2:
        raise FiduciaError(f"{file}: {len(numbers)} numbers; expected two, x and y, for each landmark")
    if not bool(((numbers > -0.5) & (numbers < 1.5)).all()):
        raise FiduciaError(
            f"{file}: numbers from {float(numbers.min()):g} to {float(numbers.max()):g}; expected fractions of the crop's side: "
            "divide pixels by it"
        )
    return numbers.view(-1, 2)


def _array(file: Path) -> Tensor:
    """Return the numbers of a NumPy file in one row; pickled objects are refused with a ValueError."""
    try:
        found = np.load(file, allow_pickle=False)
        if isinstance(found, np.lib.npyio.NpzFile):
            with found:
                if len(found.files) != 1:
                    raise ValueError(f"the file holds {len(found.files)} arrays")
                found = found[found.files[0]]
        return torch.from_numpy(np.asarray(found, dtype=np.float32).ravel().copy())
    except (TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(str(error)) from error


def _card(kind: str, source: Path, out: Path, found: Converted, face: Tensor | None) -> tuple[WeightCard, list[str]]:
    """Return the card of a whole network and the names of its tensors, once they fit the network.

    Raises:
        FiduciaError: they do not.
        UsageError: a mean face for a network that uses none, or of another number of landmarks.
    """
    if face is not None and len(face) != found.num_points:
        raise UsageError(f"--mean-face: {len(face)} landmarks; the checkpoint has {found.num_points}")
    bare = scheme_from_table({"name": f"{kind}{found.num_points}", "points": found.num_points, "mirror": []})
    scheme = get_scheme(found.scheme) if found.scheme is not None else bare
    preset = find_preset(found.model, "converted: ")
    options = merge_tables(preset.options, found.options)
    with without_memory():
        model = build_model(found.model, found.num_points, found.size, options=options, scheme=scheme, preset=False)
    if face is not None and not model.prepare(face):
        raise UsageError(f"--mean-face: {found.model} uses no mean face; leave the option out")
    expected = dict(model.state_dict())
    for name, own in expected.items():
        if name.endswith("num_batches_tracked"):
            found.state.setdefault(name, torch.zeros_like(own, device="cpu"))  # old files lack these counters
        if name not in found.state or found.state[name].shape != own.shape:
            there = tuple(found.state[name].shape) if name in found.state else "absent"
            raise FiduciaError(f"no checkpoint of kind {kind!r}: {name} is {there}, expected {tuple(own.shape)}")
        if found.state[name].is_floating_point() != own.is_floating_point():
            kinds_of = str(found.state[name].dtype).removeprefix("torch."), str(own.dtype).removeprefix("torch.")
            raise FiduciaError(f"no checkpoint of kind {kind!r}: {name} is of {kinds_of[0]}, expected {kinds_of[1]}")
    more = left_over(found.state, expected)
    if more:
        raise FiduciaError(
            f"no checkpoint of kind {kind!r}: {found.model} has no place for {one_line(more, 80)}; the file is "
            "of a larger or another network"
        )
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
        training={
            "origin": "converted, not trained here",
            "data": _DATA.format(_NAMES[scheme.name]) if scheme.name in _NAMES else _DATA.partition(";")[0],
            "kind": kind,
            "file": one_line(source.name, 200),
        },
        date=datetime.now(UTC).date().isoformat(),
        notes=f"Converted, not trained here. {found.notes}".strip(),
    )
    return card, list(expected)
