"""Map cells → crop pixels, in this package's way and in that of the published checkpoints."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

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


def from_outer_edge(prediction: Prediction) -> Prediction:
    """Return a prediction by the rule of HRNet's and FAN's published evaluation.

    There the crop's outer edge, and not the centre of its first pixel, is 0: cell c is crop pixel ``(c + 0.5) * S / w``.

    Args:
        prediction: by the rule ``cells``.
    """
    return replace(prediction, points=prediction.points + 0.5)
