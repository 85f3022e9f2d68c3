"""``--format aligned``: ``aligned/STEM.png``, ``aligned/STEM_1.png``, … a face, as face recognition wants them (112 x 112)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2

from ...schemes.sets import Scheme
from .base import Origin, Result, Table, writers
from .points import face_name

FOLDER = "aligned"


class AlignedCrops:
    """Writes a crop for each face, aligned by five points."""

    def reserved(self) -> tuple[str, ...]:
        """Return no name: every file belongs to one photograph."""
        return ()

    def files(self, result: Result, stems: frozenset[str]) -> dict[Path, bytes]:
        """Return one file a face."""
        files: dict[Path, bytes] = {}
        for face in result.faces:
            crop, _ = face.align(image=result.image)
            _, buffer = cv2.imencode(".png", cv2.cvtColor(crop, cv2.COLOR_RGB2BGR))
            files[result.folder / FOLDER / f"{face_name(result.stem, face.id, stems)}.png"] = buffer.tobytes()
        return files

    def close(self, folder: Path, scheme: Scheme, origin: Origin, tables: Callable[[], Iterator[Table]]) -> None:
        """Do nothing: all files are written."""


writers.register("aligned")(AlignedCrops())
