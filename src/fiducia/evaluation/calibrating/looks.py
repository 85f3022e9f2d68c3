"""Looks at a photograph that tell good answers from bad: the face as it is, worse, cut, in a wrong box, and no face at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ...geometry import affine_apply, box_iou, tight_box

__all__ = ["KINDS", "PLAIN", "Look", "draw_looks"]

Array = npt.NDArray[np.float64]
Image = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Look:
    """One box in one picture.

    Attributes:
        kind: one of :data:`KINDS`.
        image: uint8 ``(H, W, 3)`` RGB.
        box: ``(4,)`` x1 y1 x2 y2.
        truth: ``(K, 2)`` in the picture's pixels; nan = no such point; all nan = no face there.
        covered: bool ``(K,)``: points that something drawn hides.
    """

    kind: str
    image: Image
    box: Array
    truth: Array
    covered: npt.NDArray[np.bool_]


def _look(kind: str, image: Image, box: Array, truth: Array) -> Look:
    return Look(kind, image, box, truth, np.zeros(len(truth), dtype=bool))


def _hidden(rng: np.random.Generator, image: Image, box: Array, truth: Array) -> Look:
    """One or two rectangles of one colour or of noise over the face."""
    picture, side = image.copy(), float(np.sqrt(np.prod(box[2:] - box[:2])))
    covered = np.zeros(len(truth), dtype=bool)
    for _ in range(rng.integers(1, 3)):
        w, h = rng.uniform(0.25, 0.7, 2) * side
        x, y = rng.uniform(box[:2], box[2:])
        x1, y1, x2, y2 = (max(round(v), 0) for v in (x - w / 2, y - h / 2, x + w / 2, y + h / 2))
        patch = picture[y1:y2, x1:x2]
        colour = rng.integers(0, 256, 3) if rng.random() < 0.5 else rng.integers(0, 256, patch.shape)
        patch[:] = colour.astype(np.uint8)
        covered |= ((truth >= [x1, y1]) & (truth < [x2, y2])).all(axis=1)
    return Look("hidden", picture, _shaken(rng, box), truth, covered)


def _worse(rng: np.random.Generator, image: Image, box: Array, truth: Array) -> Look:
    """Blurred, dark with noise, or of a few pixels."""
    side = float(np.sqrt(np.prod(box[2:] - box[:2])))
    kind = rng.integers(3)
    if kind == 0:
        picture = cv2.GaussianBlur(image, (0, 0), max(side * rng.uniform(0.01, 0.06), 0.1))
    elif kind == 1:
        noise = rng.normal(0.0, 12.0, image.shape)
        picture = np.clip(image * rng.uniform(0.08, 0.4) + noise, 0, 255).astype(np.uint8)
    else:
        h, w = image.shape[:2]
        factor = min(1.0, rng.uniform(8, 24) / side)
        few = cv2.resize(image, (max(2, round(w * factor)), max(2, round(h * factor))), interpolation=cv2.INTER_AREA)
        picture = cv2.resize(few, (w, h), interpolation=cv2.INTER_LINEAR)
    return _look("worse", np.asarray(picture, dtype=np.uint8), _shaken(rng, box), truth)


def _turned(rng: np.random.Generator, image: Image, box: Array, truth: Array) -> Look:
    """Turned further than the training turns faces, in a box that does not say so."""
    x, y = (box[:2] + box[2:]) / 2
    turn = cv2.getRotationMatrix2D((float(x), float(y)), float(rng.uniform(30, 180) * rng.choice([-1, 1])), 1.0)
    picture = cv2.warpAffine(image, turn, (image.shape[1], image.shape[0]), flags=cv2.INTER_LINEAR)
    moved = affine_apply(turn, truth)
    return _look("turned", np.asarray(picture, dtype=np.uint8), _shaken(rng, tight_box(moved)), moved)


def _wrong_box(rng: np.random.Generator, image: Image, box: Array, truth: Array) -> Look:
    """A box that misses a large part of the face, or is much too large or too small."""
    return _look("wrong box", image, _shaken(rng, box, 0.25, 0.35), truth)


def _half(rng: np.random.Generator, image: Image, box: Array, truth: Array) -> Look | None:
    """A face that the picture's edge cuts."""
    cut = round(float((box[0] + box[2]) / 2 + rng.uniform(-0.2, 0.2) * (box[2] - box[0])))
    if not 4 < cut < image.shape[1] - 4:
        return None
    left = rng.random() < 0.5
    picture = image[:, :cut] if left else image[:, cut:]
    moved = np.array([0.0 if left else cut, 0.0])
    part = box - np.tile(moved, 2)
    part[[0, 2]] = np.clip(part[[0, 2]], 0, picture.shape[1] - 1)
    return _look("half", np.ascontiguousarray(picture), part, truth - moved) if part[2] - part[0] > 4 else None


def _background(rng: np.random.Generator, image: Image, box: Array, truth: Array) -> Look | None:
    """A place beside the face."""
    for _ in range(20):
        side = np.sqrt(np.prod(box[2:] - box[:2])) * rng.uniform(0.4, 1.2)
        middle = rng.uniform([0, 0], [image.shape[1], image.shape[0]])
        place = np.concatenate([middle - side / 2, middle + side / 2])
        if box_iou([place], [box])[0, 0] < 0.05:
            return _look("background", image, place, np.full_like(truth, np.nan))
    return None


_WORSE: tuple[Callable[[np.random.Generator, Image, Array, Array], Look], ...] = (_hidden, _worse, _turned, _wrong_box)
_NOT: tuple[Callable[[np.random.Generator, Image, Array, Array], Look | None], ...] = (_half, _background, _background)
KINDS = ("box", "hidden", "worse", "turned", "wrong box", "half", "background")
PLAIN = ("detected", "box", "hidden", "worse")
"""Kinds in a box as detectors give it."""


def draw_looks(rng: np.random.Generator, number: int, image: Image, truth: Array) -> list[Look]:
    """Return looks at one face: as it is, one that is worse, and one with half of it or none.

    Args:
        rng: what is drawn by.
        number: of the face, which chooses the kinds in turn.
        image: uint8 ``(H, W, 3)`` RGB.
        truth: ``(K, 2)`` in its pixels; nan = no such point.
    """
    box = tight_box(truth)
    looks = [
        _look("box", image, _shaken(rng, box), truth),
        _WORSE[number % len(_WORSE)](rng, image, box, truth),
        _NOT[number % len(_NOT)](rng, image, box, truth),
    ]
    return [look for look in looks if look is not None and _inside(look)]


def _shaken(rng: np.random.Generator, box: Array, shift: float = 0.03, size: float = 0.05) -> Array:
    """Return a box as a detector gives it: moved by ``shift`` of its side, and stretched by ``size``, one deviation each."""
    middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    middle = middle + rng.normal(0.0, shift, 2) * np.sqrt(np.prod(2 * half))
    half = half * np.exp(rng.normal(0.0, size))
    return np.concatenate([middle - half, middle + half])


def _inside(look: Look) -> bool:
    """Return whether a part of the box lies in the picture."""
    height, width = look.image.shape[:2]
    x1, y1, x2, y2 = look.box
    return bool(x1 < width - 1 and y1 < height - 1 and x2 > 0 and y2 > 0)
