"""Augmentation: f_A1 (geometric and photometric), f_A2 = FiFA, and the views that a training run is fed with."""

from __future__ import annotations

from .fiducial import FiFA, patch_size

__all__ = ["FiFA", "patch_size"]
