"""Map cells → crop pixels: this package's rule, or that of the published checkpoints."""

from __future__ import annotations

from typing import Literal

from ..base import Options

__all__ = ["PixelOptions"]


class PixelOptions(Options):
    """How a network's map cells become crop pixels.

    Attributes:
        rule: ``cells`` is this package's convention: cell c of a map of side w is crop pixel ``(c + 0.5) * S / w - 0.5``.
            ``published`` is the rule that the published checkpoints were trained and measured with; each network's docstring
            says which. A converter sets it.
    """

    rule: Literal["cells", "published"] = "cells"

    @property
    def published(self) -> bool:
        """Whether the published rule holds."""
        return self.rule == "published"
