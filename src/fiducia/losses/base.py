"""What a loss is: a module from a network's output and the targets of a batch to a scalar."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ..schemes.sets import Scheme
from ..structures import ModelOutput
from .targets import Targets

__all__ = ["FunctionTerm", "LossContext", "Term"]


@dataclass(frozen=True, kw_only=True)
class LossContext:
    """What a loss may know when it is built.

    Attributes:
        scheme: the landmark set.
        size: side of the crop in pixels.
        gives: what the network gives, see :meth:`fiducia.structures.ModelOutput.gives`.
        feature_channels: C of its features; 0 where it has none.
        stages: number of heatmap stages, or of point stages where there are no heatmaps.
    """

    scheme: Scheme
    size: int
    gives: frozenset[str]
    feature_channels: int = 0
    stages: int = 1

    @property
    def num_points(self) -> int:
        """K."""
        return self.scheme.num_points

    @classmethod
    def of(cls, output: ModelOutput, scheme: Scheme, size: int) -> LossContext:
        """Return the context of a network, from what it gave for some crop."""
        features = output.features
        return cls(
            scheme=scheme,
            size=size,
            gives=output.gives(),
            feature_channels=int(features.shape[1]) if features is not None else 0,
            stages=max(len(output.heatmaps), len(output.points), 1),
        )


class Term(nn.Module, ABC):
    """A loss with parameters or settings. Its options are the keyword-only arguments of its ``__init__``.

    Args:
        context: the landmark set and what the network gives.
    """

    def __init__(self, context: LossContext) -> None:
        super().__init__()
        self.context = context

    @abstractmethod
    def forward(self, output: ModelOutput, targets: Targets) -> Tensor:
        """Return the scalar to minimise, for ``N = B * V`` crops in the order ``b * V + v``."""


class FunctionTerm(Term):
    """A loss that is a plain function of ``(output, targets, **options)``."""

    def __init__(self, function: Callable[..., Tensor], options: Mapping[str, Any]) -> None:
        nn.Module.__init__(self)
        self.function = function
        self.options = dict(options)

    def forward(self, output: ModelOutput, targets: Targets) -> Tensor:
        """Return the function's value."""
        return self.function(output, targets, **self.options)
