"""Where torch computes: cpu, cuda or mps."""

from __future__ import annotations

import torch

from .errors import UsageError

__all__ = ["pick_device"]


def pick_device(name: str) -> torch.device:
    """Return ``cpu``, ``cuda`` or ``mps``; ``auto`` takes the first that is there of cuda, mps, cpu.

    Raises:
        UsageError: an unknown name, or a device that this machine lacks.
    """
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
