"""Boxes that the user gives: from a JSON file, or in the call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import numpy.typing as npt

from ..data.places import slashed
from ..data.values import read_json
from ..errors import FiduciaError, UsageError
from ..structures import Detection

__all__ = ["BoxesFile", "check_detections", "given_boxes", "inside"]


def given_boxes(boxes: Any, origin: str, scores: Sequence[float] | None = None) -> list[Detection]:
    """Check boxes ``(N, 4)`` in photograph pixels, and return them as detections in their order.

    Args:
        boxes: rows x1 y1 x2 y2; an empty list is no face.
        origin: what an error names, such as the photograph.
        scores: one a box; 1 where there are none.

    Raises:
        FiduciaError: not rows of four numbers, or a box that is not finite or has no area.
    """
    try:
        rows = [np.asarray(box, dtype=np.float64) for box in boxes]
    except (TypeError, ValueError):
        raise FiduciaError(f"{origin}: boxes must be rows of four numbers x1 y1 x2 y2; found {_short(boxes)}") from None
    found = []
    for i, row in enumerate(rows):
        if row.shape != (4,):
            raise FiduciaError(f"{origin}: box {i} must be four numbers x1 y1 x2 y2; found {_short(boxes[i])}")
        if not np.isfinite(row).all():
            raise FiduciaError(f"{origin}: box {i} is not finite: {row.tolist()}; leave such boxes out")
        if not (row[2] > row[0] and row[3] > row[1]):
            raise FiduciaError(
                f"{origin}: box {i} is inverted or empty: {row.tolist()}; expected x1 < x2 and y1 < y2 "
                "(corners, not width and height)"
            )
        found.append(Detection(box=row, score=1.0 if scores is None else float(scores[i]), given=True))
    return found


def check_detections(found: Sequence[Detection], origin: str) -> list[Detection]:
    """Check what a detector gave, which may be anyone's, and return it in its order.

    Args:
        found: its answer.
        origin: what an error names, such as the photograph and the detector.

    Raises:
        FiduciaError: a box that is not four finite numbers or has no area, points that are not five finite pairs, or a
            score that is no number.
    """
    given_boxes([d.box for d in found], origin)
    for i, detection in enumerate(found):
        points, own = detection.points, detection.own_box
        if points is not None and (np.shape(points) != (5, 2) or not np.isfinite(points).all()):
            raise FiduciaError(f"{origin}: face {i} must have five finite points or None; found {_short(points)}")
        if own is not None:
            given_boxes([own], f"{origin}: face {i}: own_box")
        if not np.isfinite(detection.score):
            raise FiduciaError(f"{origin}: face {i} has the score {detection.score}; expected a finite number")
    return list(found)


def inside(found: Sequence[Detection], image: npt.NDArray[np.uint8], origin: str) -> None:
    """Refuse a box that misses the photograph altogether, or is so large that no face could fill it.

    Raises:
        FiduciaError: such a box.
    """
    height, width = image.shape[:2]
    for i, detection in enumerate(found):
        x1, y1, x2, y2 = detection.box.tolist()
        if x2 <= -0.5 or y2 <= -0.5 or x1 >= width - 0.5 or y1 >= height - 0.5:
            raise FiduciaError(
                f"{origin}: box {i} {[x1, y1, x2, y2]} lies outside the {width} x {height} photograph; "
                "expected its own pixels, after EXIF rotation"
            )
        if max(x2 - x1, y2 - y1) > 100 * max(width, height):
            raise FiduciaError(
                f"{origin}: box {i} {[x1, y1, x2, y2]} is over 100 times the photograph; check its units"
            )


class BoxesFile:
    """Boxes by photograph, from a JSON file in one of two forms.

    Either ``{"image name": [[x1, y1, x2, y2], …], …}``, or what ``fiducia detect --format json`` writes: one object with
    ``image`` and ``faces``, or a list of such objects. A photograph is found by the path as given, then by its name
    alone.

    Raises:
        UsageError: missing, not JSON, of neither form, or a name twice. A box that is not finite or has no area is told
            by :meth:`lookup`, so that the other photographs are still done.
    """

    name = "boxes"

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            content = read_json(self.path, f"a JSON file of boxes, {_FORMS}")
        except FiduciaError as error:
            raise UsageError(f"--detector {error}") from None
        self.boxes: dict[str, list[Detection] | FiduciaError] = {}
        for key, rows, scores in _entries(content, path):
            if key in self.boxes:
                raise UsageError(f"--detector {path}: {key!r} stands there twice; join its boxes in one list")
            try:
                self.boxes[key] = given_boxes(rows, f"{path}: {key}", scores)
            except FiduciaError as error:
                self.boxes[key] = error
        self._by_name: dict[str, list[str]] = {}
        for key in self.boxes:
            self._by_name.setdefault(PurePath(slashed(key)).name, []).append(key)

    def lookup(self, source: str) -> list[Detection]:
        """Return the boxes of a photograph.

        Raises:
            FiduciaError: the file has none for it, or several photographs of that name; or one of them is not finite or
                has no area.
        """
        found = self.boxes[self._key(source)]
        if isinstance(found, FiduciaError):
            raise FiduciaError(str(found))
        return found

    def _key(self, source: str) -> str:
        for key in (source, PurePath(source).as_posix()):
            if key in self.boxes:
                return key
        written = [key for key in self.boxes if "\\" in key and slashed(key) == PurePath(source).as_posix()]
        if len(written) == 1:
            return written[0]
        keys = self._by_name.get(PurePath(source).name, [])
        if len(keys) > 1:
            raise FiduciaError(
                f"{source}: {self.path} has {len(keys)} photographs of that name; use the same paths in both"
            )
        if not keys:
            raise FiduciaError(
                f'{source}: {self.path} has no boxes for it; add "{PurePath(source).name}": [] for no face'
            )
        return keys[0]


_FORMS = '{"photo.jpg": [[x1, y1, x2, y2], ...]} or what detect --format json writes'


def _entries(content: Any, path: str | Path) -> list[tuple[str, Any, list[float] | None]]:
    """Return (photograph, boxes, scores) of either form."""
    if isinstance(content, dict) and not ("image" in content and "faces" in content):
        for key, rows in content.items():
            if not isinstance(rows, list):
                raise UsageError(f"--detector {path}: {key!r} holds {_short(rows)}; expected {_FORMS}")
        return [(key, rows, None) for key, rows in content.items()]
    objects = content if isinstance(content, list) else [content]
    entries: list[tuple[str, Any, list[float] | None]] = []
    for item in objects:
        try:
            faces = item["faces"]
            scores = [float(face.get("score", 1.0)) for face in faces]
            entries.append((str(item["image"]), [face["box"] for face in faces], scores))
        except (TypeError, KeyError, AttributeError, ValueError):
            raise UsageError(f"--detector {path}: found {_short(item)}; expected {_FORMS}") from None
    return entries


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
