"""Where torch computes: cpu, cuda or mps. Importing this module imports no torch."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import UsageError

if TYPE_CHECKING:
    import torch

__all__ = ["leave_group", "on_cpu", "own_group", "pick_device"]


def pick_device(name: str) -> torch.device:
    """Return ``cpu``, ``cuda`` or ``mps``; ``auto`` takes the first that is there of cuda, mps, cpu.

    Raises:
        UsageError: an unknown name, or a device that this machine lacks.
    """
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(device for device, here in there.items() if here))
    if name.partition(":")[0] not in there:
        raise UsageError(f"--device {name}: expected auto, cpu, cuda or mps")
    if not there[name.partition(":")[0]]:
        raise UsageError(f"--device {name}: torch finds no such device here; use --device auto")
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"--device {name}: expected auto, cpu, cuda or mps") from error


def on_cpu(name: str) -> bool:
    """Return whether a device's name means the CPU for a runtime that may choose; torch is imported only where it must be.

    ``auto`` means the CPU where torch finds no GPU of the CUDA or ROCm kind, so on Apple's machines too. A build of torch
    that has no such library finds none, and is not asked.

    Raises:
        UsageError: an unknown name, or a device that this machine lacks.
    """
    if name == "cpu":
        return True
    if name == "auto" and not _has_gpu_library():
        return True
    return pick_device(name).type == "cpu" or (name == "auto" and pick_device(name).type == "mps")


def leave_group() -> None:
    """Leave the group of processes that compute together, where this process is in one; call it when its work is done.

    Left to the interpreter's end, the group's threads aborted 2 of 50 processes after their work (torch 2.13, Gloo).
    """
    import torch

    if _in_group():
        torch.distributed.destroy_process_group()


@contextlib.contextmanager
def own_group() -> Iterator[None]:
    """Leave the group that is joined in this block at its end; a group that the caller had before stays as it is."""
    before = _in_group()
    try:
        yield
    finally:
        if not before:
            leave_group()


def _in_group() -> bool:
    import torch

    return torch.distributed.is_available() and torch.distributed.is_initialized()


def _has_gpu_library() -> bool:
    spec = importlib.util.find_spec("torch")
    folders = spec.submodule_search_locations if spec is not None else None
    return any(
        "torch_cuda" in path.name or "torch_hip" in path.name
        for folder in folders or ()
        for path in (Path(folder) / "lib").glob("*torch_*")
    )
