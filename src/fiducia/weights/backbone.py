"""Pre-trained encoders from local files: ViTs (CLIP, FaRL, timm), ResNets, EfficientNets; safetensors or plain ``.pth``."""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as to_bytes
from torch import Tensor

from ..errors import FiduciaError, UsageError
from ..files import write_atomic
from ..models.base import LandmarkModel
from ..models.parts.vit import ViT, resize_position
from ..words import one_line
from .header import read_header
from .pretrained import find_backbone
from .tensors import read_tensors

__all__ = ["convert_backbone", "left_over", "load_backbone", "read_state", "to_timm_names"]

_RENAMES = (
    (r"^conv1\.weight$", "patch_embed.proj.weight"),
    (r"^class_embedding$", "cls_token"),
    (r"^positional_embedding$", "pos_embed"),
    (r"^ln_pre\.", "norm_pre."),
    (r"^ln_post\.", "norm."),
    (r"^transformer\.resblocks\.(\d+)\.ln_1\.", r"blocks.\1.norm1."),
    (r"^transformer\.resblocks\.(\d+)\.ln_2\.", r"blocks.\1.norm2."),
    (r"^transformer\.resblocks\.(\d+)\.attn\.in_proj_(weight|bias)$", r"blocks.\1.attn.qkv.\2"),
    (r"^transformer\.resblocks\.(\d+)\.attn\.out_proj\.", r"blocks.\1.attn.proj."),
    (r"^transformer\.resblocks\.(\d+)\.mlp\.c_fc\.", r"blocks.\1.mlp.fc1."),
    (r"^transformer\.resblocks\.(\d+)\.mlp\.c_proj\.", r"blocks.\1.mlp.fc2."),
)
_WRAPPERS = ("state_dict", "model", "module")
_DEEPEST = 4
"""How many dictionaries of a checkpoint lie in one another at most."""
_WANTED = ("patch_embed.", "cls_token", "pos_embed", "norm_pre.", "blocks.")


def read_state(path: Path) -> dict[str, Tensor]:
    """Read a state dict; ``.pth`` files are unpickled as tensors and plain containers only.

    Raises:
        FiduciaError: absent, damaged, or holding anything that would have to be executed; or a tensor that is not finite.
    """
    if not path.is_file():
        raise FiduciaError(f"{path}: no such file; backbone weights are read from local files only")
    if path.suffix == ".safetensors":
        return read_tensors(read_header(path))
    try:
        with warnings.catch_warnings():
            # torch remarks on pickle protocols that it then reads or refuses all the same.
            warnings.simplefilter("ignore", UserWarning)
            found = torch.load(_stored(path), map_location="cpu", weights_only=True)
    except Exception as error:  # the file is a stranger's, and torch's reader has many kinds of errors
        # torch's own message on pickles is a page on how to trust them.
        pickled = isinstance(error, pickle.UnpicklingError)
        reason = "a pickle of more than tensors" if pickled else one_line(error, 120) or type(error).__name__
        raise FiduciaError(
            f"{path}: not a readable state dict ({reason}); expected safetensors, or a .pth of nothing but tensors"
        ) from error
    found = _unwrapped(found)
    tensors = {str(k): v for k, v in found.items() if isinstance(v, Tensor)} if isinstance(found, dict) else {}
    if not tensors and isinstance(found, dict):
        # A file of several networks, such as PFLD's: the key of each goes before the names of its tensors.
        parts = {part: inner for part, inner in found.items() if isinstance(inner, dict)}
        tensors = {f"{p}.{k}": v for p, inner in parts.items() for k, v in inner.items() if isinstance(v, Tensor)}
    if not tensors:
        raise FiduciaError(f"{path}: no tensors in it; expected a state dict")
    for name, tensor in tensors.items():
        problem = _problem(tensor)
        if problem:
            raise FiduciaError(f"{path}: tensor {one_line(name, 80)} {problem}; expected plain numbers")
    return tensors


def _unwrapped(found: Any) -> Any:
    """Return the state dict within a training checkpoint: under a usual key, or the only dictionary that holds tensors."""
    for _ in range(_DEEPEST):
        if not isinstance(found, dict) or _holds_tensors(found):
            break
        usual = [found[key] for key in _WRAPPERS if isinstance(found.get(key), dict)]
        inner = usual[:1] or [value for value in found.values() if _holds_tensors(value)]
        if len(inner) != 1:
            break
        found = inner[0]
    return found


def _holds_tensors(value: Any) -> bool:
    return isinstance(value, dict) and any(isinstance(inner, Tensor) for inner in value.values())


def _stored(path: Path) -> Path:
    """Return a file that torch may read: an archive's parts are stored as they are, so that none can swell when read.

    Raises:
        ValueError: a compressed archive.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist()):
                raise ValueError("a compressed archive, which torch does not write")
    return path


def _problem(tensor: Tensor) -> str:
    """Return what is wrong with a tensor of a stranger's file; empty where nothing is."""
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type != "cpu" or tensor.is_complex():
        return "is sparse, quantised, complex or without numbers"
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        # One number may be spread over any shape without taking memory, until it is copied.
        return f"has the shape {tuple(tensor.shape)} and fewer numbers than that"
    if tensor.is_floating_point() and not bool(torch.isfinite(tensor.float()).all()):
        return "is not finite"
    return ""


