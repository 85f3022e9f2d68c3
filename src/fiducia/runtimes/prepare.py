"""A network in torch → a graph for another runtime, checked once against the network on drawn faces."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..data.synthetic.source import synthetic_face
from ..errors import FiduciaError
from ..exporting.certificate import LIMITS, compare
from ..exporting.sealed import Sealed
from ..geometry import box_to_crop, tight_box
from ..images import crop
from ..schemes.sets import Scheme
from ..structures import Runtime
from ..weights.card import WeightCard

if TYPE_CHECKING:
    from ..models.base import LandmarkModel

__all__ = ["HALF_LIMIT", "check_crops", "prepare"]

HALF_LIMIT = 0.0005
"""Mean distance from torch's points that arithmetic in bfloat16 may have, in sides of the crop: 0.064 pixels of 128."""
FACES = 6
"""Drawn faces of the check, a different angle and size each."""


def prepare(
    model: LandmarkModel,
    card: WeightCard,
    scheme: Scheme,
    method: str | None,
    graphs: Callable[[LandmarkModel, WeightCard, str | None], Iterable[Sealed]],
    read: Callable[[Sealed, Scheme], Runtime],
) -> tuple[Sealed, dict[str, Any]]:
    """Return the first graph whose points are the network's own, and the certificate of that.

    Args:
        model: the network.
        card: its card.
        scheme: its landmark set.
        method: the decoder; None = the card's, else the network's own.
        graphs: makes the graphs to try, the quickest first.
        read: opens a graph.

    Raises:
        FiduciaError: no graph is close enough, or none can be made; one line that says why.
    """
    from .torch_runtime import TorchRuntime

    crops = check_crops(card.size, card.scale)
    before = TorchRuntime(model, card, scheme, "cpu", method)(crops)
    reason = "no graph can be made"
    for sealed in graphs(model, card, method):
        runtime = read(sealed, scheme)
        # One face alone and several at once may be computed in different ways.
        single = [runtime(crops[i : i + 1]) for i in range(len(crops))]
        ways = [runtime(crops), (np.concatenate([p for p, _ in single]), np.concatenate([c for _, c in single]))]
        figures = [compare(_wide(before), _wide(after), np.zeros(0), None, scheme) for after in ways]
        mean = max(one["pixels_mean"] for one in figures)
        limit = HALF_LIMIT * card.size if sealed.precision == "bfloat16" else LIMITS["float32"][1]
        if mean <= limit:
            return sealed, {
                "passed": True,
                "pixels_mean": mean,
                "pixels_max": max(one["pixels_max"] for one in figures),
                "confidence_max": max(one["confidence_max"] for one in figures),
                "limit": {"figure": "pixels_mean", "at_most": limit},
                "faces": f"{len(crops)} drawn faces",
                "precision": sealed.precision,
                "weights": {"name": card.name, "sha256": card.sha256, "decode": sealed.card.decode, "size": card.size},
            }
        reason = f"its {sealed.precision} graph is {mean:.3g} pixels from torch's points, over the limit of {limit:.3g}"
    raise FiduciaError(f"{card.name}: {reason}")


def check_crops(size: int, scale: float) -> npt.NDArray[np.uint8]:
    """Return crops ``(N, 3, S, S)`` of drawn faces; the landmark set does not matter, only that they are faces."""
    crops = []
    for seed in range(FACES):
        image, xy, _ = synthetic_face(seed, size=256)
        crops.append(crop(image, box_to_crop(tight_box(xy), size, scale, 0.1 * (seed - 2)), size).transpose(2, 0, 1))
    return np.ascontiguousarray(np.stack(crops))


def _wide(found: tuple[Any, Any]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    return np.asarray(found[0], dtype=np.float64), np.asarray(found[1], dtype=np.float64)
