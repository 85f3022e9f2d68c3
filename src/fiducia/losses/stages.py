"""Losses over a network's stages: the last one, the mean of several, or a sum with given weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

import torch
from pydantic import AfterValidator
from torch import Tensor

from ..errors import UsageError

__all__ = ["Stages", "at_least_single", "check_stages", "stage_mean", "stage_weights"]


def _known(which: Any) -> Any:
    check_stages(which)
    return which


Stages = Annotated[str | Sequence[float], AfterValidator(_known)]
"""``final``; ``all``: the mean over all; ``intermediate``: the mean over all but the final one; ``doubling``: the sum with
weights ..., 1/4, 1/2, 1 (ADNet, STAR); or weights, one a stage, whose weighted sum is taken (SLPT's [0.2, 0.3, 0.5])."""

_WORDS = ("final", "intermediate", "all", "doubling")

S = TypeVar("S")


def check_stages(which: Stages, error: type[Exception] = ValueError) -> None:
    """Check an option of the type :data:`Stages`; raise ``error`` at another word.

    Raises:
        ValueError: or the ``error`` that was given: another word.
    """
    if isinstance(which, str) and which not in _WORDS:
        raise error(f"stages is {', '.join(map(repr, _WORDS))} or one weight a stage; found {which!r}")


def stage_weights(which: Stages, count: int) -> list[float]:
    """Return the weight of each of ``count`` stages; those of weight 0 need not be computed.

    Raises:
        UsageError: an unknown word, or another number of weights than there are stages.
    """
    check_stages(which, UsageError)
    if isinstance(which, str):
        last, before = count - 1, max(count - 1, 1)
        rules: dict[str, Callable[[int], float]] = {
            "final": lambda i: float(i == last),
            "all": lambda i: 1.0 / count,
            "intermediate": lambda i: float(i < last) / before,
            "doubling": lambda i: 2.0 ** (i - last),
        }
        return [rules[which](i) for i in range(count)]
    if len(which) != count:
        raise UsageError(f"stages gives {len(which)} weights, but the network has {count} stages; give one a stage")
    return [float(weight) for weight in which]


def stage_mean(stages: Sequence[S], which: Stages, one: Callable[[S], Tensor]) -> Tensor:
    """Return a loss over the chosen stages of an output.

    Args:
        stages: one entry a stage, the final one last: tensors, or whatever ``one`` takes.
        which: the stages and their weights.
        one: the loss of one stage.

    Returns:
        the weighted sum; 0, with a gradient of 0, where no stage is chosen.
    """
    weights = stage_weights(which, len(stages))
    parts = [one(stage) * weight for stage, weight in zip(stages, weights, strict=True) if weight != 0.0]
    return torch.stack(parts).sum() if parts else one(stages[-1]) * 0.0


def at_least_single(x: Tensor) -> Tensor:
    """Return half precision as float32, and everything else as it is."""
    return x if x.dtype == torch.float64 else x.float()
