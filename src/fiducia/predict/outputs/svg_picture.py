"""``--format svg``: ``STEM.svg``, the photograph with its faces drawn in, and the points' names on hover."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2

from ...draw.svg import faces_svg
from ...errors import FiduciaError
from ...schemes.sets import Scheme
from .base import Origin, Result, Table, writers

_QUALITY = 92


class SvgPictures:
    """Writes one SVG for each photograph. The photograph is inside, as a JPEG, so that the file stands alone."""

    def reserved(self) -> tuple[str, ...]:
        """Return no name: every file belongs to one photograph."""
        return ()

    def files(self, result: Result, stems: frozenset[str]) -> dict[Path, bytes]:
        """Return the one file.

        Raises:
            FiduciaError: the picture cannot be stored as JPEG.
        """
        height, width = result.image.shape[:2]
        bgr = cv2.cvtColor(result.image, cv2.COLOR_RGB2BGR)
        done, buffer = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        if not done:
            raise FiduciaError(f"{result.source}: the picture cannot be stored as JPEG; leave svg out")
        text = faces_svg(buffer.tobytes(), "jpeg", width, height, list(result.faces), result.style)
        return {result.folder / f"{result.stem}.svg": text.encode()}

    def close(self, folder: Path, scheme: Scheme, origin: Origin, tables: Callable[[], Iterator[Table]]) -> None:
        """Do nothing: all files are written."""


writers.register("svg")(SvgPictures())
