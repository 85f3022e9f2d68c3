"""What the converters of published checkpoints share: reading K from a tensor, and naming what does not fit."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ..errors import FiduciaError

__all__ = ["SCHEMES", "require"]

SCHEMES: Mapping[int, str] = {98: "wflw98", 68: "ibug68", 29: "cofw29", 19: "aflw19"}
"""Number of points → the landmark set that the published checkpoints with so many points use."""


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
            f"not a checkpoint of {what}: no tensor {name!r} (the first one is {first!r}); give the network's state_dict, and "
            "the kind that it is of"
        )
    return found
