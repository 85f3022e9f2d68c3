"""Networks by name. Every one takes crops in [0, 255] and gives a :class:`fiducia.structures.ModelOutput`."""

from __future__ import annotations

from .build import build_model, models
from .count import count_gmac, count_parameters, describe_models

__all__ = ["build_model", "count_gmac", "count_parameters", "describe_models", "models"]
