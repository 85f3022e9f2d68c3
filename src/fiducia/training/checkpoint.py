"""Checkpoints that a killed run continues from, bit for bit, and that are never half-written."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import torch

from ..errors import FiduciaError

__all__ = ["clean_leftovers", "load_checkpoint", "save_checkpoint"]


def clean_leftovers(folder: Path) -> int:
    """Delete half-written checkpoints of processes that are no more; return how many there were."""
    count = 0
    for path in folder.glob(".*.ckpt.*") if folder.is_dir() else ():
        number = path.name.rpartition(".")[2]
        if number.isdigit() and not _alive(int(number)):
            path.unlink(missing_ok=True)
            count += 1
    return count


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write ``state`` (tensors, numbers, strings, and lists and dictionaries of these) beside ``path``, then rename.

    A kill at any moment leaves the old checkpoint or the new one, never a part.

    Raises:
        FiduciaError: the disk is full, or the directory is gone.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with beside.open("wb") as file:
                torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
    except (OSError, RuntimeError) as error:
        # torch wraps a full disk in a RuntimeError.
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error).splitlines()[0]
        raise FiduciaError(
            f"{path}: the checkpoint cannot be written ({reason}); the one before is still whole"
        ) from None


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
