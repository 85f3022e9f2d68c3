"""A network that is exact: it finds four coloured discs, so that geometry can be checked to a fraction of a pixel."""

from __future__ import annotations

import cv2
import numpy as np

from fiducia.schemes.sets import Scheme, scheme_from_table

COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0))


class DotRuntime:
    """Finds red, green, blue and yellow; confidence is 1 where the colour is seen at all, and points are its centroid."""

    def __init__(self, size: int = 64) -> None:
        self.size = size
        self.scheme: Scheme = scheme_from_table({"name": "dots", "points": 4, "mirror": [[0, 1]], "edges": [[0, 1]]})
        self.batches: list[np.ndarray] = []

    def __call__(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert crops.dtype == np.uint8
        assert crops.shape[1:] == (3, self.size, self.size)
        assert crops.flags.c_contiguous
        self.batches.append(crops.copy())
        c = crops.astype(np.float64) / 255
        red, green, blue = c[:, 0], c[:, 1], c[:, 2]
        yellow = np.minimum(red, green)
        weights = np.stack([red - yellow, green - yellow, blue, yellow], axis=1)
        mass = weights.sum((-2, -1))
        grid = np.arange(self.size)
        x = (weights.sum(-2) * grid).sum(-1) / np.maximum(mass, 1e-9)
        y = (weights.sum(-1) * grid).sum(-1) / np.maximum(mass, 1e-9)
        return np.stack([x, y], -1).astype(np.float32), (mass > 0.5).astype(np.float32)


def draw_dots(size: tuple[int, int], faces: list[np.ndarray], radius: float = 6.0) -> np.ndarray:
    """Return a black photograph (height, width) with four discs a face, centred to 1/16 of a pixel."""
    image = np.zeros((*size, 3), np.uint8)
    for face in faces:
        for (x, y), colour in zip(face, COLOURS, strict=True):
            centre = (round(x * 16), round(y * 16))
            cv2.circle(image, centre, round(radius * 16), colour, -1, cv2.LINE_AA, 4)
    return image


def a_face(x: float, y: float, side: float) -> np.ndarray:
    """Return four points whose tight box starts at (x, y) and is ``side`` wide and high."""
    return np.array([[x, y], [x + side, y], [x, y + side], [x + side, y + side]])
