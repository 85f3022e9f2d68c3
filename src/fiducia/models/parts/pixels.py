"""Map cells → crop pixels, in this package's way and in that of the published checkpoints."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from ...structures import Prediction
from ..base import Options

__all__ = ["PixelOptions", "from_outer_edge"]


class PixelOptions(Options):
    """How a network's map cells become crop pixels.

    Attributes:
        rule: ``cells`` is this package's convention: cell c of a map of side w is crop pixel ``(c + 0.5) * S / w - 0.5``.
            ``published`` is the rule that the published checkpoints were trained and measured with; each network's page says
            which. A converter sets it. Use ``published`` only to read a converted checkpoint as it is: training from
            it moves its maps to this package's convention, hence with ``cells``.
    """

    rule: Literal["cells", "published"] = "cells"

    @property
    def published(self) -> bool:
        """Whether the published rule holds."""
        return self.rule == "published"


def from_outer_edge(prediction: Prediction, maps: Tensor, size: int) -> Prediction:
    """Return a prediction by the rule of HRNet's and FAN's published evaluation.

    There the crop's outer edge, and not the centre of its first pixel, is 0: cell c is crop pixel ``(c + 0.5) * S / w``. A
    map without a value above 0 puts its point half a cell outside the first cell, at ``-0.5 * S / w``.

    Args:
        prediction: by the rule ``cells``.
        maps: the linear maps ``(B, K, h, w)`` that it was read from.
        size: S, side of the crop in pixels.
    """
    empty = maps.detach().float().flatten(2).amax(-1, keepdim=True) <= 0
    outside = torch.full_like(prediction.points, -0.5 * size / maps.shape[-1])
    points = torch.where(empty, outside, prediction.points + 0.5)
    return Prediction(points=points, confidence=prediction.confidence, spread=prediction.spread)
