"""The photometric half of f_A1 (eq. 3): masking, occlusion, noise, gray, gamma and blur, in FaRL's order (Sect. 4, Table 5).

Everything works on uint8 crops ``(S, S, 3)`` and returns a new one or the same one, never changes its argument. Lengths
are shares of the crop's side, so a crop of 128 pixels is treated as the paper's of 512.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ..recipes.sections import AugmentConfig

Image = npt.NDArray[np.uint8]
Generator = np.random.Generator

__all__ = [
    "blur_kernel",
    "photometric",
    "random_blur",
    "random_gamma",
    "random_gray",
    "random_mask",
    "random_noise",
    "random_occlusion",
]

_LEVELS = np.arange(256) / 255.0
_SQRT: Image = np.rint(255.0 * np.sqrt(_LEVELS)).astype(np.uint8)
_SQUARE: Image = np.rint(255.0 * _LEVELS**2).astype(np.uint8)


def photometric(image: Image, rng: Generator, config: AugmentConfig) -> Image:
    """Draw one photometric f_A1: what is enabled, in FaRL's order.

    Args:
        image: uint8 ``(S, S, 3)`` RGB crop.
        rng: the face's generator.
        config: probabilities and switches.

    Returns:
        uint8 ``(S, S, 3)``; the same object where nothing fired.
    """
    if _fires(rng, config.random_mask):
        image = random_mask(image, rng)
    if _fires(rng, config.occlusion):
        image = random_occlusion(image, rng)
    if _fires(rng, config.noise):
        image = random_noise(image, rng)
    if _fires(rng, config.gray):
        image = random_gray(image)
    if config.gamma:
        image = random_gamma(image, rng)
    if config.blur:
        image = random_blur(image, rng, even=config.blur_even)
    return image


def _fires(rng: Generator, probability: float) -> bool:
    """Return whether something of a probability happens; draws even where it never does."""
    return bool(rng.random() < probability)


def random_mask(image: Image, rng: Generator) -> Image:
    """Black out one to four squares, each 5-20 % of the side wide: RM of Table 5 read as random *masking*.

    The paper says no more than the name; this is cut-out with a few squares. They are centred anywhere and clipped.
    """
    side = min(image.shape[:2])
    image = image.copy()
    for _ in range(int(rng.integers(1, 5))):
        half = rng.uniform(0.05, 0.2) * side / 2
        _black(image, rng, half, half)
    return image


def random_occlusion(image: Image, rng: Generator) -> Image:
    """Black out one rectangle (FaRL): height rh / 2 of the side, width rw / 2.

    rh ~ U(0.2, 0.8), rw = rh + U(-0.2, 0.2):
    10-40 % of the side high and 0-50 % wide, centred anywhere and clipped at the border.
    """
    rh = rng.uniform(0.2, 0.8)
    rw = rh + rng.uniform(-0.2, 0.2)
    height, width = image.shape[:2]
    image = image.copy()
    _black(image, rng, rw * width / 4, rh * height / 4)
    return image


def _black(image: Image, rng: Generator, half_width: float, half_height: float) -> None:
    """Black out a rectangle about a uniform centre, in place."""
    height, width = image.shape[:2]
    x, y = rng.uniform(0, width), rng.uniform(0, height)
    left, right = round(x - half_width), round(x + half_width)
    top, bottom = round(y - half_height), round(y + half_height)
    image[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = 0


def random_noise(image: Image, rng: Generator) -> Image:
    """Fuse with noise (FaRL): (1 - alpha) image + alpha U[0, 1] for every pixel and channel, alpha ~ U(0, 0.5)."""
    alpha = rng.uniform(0.0, 0.5)
    noise = np.frombuffer(rng.bytes(image.size), np.uint8).reshape(image.shape)
    return _u8(cv2.addWeighted(image, 1.0 - alpha, noise, alpha, 0.0))


def random_gray(image: Image) -> Image:
    """Replace the colours by luma (ITU-R 601) in three equal channels."""
    return _u8(cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB))


def random_gamma(image: Image, rng: Generator) -> Image:
    """Equal thirds (FaRL): sqrt(x), x or x^2 of values in [0, 1], by a table of 256 entries."""
    which = int(rng.integers(3))
    return image if which == 1 else _u8(cv2.LUT(image, _SQRT if which == 0 else _SQUARE))


def blur_kernel(u: float, side: int, *, even: bool = False) -> int:
    """Return the side of the box kernel in pixels for a draw u in [0, 1), 0 for none.

    FaRL takes k = int(512 u / 100) and blurs where k > 1; its even kernels shift the picture by half a pixel. Here the
    same draws fire at every size, and the kernel is k scaled to the crop, the next odd number and at least 3.

    Args:
        u: uniform in [0, 1).
        side: of the crop, in pixels.
        even: FaRL's own kernel, int(side u / 100) where that is above 1, even ones included.
    """
    if even:
        k = int(side * 0.01 * u)
        return k if k > 1 else 0
    k = int(512 * 0.01 * u)
    return max(3, 2 * int(k * side / 1024) + 1) if k > 1 else 0


def random_blur(image: Image, rng: Generator, *, even: bool = False) -> Image:
    """Blur by a box of :func:`blur_kernel`, u ~ U(0, 1); no blur in about two draws of five."""
    k = blur_kernel(rng.random(), max(image.shape[:2]), even=even)
    return _u8(cv2.blur(image, (k, k))) if k else image


def _u8(image: Any) -> Image:
    """State the type that OpenCV's stubs leave open."""
    return image
