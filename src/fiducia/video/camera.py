"""A camera by its number, through OpenCV: PyAV's wheels come without the cameras of most systems."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import cv2
import numpy as np

from ..errors import FiduciaError
from .frames import Frame

__all__ = ["Camera"]

_BASE = Fraction(1, 1000)


class Camera:
    """Yields frames until the camera stops giving them; times are seconds since the first frame.

    Args:
        number: 0 is the first camera.

    Raises:
        FiduciaError: there is no such camera.
    """

    def __init__(self, number: int) -> None:
        self.name = f"camera {number}"
        self.skipped = 0
        self.trouble = ""
        self.sound: Sequence[Any] = ()
        self.packets: list[Any] = []
        logs: Any = cv2.utils.logging
        level = logs.getLogLevel()
        logs.setLogLevel(0)  # what OpenCV would say is said in one line below
        try:
            self._capture = cv2.VideoCapture(number)
        finally:
            logs.setLogLevel(level)
        if not self._capture.isOpened():
            raise FiduciaError(
                f"{self.name}: cannot be opened; is it connected, and free? Name a video file or another number"
            )
        # The newest frame counts, not those that waited while the last one was computed.
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        told = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate = Fraction(round(told)) if 1 <= told <= 1000 else Fraction(30)

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames."""
        start, last, index = 0.0, -1, 0
        while True:
            given, picture = self._capture.read()
            now = time.monotonic()
            if not given or picture is None:
                break
            start = now if index == 0 else start
            last = max(last + 1, round((now - start) / _BASE))
            image = np.ascontiguousarray(picture[..., ::-1]).astype(np.uint8, copy=False)
            yield Frame(index, float(last * _BASE), image, last, _BASE)
            index += 1
        if index == 0:
            raise FiduciaError(f"{self.name}: gives no picture; is another program using it?")
        self.trouble = (
            f"{self.name}: gave no more pictures after {float(last * _BASE):.1f} seconds; is it still connected?"
        )

    def close(self) -> None:
        """Let go of the camera."""
        self._capture.release()
