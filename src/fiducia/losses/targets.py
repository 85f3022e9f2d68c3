"""What the losses compare a network's output with: built from a batch, each form once and only when a loss asks for it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from ..heatmaps.encode import encode
from ..schemes.sets import Scheme
from ..structures import Batch
from .pooling import global_count

T = TypeVar("T")

__all__ = ["HeatmapTargets", "Targets"]


@dataclass(frozen=True, kw_only=True)
class HeatmapTargets:
    """How target heatmaps are drawn where a loss does not say otherwise; see :func:`fiducia.heatmaps.encode.encode`.

    Attributes:
        sigma: standard deviation in cells.
        radius: zero further away than this, in cells.
        quantize: round the centre to a cell first.
        norm: ``peak1`` or ``density``.
    """

    sigma: float = 1.5
    radius: float = 5.0
    quantize: bool = False
    norm: str = "peak1"


class Targets:
    """The truth of a batch, for ``N = B * V`` crops in the order ``b * V + v``.

    Which points a loss should see: :attr:`seen` for heatmaps, since a labelled point beyond the crop has an empty map;
    :meth:`on_map` for what cannot reach further than the centres of the border cells; :attr:`inside` for points in the crop.

    Args:
        batch: on the model's device.
        scheme: the landmark set.
        size: side of the crop in pixels.
        drawing: how heatmaps are drawn by default.
        supervise: with two views, ``"both"`` or ``"second"``: which of them carry the supervised losses.
        epoch: epochs done, counted in fractions, for losses that change in the course of a run.
        total_epochs: length of the run.

    Attributes:
        xy: ``(N, K, 2)`` crop pixels; nan = not labelled.
        labelled: bool ``(N, K)``.
        inside: bool ``(N, K)``: labelled, inside the crop, and of a supervised view.
        seen: bool ``(N, K)``: labelled and of a supervised view.
        visible: int8 ``(N, K)``: 2 visible, 1 occluded but located, 0 unlabelled.
        batch, scheme, size, views, epoch, total_epochs: as given.
        logs: values that are logged beside the losses.
    """

    def __init__(
        self,
        batch: Batch,
        scheme: Scheme,
        size: int,
        *,
        drawing: HeatmapTargets | None = None,
        supervise: str = "both",
        epoch: float = 0.0,
        total_epochs: float = 1.0,
    ) -> None:
        self.batch, self.scheme, self.size = batch, scheme, size
        self.drawing = drawing if drawing is not None else HeatmapTargets()
        self.views = batch.views
        self.epoch, self.total_epochs = epoch, total_epochs
        supervised = torch.ones(self.views, dtype=torch.bool, device=batch.xy.device)
        if self.views == 2 and supervise == "second":
            supervised[0] = False
        self.xy = batch.xy.flatten(0, 1)
        self.visible = batch.visible.flatten(0, 1)
        self.labelled = torch.isfinite(self.xy).all(-1)
        self.inside = (batch.mask & supervised[:, None]).flatten(0, 1)
        self.seen = (torch.isfinite(batch.xy).all(-1) & supervised[:, None]).flatten(0, 1)
        self.logs: dict[str, Tensor] = {}
        self._kept: dict[Hashable, Any] = {}

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what ``make`` gives, called only the first time that ``key`` is asked for in this batch."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def cells(self, side: int) -> Tensor:
        """Return the points ``(N, K, 2)`` in the cells of a map of a side; an integer is a cell's centre."""
        return self.once(("cells", side), lambda: (self.xy + 0.5) / (self.size / side) - 0.5)

    def on_map(self, side: int) -> Tensor:
        """Return bool ``(N, K)``: :attr:`inside`, and between the centres of the border cells of a map of a side."""
        cells = self.cells(side)
        return self.inside & ((cells >= 0) & (cells <= side - 1)).all(-1)

    def heatmaps(
        self,
        side: int,
        *,
        sigma: float | None = None,
        radius: float | None = None,
        quantize: bool | None = None,
        norm: str | None = None,
    ) -> Tensor:
        """Return truncated Gaussians ``(N, K, side, side)``; an unlabelled point has an empty map. None = the recipe's."""
        own = self.drawing
        options: dict[str, Any] = {
            "sigma": own.sigma if sigma is None else sigma,
            "radius": own.radius if radius is None else radius,
            "quantize": own.quantize if quantize is None else quantize,
            "norm": own.norm if norm is None else norm,
        }
        key = ("heatmaps", side, *options.values())
        return self.once(key, lambda: encode(self.cells(side), (side, side), **options))

    def mean(self, each: Tensor, where: Tensor) -> Tensor:
        """Return the mean of ``each (N, K)`` over the points of all processes where ``where (N, K)`` holds.

        What stands at other points, nan too, has no part in the value or the gradient.
        """
        kept = torch.where(where, each, torch.zeros_like(each))
        return kept.sum() / self.count(where, kept.dtype)

    def count(self, where: Tensor, dtype: torch.dtype) -> Tensor:
        """Return how many points ``where`` holds, the mean over processes: divide a sum by it for the global mean."""
        return global_count(where.sum().to(dtype))

    def log(self, name: str, value: Tensor) -> None:
        """Log a value beside the losses; it is not minimised."""
        self.logs[name] = value.detach()