def to_timm_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename a CLIP or FaRL visual tower to timm's parameter names; timm's own pass through; the rest is dropped.

    CLIP keeps class and position embedding without a batch axis; timm has one.

    Raises:
        FiduciaError: an embedding without numbers.
    """
    state = {k.removeprefix("module."): v for k, v in state.items()}
    if any(k.startswith("visual.") for k in state):
        state = {k.removeprefix("visual."): v for k, v in state.items() if k.startswith("visual.")}
    renamed: dict[str, Tensor] = {}
    for key, tensor in state.items():
        name = key
        for pattern, target in _RENAMES:
            name = re.sub(pattern, target, name)
        if name in ("cls_token", "pos_embed"):
            if tensor.ndim == 0 or tensor.numel() == 0:
                raise FiduciaError(f"{one_line(key, 80)} has the shape {tuple(tensor.shape)}; expected embeddings")
            tensor = tensor.reshape(1, -1, tensor.shape[-1])
        if name.startswith(_WANTED):
            renamed[name] = tensor.float()
    return renamed


def load_backbone(model: LandmarkModel, path: Path) -> int:
    """Load pre-trained weights into a network's encoder.

    A ViT takes CLIP's, FaRL's and timm's names, and its position embedding is resized to its grid. Any other encoder takes its
    own names, which are torchvision's for ResNets, timm's for timm's and the published ones for EfficientNet-Lite. Parts that
    the encoder does not have, such as a classifier, are ignored; more tensors in a part that it has mean another network.

    Args:
        model: the network.
        path: a file, or a name of :data:`fiducia.weights.pretrained.PRETRAINED`.

    Returns:
        how many tensors were loaded: all of the encoder's.

    Raises:
        UsageError: the network has no encoder to load into.
        FiduciaError: unreadable, or of another width, depth or patch; nothing is loaded then.
    """
    encoder = model.encoder()
    if encoder is None:
        raise UsageError(
            "model.backbone_weights: this network has no encoder that pre-trained weights fit, such as a ViT with a patch "
            "embedding or a ResNet; leave the key out, or take another network (docs/training.md lists them)"
        )
    path = find_backbone(path)
    state = read_state(path)
    if isinstance(encoder, ViT):
        names = "a ViT with timm's, CLIP's or FaRL's parameter names"
        try:
            state = to_timm_names(state)
            if "pos_embed" in state:
                state["pos_embed"] = resize_position(state["pos_embed"], encoder.grid, encoder.prefix)
        except (FiduciaError, ValueError, TypeError, RuntimeError) as error:
            raise FiduciaError(f"{path}: {one_line(error, 200)}; expected {names}") from error
    else:
        state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
        names = "the encoder's own parameter names, as torchvision, timm or EfficientNet-Lite's authors write them"
    own = {name: tensor for name, tensor in encoder.state_dict().items() if not name.endswith("num_batches_tracked")}
    for name, tensor in own.items():
        if name not in state:
            raise FiduciaError(f"{path}: lacks {name}; expected {names}")
        if state[name].shape != tensor.shape:
            raise FiduciaError(
                f"{path}: {name} is {tuple(state[name].shape)}, the network's is {tuple(tensor.shape)}; set model.options to match"
            )
    # All that is left of a ViT's file counts: what else it may hold was dropped by name.
    parts = None if isinstance(encoder, ViT) else {name.partition(".")[0] for name in own}
    more = left_over(state, encoder.state_dict(), parts)
    if more:
        raise FiduciaError(
            f"{path}: has {one_line(more, 80)}, which the network's encoder does not have; the file is of a deeper or another "
            "network: set model.options to match"
        )
    encoder.load_state_dict({name: state[name] for name in own}, strict=False)
    return len(own)


def left_over(state: Iterable[str], own: Iterable[str], parts: Container[str] | None = None) -> str:
    """Return the first name of a file that its network does not have; empty where there is none.

    A deeper network's file holds all that a shallower one asks for: to take it without a word would load a part of it.

    Args:
        state: the file's names.
        own: the network's.
        parts: look only at names whose first word is one of these; None = at all.
    """
    known = set(own)
    return next((n for n in state if n not in known and (parts is None or n.partition(".")[0] in parts)), "")


def convert_backbone(source: Path, out: Path) -> int:
    """Write a foreign ViT state dict as safetensors with timm's names; return the number of tensors.

    Raises:
        FiduciaError: unreadable, or no ViT in it.
    """
    try:
        state = to_timm_names(read_state(source))
    except FiduciaError as error:
        raise FiduciaError(f"{source}: {str(error).removeprefix(f'{source}: ')}") from error
    if not any(k.startswith("blocks.") for k in state):
        raise FiduciaError(f"{source}: no transformer blocks under CLIP's, FaRL's or timm's names")
    write_atomic(out, to_bytes({k: v.clone().contiguous() for k, v in state.items()}))
    return len(state)
