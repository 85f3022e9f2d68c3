"""Networks by name, as in timm."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ..models.base import LandmarkModel
from ..models.build import build_model
from ..models.registry import models
from ..schemes.sets import Scheme, get_scheme
from .transfer import init_from

__all__ = ["create_model", "list_models"]


def list_models(pattern: str = "*") -> list[str]:
    """Return the names of the registered networks that match a glob pattern.

    Example:
        >>> list_models("fifa_*")
        ['fifa_base', 'fifa_lite', 'fifa_small', 'fifa_tiny']
    """
    return [name for name in models if fnmatchcase(name, pattern)]


def create_model(
    name: str,
    num_points: int = 68,
    *,
    size: int | None = None,
    scheme: str | Scheme | None = None,
    weights: str | Path | None = None,
    **options: Any,
) -> LandmarkModel:
    """Build a network with random or trained weights.

    Args:
        name: a registered network.
        num_points: K; ignored if ``scheme`` is given.
        size: side of the crops in pixels; None = the network's default.
        scheme: the landmark scheme: a name, or a Scheme.
        weights: a shipped name, a weight file or a run directory; the head is new if K differs.
        **options: the network's options; groups are tables.

    Raises:
        UsageError: an unknown name or option, or weights that do not fit.

    Example:
        >>> model = create_model("fifa_tiny", num_points=5)
        >>> model.num_points, model.size
        (5, 128)
    """
    landmarks = get_scheme(scheme) if isinstance(scheme, str) else scheme
    points = landmarks.num_points if landmarks is not None else num_points

    def twin(other: Scheme) -> LandmarkModel:
        return build_model(name, other.num_points, size, options=options, scheme=other)

    model = build_model(name, points, size, options=options, scheme=landmarks)
    if weights is not None:
        init_from(model, weights, kind=name, twin=twin)
    return model
