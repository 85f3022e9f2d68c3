"""Losses: coordinates, heatmaps, and the similarity of two views' features (DCCA and Table 6's alternatives)."""

from __future__ import annotations

from .objective import Objective
from .regression import coord_losses
from .similarity import similarities

__all__ = ["Objective", "coord_losses", "similarities"]
