"""Whatever a user may call a video, as a source of frames."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..detectors.base import check_image
from ..errors import UsageError
from ..images import MAX_PIXELS
from .camera import Camera
from .frames import Frame, Source, camera_number
from .reader import VideoFile

__all__ = ["Pictures", "check_seconds", "open_video"]


_SLOWEST = 1e-5
"""Frames per second: about one a day."""


class Pictures:
    """A source of pictures that the caller has in hand.

    Args:
        images: uint8 ``(H, W, 3)`` RGB each.
        rate: frames per second.
    """

    def __init__(self, images: Iterable[npt.NDArray[np.uint8]], rate: float = 30.0) -> None:
        if not _SLOWEST <= rate < math.inf:
            raise UsageError(f"rate = {rate}; expected frames per second, {_SLOWEST:f} or more")
        self.name = "pictures"
        # Exact for 30000 / 1001, and for one picture in hours.
        self.rate = Fraction(rate).limit_denominator(1_000_000)
        self.skipped = 0
        self.trouble = ""
        self.sound: Sequence[Any] = ()
        self.packets: list[Any] = []
        self._images = images

    def __iter__(self) -> Iterator[Frame]:
        """Yield a frame for each picture."""
        base = 1 / self.rate
        for index, image in enumerate(self._images):
            yield Frame(index, float(index * base), check_image(image), index, base)

    def close(self) -> None:
        """Do nothing: the pictures are the caller's."""


def open_video(source: Any, *, rate: float = 30.0, max_pixels: int = MAX_PIXELS) -> Source:
    """Open a video.

    Args:
        source: a path, a camera's number (0, or ``"0"``), or pictures: uint8 ``(H, W, 3)`` RGB arrays.
        rate: frames per second of pictures.
        max_pixels: a video of larger frames is refused.

    Raises:
        FiduciaError: it cannot be read.
        UsageError: it is none of these, or PyAV is not installed.
    """
    if isinstance(source, bool):
        raise UsageError(f"found {source}; expected a path, a camera's number or pictures")
    if isinstance(source, int):
        return Camera(source)
    if isinstance(source, (str, Path)):
        text = os.fspath(source)
        number = camera_number(text)
        return VideoFile(text, max_pixels=max_pixels) if number is None else Camera(number)
    if isinstance(source, Iterable) and not isinstance(source, (bytes, bytearray)):
        return Pictures(source, rate)
    raise UsageError(
        f"found {type(source).__name__}; expected a path, a camera's number or pictures (uint8 RGB arrays)"
    )


def check_seconds(seconds: float | None) -> None:
    """Refuse a length of time that is none.

    Raises:
        UsageError: nan, infinite or below 0.
    """
    if seconds is not None and not 0 <= seconds < math.inf:
        raise UsageError(f"seconds = {seconds}; expected a number of 0 or more, or none for the whole video")
