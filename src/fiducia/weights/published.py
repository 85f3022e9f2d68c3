"""What the converters of published checkpoints share: reading K from a tensor, rewriting names, and naming what does not fit."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

from ..errors import FiduciaError

__all__ = ["SCHEMES", "Rule", "drop_unused_shortcuts", "hourglass_name", "require", "rewrite"]

SCHEMES: Mapping[int, str] = {98: "wflw98", 68: "ibug68", 29: "cofw29", 19: "aflw19"}
"""Number of points → the landmark set that the published checkpoints with so many points use."""

Rule = tuple[str, str | Callable[[re.Match[str]], str]]
"""A regular expression, and what stands in the place of its first match."""


def require(state: Mapping[str, Tensor], name: str, what: str) -> Tensor:
    """Return a tensor of a published ``state_dict``.

    Args:
        state: under the published names, with or without DataParallel's leading ``module.``.
        name: the tensor.
        what: the network, for the message.

    Raises:
        FiduciaError: there is no such tensor, so the file is of another network.
    """
    found = state.get(name, state.get(f"module.{name}"))
    if found is None:
        first = next(iter(state), "no tensor at all")
        raise FiduciaError(
            f"not a checkpoint of {what}: no tensor {name!r} (the first one is {first!r}); give the state_dict of this network, "
            "or the kind of checkpoint that it is"
        )
    return found


def rewrite(name: str, rules: Sequence[Rule]) -> str:
    """Return a tensor's name after all rules, applied in their order, each once."""
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name, count=1)
    return name


def hourglass_name(level: int, side: str, depth: int = 4) -> str:
    """Return a block's place in :class:`~fiducia.models.parts.plain_hourglass.PlainHourglass`, with the dot behind it.

    Args:
        level: as the published names count: ``depth`` is the outermost.
        side: ``"1"`` on the skip, ``"2"`` before and ``"3"`` after the next level; ``"centre"`` the block at the lowest level.
        depth: of the hourglass.
    """
    if side == "centre":
        return "inner." * depth
    return "inner." * (depth - level) + {"1": "skip.", "2": "before.", "3": "after."}[side]


def drop_unused_shortcuts(state: Mapping[str, Tensor], part: str = "skip_layer") -> dict[str, Tensor]:
    """Return a ``state_dict`` without the shortcuts of residual blocks whose number of channels does not change.

    HIH, ADNet and STAR register a convolution there and never use it.

    Args:
        state: under the published names.
        part: the shortcut's name within its block.
    """
    unused = tuple(
        name.removesuffix("conv.weight")
        for name, tensor in state.items()
        if name.endswith(f".{part}.conv.weight") and tensor.shape[0] == tensor.shape[1]
    )
    return {name: tensor for name, tensor in state.items() if not (unused and name.startswith(unused))}
