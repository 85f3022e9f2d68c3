"""One ``[[stage]]`` of a recipe, as it is written."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from .section import Section

__all__ = ["StageConfig"]


class StageConfig(Section):
    """What one leg of a run changes, ``[[stage]]``: tables as in the recipe, laid over it (:mod:`fiducia.recipes.stages`)."""

    data: dict[str, Any] = Field(default_factory=dict)
    """Of ``[data]``: size, scale, only, repeat, cache. Sources and the validation split are the run's."""
    augment: dict[str, Any] = Field(default_factory=dict)
    """Of ``[augment]``."""
    heatmap: dict[str, Any] = Field(default_factory=dict)
    """Of ``[heatmap]``."""
    loss: dict[str, Any] = Field(default_factory=dict)
    """Of ``[loss.NAME]``."""
    optim: dict[str, Any] = Field(default_factory=dict)
    """Of ``[optim]``; schedule and warm-up run over the stage."""
    train: dict[str, Any] = Field(default_factory=dict)
    """Of ``[train]``: epochs, batch_size, precision and the like."""
