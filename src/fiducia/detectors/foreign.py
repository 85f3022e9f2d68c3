"""Boxes of other detectors, told by the attributes that their documentation names. None of them is imported.

=================================  ==========================================================================
``supervision.Detections``         ``xyxy (N, 4)``
``ultralytics`` Results            ``boxes.xyxy``; also a list with the Results of one image
``insightface`` faces              a list of objects with ``bbox (4,)``
``mediapipe`` Tasks                ``detections``, each with ``bounding_box``: origin_x, origin_y, width, height in pixels
``mediapipe`` solutions            ``detections``, each with ``location_data.relative_bounding_box``: shares of the image
dlib rectangles                    a list of objects with left(), top(), right(), bottom(), or with such a ``rect``
this package's                     a list of objects with ``box (4,)``: Detection, Face
a table                            rows x1 y1 x2 y2, as an array, a tensor or a list; further columns are left out
=================================  ==========================================================================

The numbers are taken as they are. Some programs count from the border of the first pixel and this one from its centre, which
is half a pixel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import UsageError

__all__ = ["boxes_from", "is_foreign"]

Array = npt.NDArray[np.float64]
_EXPECTED = (
    "expected rows x1 y1 x2 y2, or what supervision, ultralytics, insightface, mediapipe or dlib give for one image"
)
_SIDES = ("left", "top", "right", "bottom")


def boxes_from(found: Any, size: tuple[int, int] | None = None) -> Array:
    """Return the boxes of another detector's result for one image.

    Args:
        found: one of the kinds in the table above; None = no face.
        size: (width, height) of the image, for boxes that are shares of it.

    Returns:
        float64 ``(N, 4)`` x1 y1 x2 y2 in pixels, in the order of the result.

    Raises:
        UsageError: another kind of object, results of several images, or shares without ``size``.

    Example:
        >>> from types import SimpleNamespace
        >>> boxes_from([SimpleNamespace(bbox=[10, 20, 110, 140], det_score=0.9)])  # as insightface gives them
        array([[ 10.,  20., 110., 140.]])
    """
    if found is None:
        return np.empty((0, 4))
    if _has(found, "xyxy"):
        return _rows(found.xyxy, found)
    if _has(found, "boxes") and _has(found.boxes, "xyxy"):
        return _rows(found.boxes.xyxy, found)
    if _has(found, "detections"):
        return _table([_mediapipe(one, size) for one in found.detections or []])
    if is_foreign(found) and _has(found, "__len__") and not _has(found, "detach"):
        return _many(found, size)
    return _rows(found, found)


def is_foreign(found: Any) -> bool:
    """Tell whether an object is one of another detector (or a tensor), and no plain table of numbers."""
    if any(_has(found, name) for name in ("xyxy", "boxes", "detections", "detach")):
        return True
    # dlib's own lists have a length and places, and are no Sequence.
    if (
        isinstance(found, (str, bytes, np.ndarray, Mapping))
        or not _has(found, "__getitem__")
        or not _has(found, "__len__")
    ):
        return False
    if not len(found):
        return False
    first = next(iter(found))
    names = ("boxes", "bbox", "box", "location_data", "bounding_box", "rect", "left")
    return any(_has(first, name) for name in names)


def _many(found: Sequence[Any], size: tuple[int, int] | None) -> Array:
    """Return the boxes of a list whose members are faces, or the one result of one image."""
    first = next(iter(found))
    if _has(first, "boxes") and _has(first.boxes, "xyxy"):
        if len(found) > 1:
            raise UsageError(f"results of {len(found)} images; give the boxes of one image: results[0]")
        return _rows(first.boxes.xyxy, found)
    for name in ("bbox", "box"):
        if _has(first, name):
            return _table([np.asarray(getattr(one, name), dtype=np.float64).reshape(-1) for one in found])
    if _has(first, "location_data") or _has(first, "bounding_box"):
        return _table([_mediapipe(one, size) for one in found])
    rectangles = [one.rect if _has(one, "rect") else one for one in found]
    if all(_has(one, side) for one in rectangles for side in _SIDES):
        return _table([np.array([getattr(one, side)() for side in _SIDES], dtype=np.float64) for one in rectangles])
    return _rows(found, found)


def _mediapipe(one: Any, size: tuple[int, int] | None) -> Array:
    """Return one box of mediapipe, of its Tasks (pixels) or of its older solutions (shares of the image)."""
    if _has(one, "bounding_box"):
        box = one.bounding_box
        return np.array([box.origin_x, box.origin_y, box.origin_x + box.width, box.origin_y + box.height], np.float64)
    if _has(one, "location_data") and _has(one.location_data, "relative_bounding_box"):
        if size is None:
            raise UsageError(
                "mediapipe's boxes are shares of the image; give its size: boxes_from(found, (width, height))"
            )
        box = one.location_data.relative_bounding_box
        corners = np.array([box.xmin, box.ymin, box.xmin + box.width, box.ymin + box.height], np.float64)
        # Their shares run over the whole image; the first pixel's centre is 0 here.
        return corners * np.tile(np.array(size, np.float64), 2) - 0.5
    raise UsageError(f"a detection of type {type(one).__name__} without bounding_box; {_EXPECTED}")


def _rows(values: Any, found: Any) -> Array:
    """Return a table of numbers, which may be a tensor on any device."""
    for step in ("detach", "cpu", "numpy"):
        values = getattr(values, step)() if _has(values, step) else values
    try:
        table = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UsageError(f"boxes: found {_kind(found)}; {_EXPECTED}") from error
    if table.size == 0:
        return np.empty((0, 4))
    if table.ndim != 2 or table.shape[1] < 4:
        raise UsageError(f"boxes: found {_kind(found)} of shape {table.shape}; {_EXPECTED}")
    return table[:, :4]


def _table(rows: list[Array]) -> Array:
    return np.stack(rows) if rows else np.empty((0, 4))


def _kind(found: Any) -> str:
    inner = f" of {type(found[0]).__name__}" if isinstance(found, list | tuple) and found else ""
    return f"{type(found).__name__}{inner}"


def _has(value: Any, name: str) -> bool:
    return hasattr(value, name)
