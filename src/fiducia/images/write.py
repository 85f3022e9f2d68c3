"""Pictures out: encoded as the suffix says, written as every output is (see :mod:`fiducia.files`)."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ..errors import FiduciaError, UsageError
from ..files import write_atomic

__all__ = ["write_image"]

# The longest side that a format or its encoder takes; beyond it OpenCV prints complaints.
_LONGEST = {".jpg": 65_500, ".jpeg": 65_500, ".webp": 16_383, ".png": 1_000_000}


def write_image(path: str | Path, rgb: npt.NDArray[np.uint8]) -> None:
    """Write uint8 ``(H, W, 3)`` RGB, atomically, as its suffix says (JPEG at quality 95, PNG, WebP, BMP, TIFF).

    Raises:
        UsageError: an unknown suffix, or an array of another shape or type.
        FiduciaError: the place cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"):
        raise UsageError(
            f"{path}: cannot write {suffix or 'a file without suffix'}; expected .jpg, .png, .webp, .bmp or .tiff"
        )
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.size == 0:
        raise UsageError(f"{path}: found {rgb.dtype} {rgb.shape}; expected uint8 (H, W, 3) RGB")
    if max(rgb.shape[:2]) > _LONGEST.get(suffix, _LONGEST[".png"]):
        raise FiduciaError(f"{path}: {rgb.shape[1]} x {rgb.shape[0]} pixels cannot be stored as {suffix}; shrink it")
    options = [cv2.IMWRITE_JPEG_QUALITY, 95] if suffix in (".jpg", ".jpeg") else []
    done, buffer = cv2.imencode(suffix, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise FiduciaError(f"{path}: cannot be stored as {suffix}; use .png")
    write_atomic(path, buffer.tobytes())
