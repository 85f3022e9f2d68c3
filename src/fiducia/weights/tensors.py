"""The tensors of a safetensors file, once its header was found good."""

from __future__ import annotations

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..errors import FiduciaError
from ..words import one_line
from .header import Header

__all__ = ["read_tensors"]


def read_tensors(header: Header) -> dict[str, Tensor]:
    """Read the tensors of a file whose header was checked, onto the CPU.

    Raises:
        FiduciaError: types that no network here has, numbers that are not finite, or a file that changed meanwhile.
    """
    strange = next((k for k, v in header.tensors.items() if not v.usable), None)
    if strange is not None:
        kind = header.tensors[strange].dtype
        raise FiduciaError(
            f"{header.path}: tensor {one_line(strange, 80)} is of type {kind}, which no network here has"
        )
    try:
        with safe_open(str(header.path), framework="pt") as file:
            state = {key: file.get_tensor(key) for key in header.tensors}
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise FiduciaError(f"{header.path}: its tensors cannot be read ({one_line(error, 200)})") from error
    bad = next((k for k, v in state.items() if v.is_floating_point() and not bool(torch.isfinite(v).all())), None)
    if bad is not None:
        raise FiduciaError(
            f"{header.path}: tensor {one_line(bad, 80)} is not finite; the file is damaged or its training diverged"
        )
    return state
