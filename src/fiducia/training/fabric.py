"""Devices, precision and processes: one place that asks lightning-fabric for them."""

from __future__ import annotations

import ctypes
import os
import sys
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from lightning_fabric.strategies import DDPStrategy

from ..device import pick_device
from ..errors import UsageError
from ..recipes.sections import TrainConfig

__all__ = ["any_process", "keep_memory", "launch", "process_globals", "require_same"]

# malloc.h: M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


def launch(cfg: TrainConfig) -> Fabric:
    """Start (or join) the processes of a run.

    Under torchrun the launcher's own numbers count; else ``cfg.devices`` processes are started on this machine.

    Raises:
        UsageError: the batch cannot be shared out evenly, or the device is absent.
    """
    device = pick_device(cfg.device).type
    devices, nodes = cfg.devices, cfg.num_nodes
    if "TORCHELASTIC_RUN_ID" in os.environ:
        devices = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        nodes = int(os.environ.get("GROUP_WORLD_SIZE", "1"))
    world = devices * nodes
    if cfg.batch_size % world:
        raise UsageError(
            f"train.batch_size = {cfg.batch_size} cannot be shared by {world} processes; take a multiple of {world}"
        )
    if device == "cpu":
        keep_memory()
    fabric = Fabric(
        accelerator=device,
        devices=devices,
        num_nodes=nodes,
        # A loss need not use every head of a network.
        strategy=DDPStrategy(find_unused_parameters=True) if world > 1 else "auto",
        plugins=[] if cfg.precision == "32-true" else [_Mixed(cfg.precision, device)],
    )
    fabric.launch()
    return fabric


@contextmanager
def process_globals(cfg: TrainConfig) -> Iterator[None]:
    """Set torch's threads, determinism and random numbers for the time of a run, and put them back."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    with torch.random.fork_rng(devices=[]):
        try:
            if cfg.threads is not None:
                torch.set_num_threads(cfg.threads)
            torch.use_deterministic_algorithms(cfg.deterministic, warn_only=True)
            yield
        finally:
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)


def any_process(fabric: Fabric, here: bool) -> bool:
    """Whether something holds in any process of a run; all of them get the same answer."""
    if fabric.world_size == 1:
        return here
    return bool(torch.as_tensor(fabric.all_reduce(torch.tensor(float(here)), reduce_op="sum")) > 0)


def require_same(fabric: Fabric, facts: Mapping[str, str]) -> None:
    """Refuse a run whose processes differ, such as nodes with other versions or other files: they would train on nonsense.

    Args:
        fabric: of the launched processes; each calls this.
        facts: what must be the same everywhere, by name.

    Raises:
        UsageError: a fact is not the same in all processes; raised in all of them.
    """
    if fabric.world_size == 1:
        return
    own = torch.tensor([zlib.crc32(f"{name}={fact}".encode()) for name, fact in facts.items()])
    every = torch.as_tensor(fabric.all_gather(own.to(fabric.device))).reshape(fabric.world_size, -1).cpu()
    differ = [name for name, column in zip(facts, every.T, strict=True) if len(column.unique()) > 1]
    if differ:
        here = "; ".join(f"{name}: {facts[name]}" for name in differ)
        raise UsageError(
            f"the processes of this run differ in their {' and '.join(differ)} (process {fabric.global_rank} has {here}); "
            "every node needs the same versions, recipe and files"
        )


class _Mixed(MixedPrecision):
    """Autocast that leaves what it is given as it is: fabric's own would round points to bfloat16, half a pixel in 128."""

    def __init__(self, precision: Literal["16-mixed", "bf16-mixed"], device: str) -> None:
        super().__init__(precision, device)

    def convert_input(self, data: Any) -> Any:
        """Return the batch unchanged."""
        return data


def keep_memory() -> None:
    """Ask glibc to keep what is freed: handing large maps back to the system costs a CPU step up to a fifth of its time."""
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return
    mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    mallopt(_MMAP_THRESHOLD, 2**31 - 1)
