"""No detector at all: the whole picture is one face."""

from __future__ import annotations

import numpy as np

from ..structures import Detection
from .base import Image, check_image
from .registry import detectors, no_file

__all__ = ["WholeImage"]


class WholeImage:
    """Takes the whole picture for one face: for pictures that are cut to a face already."""

    name = "whole"

    def __call__(self, image: Image) -> list[Detection]:
        """Return one box, the picture's edges, with score 1.

        Raises:
            FiduciaError: not a uint8 RGB image.
        """
        height, width = check_image(image).shape[:2]
        return [Detection(box=np.array([-0.5, -0.5, width - 0.5, height - 0.5]))]


@detectors.register("whole")
def _whole(file: str) -> WholeImage:
    """The whole picture is one face."""
    no_file("whole", file)
    return WholeImage()
