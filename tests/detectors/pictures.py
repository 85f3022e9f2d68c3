"""Photographs for the detectors' tests, all made from the public-domain portrait in ``assets``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from fiducia.geometry import box_iou
from fiducia.images import read_image
from fiducia.structures import Detection

# The tight box of Eileen Collins's face from brow to chin, by eye, to a few pixels.
FACE = np.array([179.0, 92.0, 266.0, 176.0])
CENTRE = (FACE[:2] + FACE[2:]) / 2


@cache
def astronaut() -> np.ndarray:
    """Return the portrait, 512 x 512."""
    image = read_image(Path(__file__).parents[2] / "assets" / "astronaut.jpg")
    image.flags.writeable = False
    return image


def scaled(factor: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the portrait at another size, and its face."""
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    # Edges stay with edges: pixel p goes to (p + 0.5) * factor - 0.5.
    return cv2.resize(astronaut(), None, fx=factor, fy=factor, interpolation=how), (FACE + 0.5) * factor - 0.5


def on_canvas(image: np.ndarray, height: int, width: int, x: int, y: int) -> np.ndarray:
    canvas = np.full((height, width, 3), 90, np.uint8)
    canvas[y : y + image.shape[0], x : x + image.shape[1]] = image
    return canvas


def turned(degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the portrait turned clockwise about its face on a larger grey canvas, and the affine of its points."""
    affine = cv2.getRotationMatrix2D(tuple(CENTRE), -degrees, 1.0)
    affine[:, 2] += [300 - CENTRE[0], 300 - CENTRE[1]]
    return cv2.warpAffine(astronaut(), affine, (600, 600), borderValue=(90, 90, 90)), affine


def overlap(found: Sequence[Detection], box: np.ndarray) -> float:
    """Return the best IoU with a box."""
    return float(box_iou([box], [d.box for d in found]).max()) if found else 0.0


def same(a: Sequence[Detection], b: Sequence[Detection]) -> bool:
    """Return whether two answers are equal up to rounding in float32: OpenVINO and OpenCV add in another order."""
    return len(a) == len(b) and all(
        np.allclose(x.box, y.box, atol=0.02)
        and abs(x.score - y.score) < 1e-3
        and (x.points is None) == (y.points is None)
        and (x.points is None or y.points is None or np.allclose(x.points, y.points, atol=0.02))
        for x, y in zip(a, b, strict=True)
    )
