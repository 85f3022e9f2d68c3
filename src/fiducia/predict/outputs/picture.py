"""``--format png``: ``STEM.png``, the photograph with its faces drawn in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2

from ...draw.faces import draw_faces
from ...errors import FiduciaError
from ...schemes.sets import Scheme
from .base import Origin, Result, Table, writers


class Pictures:
    """Writes one annotated picture for each photograph."""

    def reserved(self) -> tuple[str, ...]:
        """Return no name: every file belongs to one photograph."""
        return ()

    def files(self, result: Result, stems: frozenset[str]) -> dict[Path, bytes]:
        """Return the one file.

        Raises:
            FiduciaError: the picture cannot be stored as PNG.
        """
        drawn = draw_faces(result.image, list(result.faces), result.style)
        done, buffer = cv2.imencode(".png", cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))
        if not done:
            raise FiduciaError(f"{result.source}: the annotated picture cannot be stored as PNG; leave png out")
        return {result.folder / f"{result.stem}.png": buffer.tobytes()}

    def close(self, folder: Path, scheme: Scheme, origin: Origin, tables: Callable[[], Iterator[Table]]) -> None:
        """Do nothing: all files are written."""


writers.register("png")(Pictures())
