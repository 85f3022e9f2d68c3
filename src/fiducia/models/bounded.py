"""Building networks that strangers describe: on a device that takes no memory, and only up to a size."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.modules import module as registration
from torch.overrides import TorchFunctionMode

from ..errors import FiduciaError

__all__ = ["MOST_NUMBERS", "MOST_PARTS", "TooLargeError", "without_memory"]

MOST_PARTS = 20_000
"""Parameters, buffers and modules of a network, together; the largest ones here have about 3,000."""
MOST_NUMBERS = 20_000_000_000
"""Elements of a network's parameters and buffers: 80 GB in float32."""


class TooLargeError(FiduciaError):
    """A network of absurd size, stopped while it was being described."""


class _SkipInit(TorchFunctionMode):
    """Leaves tensors uninitialised: on the device "meta" there are no values, and drawing them would import torch's compiler."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the tensor of an in-place initialisation as it is; everything else runs."""
        options = dict(kwargs or {})
        name = func.__name__
        tensor = args[0] if args else options.get("tensor")
        if name.endswith("_") and not name.endswith("__") and isinstance(tensor, torch.Tensor) and tensor.is_meta:
            return tensor
        return func(*args, **options)


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
        with torch.device("meta"), _SkipInit():
            yield
    finally:
        for handle in handles:
            handle.remove()
