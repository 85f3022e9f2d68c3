"""Checkpoints that a killed run continues from, bit for bit, and that are never half-written."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import torch

from ..errors import FiduciaError

__all__ = ["load_checkpoint", "save_checkpoint"]


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write ``state`` (tensors, numbers, strings, and lists and dictionaries of these) beside ``path``, then rename.

    A kill at any moment leaves the old checkpoint or the new one, never a part.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with beside.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU. Only tensors and plain values are unpickled, never code.

    Raises:
        FiduciaError: there is none, or it is damaged or holds anything but tensors and plain values.
    """
    if not path.is_file():
        raise FiduciaError(
            f"{path}: no checkpoint here; start the run without --resume, or name its directory with --out"
        )
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FiduciaError(
            f"{path}: not a readable checkpoint ({reason}); delete it and start the run again"
        ) from error
    if not isinstance(state, dict) or "format" not in state:
        raise FiduciaError(f"{path}: a torch file, but not a checkpoint of a fiducia run; name the run's own directory")
    return state
