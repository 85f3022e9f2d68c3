"""Building networks that strangers describe: on a device that takes no memory, and only up to a size."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.modules import module as registration

from ..errors import FiduciaError

__all__ = ["MOST_NUMBERS", "MOST_PARTS", "TooLargeError", "without_memory"]

MOST_PARTS = 20_000
"""Parameters, buffers and modules of a network, together; the largest ones here have about 3,000."""
MOST_NUMBERS = 20_000_000_000
"""Elements of a network's parameters and buffers: 80 GB in float32."""


class TooLargeError(FiduciaError):
    """A network of absurd size, stopped while it was being described."""


@contextmanager
def without_memory(most_parts: int = MOST_PARTS, most_numbers: int = MOST_NUMBERS) -> Iterator[None]:
    """Build networks on torch's ``meta`` device, which knows shapes and takes no memory.

    Args:
        most_parts: a network of more parameters, buffers and modules is stopped.
        most_numbers: one with more elements, too.

    Raises:
        TooLargeError: from inside the block; one line without the name of what asked for the network.
    """
    owner = threading.get_ident()
    parts = numbers = 0

    def count(module: torch.nn.Module, name: str, part: Any) -> None:
        nonlocal parts, numbers
        # The hooks are torch's own for all threads.
        if threading.get_ident() != owner:
            return
        parts += 1
        numbers += part.numel() if isinstance(part, torch.Tensor) else 0
        if parts > most_parts:
            raise TooLargeError(f"it would have more than {most_parts:,} parameters, buffers and modules")
        if numbers > most_numbers:
            raise TooLargeError(f"it would have more than {most_numbers:,} numbers")

    handles = [
        registration.register_module_parameter_registration_hook(count),
        registration.register_module_buffer_registration_hook(count),
        registration.register_module_module_registration_hook(count),
    ]
    try:
        with torch.device("meta"):
            yield
    finally:
        for handle in handles:
            handle.remove()
