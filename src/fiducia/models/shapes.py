"""Networks without memory: their shapes alone, to check weights and recipes before anything is allocated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

__all__ = ["without_memory"]


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
def without_memory() -> Iterator[None]:
    """Build networks of shapes alone: parameters and buffers take no memory and have no values."""
    with torch.device("meta"), _SkipInit():
        yield
