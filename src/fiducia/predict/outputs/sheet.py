"""``--format sheet``: ``sheet.jpg``, all photographs small on one sheet, with their faces; more follow on ``sheet~2.jpg``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from ...draw.pictures import draw_points
from ...draw.sheet import MOST, SIDE, faces_sheet, thumbnail
from ...errors import FiduciaError
from ...faces.face import Face
from ...files import write_atomic
from ...images import read_image
from ...schemes.sets import Scheme
from .base import Origin, Result, Table, writers

_LARGEST = 10**9
"""Pixels; what was read once for its faces is read again, whatever the limit was."""


class Sheets:
    """Writes contact sheets at the end; photographs are read again one by one, so that few are in memory."""

    def reserved(self) -> tuple[str, ...]:
        """Return the first sheet's name."""
        return ("sheet.jpg",)

    def files(self, result: Result, stems: frozenset[str]) -> dict[Path, bytes]:
        """Return nothing: no file belongs to one photograph."""
        return {}

    def close(self, folder: Path, scheme: Scheme, origin: Origin, tables: Callable[[], Iterator[Table]]) -> None:
        """Write the sheets.

        Raises:
            FiduciaError: a sheet cannot be stored as JPEG.
        """
        waiting = tables()
        number = 1
        page = list(islice(waiting, MOST))
        while page or number == 1:
            tiles = [_tile(table, folder, scheme) for table in page]
            sheet = faces_sheet(tiles, [_caption(table) for table in page])
            done, buffer = cv2.imencode(".jpg", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 90])
            name = "sheet.jpg" if number == 1 else f"sheet~{number}.jpg"
            if not done:
                raise FiduciaError(f"{folder / name}: the sheet cannot be stored as JPEG; leave sheet out")
            write_atomic(folder / name, buffer.tobytes())
            number += 1
            page = list(islice(waiting, MOST))


def _tile(table: Table, folder: Path, scheme: Scheme) -> np.ndarray:
    try:
        image = read_image(folder / str(table["image"]), max_pixels=_LARGEST)
    except FiduciaError:
        # It was moved or removed since its faces were found: an empty picture with a cross holds its place.
        side = SIDE
        corners = np.linspace(0.3, 0.7, 25)[:, None] * side
        cross = np.concatenate([np.tile(corners, 2), np.concatenate([corners, side - corners], axis=1)])
        return draw_points(np.full((side, side, 3), 225, np.uint8), cross, (150, 150, 150), 2.0)
    faces = [
        Face(
            xy=np.array(row["points"], np.float32).reshape(-1, 2),
            confidence=np.array(row["confidence"], np.float32),
            box=np.array(row["box"], np.float32),
            scheme=scheme,
            score=float(row["score"]),
            id=int(row["id"]),
            quality=row.get("quality"),
        )
        for row in table["faces"]
    ]
    return thumbnail(image, faces)


def _caption(table: Table) -> str:
    """Return a photograph's name, shortened in the middle, and its number of faces."""
    name = Path(str(table["image"])).name
    short = name if len(name) <= 22 else f"{name[:11]}..{name[-9:]}"
    return f"{short} ({len(table['faces'])})"


writers.register("sheet")(Sheets())
