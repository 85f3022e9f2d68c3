"""``--format png``: ``STEM.png``, the photograph with its faces drawn in; for a video ``STEM.mp4``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2

from ...draw.faces import draw_faces
from ...errors import FiduciaError
from ...schemes.sets import Scheme
from .annotated import open_annotated
from .base import Origin, Result, Table, writers
from .frames import Clip, FrameSink


class Pictures:
    """Writes one annotated picture for each photograph, and an annotated video for each video."""

    video_suffix = ".mp4"

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

    def open_video(self, clip: Clip) -> FrameSink:
        """Return what writes the annotated video."""
        return open_annotated(clip)

    def close(self, folder: Path, scheme: Scheme, origin: Origin, tables: Callable[[], Iterator[Table]]) -> None:
        """Do nothing: all files are written."""


writers.register("png")(Pictures())
