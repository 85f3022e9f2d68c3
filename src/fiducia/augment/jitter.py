"""Two changes of a photograph that no point feels, for ``[[augment.extra]]``: another light or camera, and fewer pixels."""

from __future__ import annotations

from typing import Annotated

import cv2
import numpy as np
from pydantic import Field

from .registry import Image, Points, augmentations

__all__ = ["coarse", "colour"]

Share = Annotated[float, Field(ge=0.0, le=1.0)]


@augmentations.register("colour")
def colour(
    image: Image, xy: Points, rng: np.random.Generator, *, gain: Share = 0.25, lift: Share = 0.1
) -> tuple[Image, Points]:
    """Multiply every channel by a factor of its own and add one number to all.

    Args:
        image: uint8 ``(S, S, 3)`` RGB crop.
        xy: points, returned as they are.
        rng: of the view.
        gain: factors are uniform in 1 ± ``gain``.
        lift: the number is uniform in ± ``lift`` of the full range.
    """
    factors = 1.0 + rng.uniform(-gain, gain, 3)
    shift = 255.0 * rng.uniform(-lift, lift)
    tables = np.rint(np.clip(np.arange(256)[:, None] * factors + shift, 0.0, 255.0)).astype(np.uint8)
    changed: Image = np.asarray(cv2.LUT(image, tables[None]), dtype=np.uint8)
    return changed, xy


@augmentations.register("coarse")
def coarse(image: Image, xy: Points, rng: np.random.Generator, *, least: Share = 0.4) -> tuple[Image, Points]:
    """Shrink a crop by area averaging and enlarge it again bilinearly: a face with fewer pixels.

    Args:
        image: uint8 ``(S, S, 3)`` RGB crop.
        xy: points, returned as they are: both steps keep the crop's edges in place.
        rng: of the view.
        least: the smaller side is uniform in [``least``, 1] of the crop's.
    """
    side = image.shape[0]
    small = max(2, round(side * rng.uniform(least, 1.0)))
    shrunk = cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA)
    changed: Image = np.asarray(cv2.resize(shrunk, (side, side), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
    return changed, xy
