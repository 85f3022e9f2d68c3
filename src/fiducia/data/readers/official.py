"""What the readers of the published benchmarks share: faults gathered or raised, Matlab files, boxes, lost photographs."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import FiduciaError, UsageError
from ...structures import Record
from ..sizes import photo_size
from ..source import Fault

__all__ = [
    "IMAGES",
    "box_fault",
    "boxes_outside",
    "collect",
    "duplicates",
    "load_mat",
    "need",
    "photo_stem",
    "points_far_from_box",
    "shaped",
]

Array = npt.NDArray[np.float64]

IMAGES = (".jpg", ".jpeg", ".png")
"""Endings of the photographs of the benchmarks, the first where there are several."""
_FACE_NUMBER = re.compile(r"^(.*\d)_\d+$")


def photo_stem(stem: str) -> str:
    """Return what the faces of one photograph share: ``134212_2`` is the second face of ``134212``, ``image_0012`` is its own."""
    face = _FACE_NUMBER.match(stem)
    return stem if face is None else str(face[1])


def need(module: str, why: str) -> Any:
    """Import a package of the extra ``data``.

    Raises:
        UsageError: it is not installed; the line names the extra.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.split(".")[0]
        raise UsageError(f'{why} needs {package}, which is not installed; run: pip install "fiducia[data]"') from error


def collect(found: Iterable[Record | Fault], nothing: str) -> list[Record]:
    """Return the records of a scan; raise its first broken file, or ``nothing`` where there is no face at all.

    Raises:
        FiduciaError: as said.
    """
    records: list[Record] = []
    for item in found:
        if isinstance(item, Record):
            records.append(item)
        elif item.broken:
            raise FiduciaError(item.message)
    if not records:
        raise FiduciaError(nothing)
    return records


def load_mat(path: Path, wanted: Sequence[str], what: str) -> dict[str, Any]:
    """Read variables of a Matlab file of version 7 or older.

    Args:
        path: the file.
        wanted: variables that must be there; only they are read.
        what: what the file should be, for errors.

    Raises:
        UsageError: scipy is not installed.
        FiduciaError: missing or unreadable, of version 7.3 (HDF5), or without one of the variables.
    """
    io = need("scipy.io", f"{path}: reading a .mat file")
    if path.exists() and not path.is_file():
        raise FiduciaError(f"{path}: is no plain file; expected {what}; name a file")
    try:
        table: dict[str, Any] = io.loadmat(str(path), variable_names=list(wanted))
    except FileNotFoundError as error:
        raise FiduciaError(f"{path}: no such file; expected {what}") from error
    except NotImplementedError as error:
        raise FiduciaError(
            f"{path}: is a Matlab 7.3 (HDF5) file; expected {what}, version 5; take the file as published"
        ) from error
    # A damaged file makes scipy raise almost anything: ValueError, TypeError, zlib.error, KeyError, struct.error.
    except Exception as error:
        raise FiduciaError(
            f"{path}: cannot be read as a Matlab file ({error}); expected {what}; download it again"
        ) from error
    absent = [name for name in wanted if name not in table]
    if absent:
        try:
            there = ", ".join(row[0] for row in io.whosmat(str(path))[:8]) or "nothing"
        except Exception:
            there = "unreadable"
        raise FiduciaError(f"{path}: has no variable {absent[0]}, but {there}; expected {what}")
    return table


def shaped(path: Path, name: str, value: Any, shape: tuple[int | None, ...]) -> Array:
    """Return a Matlab variable as finite float64 of a shape, in which None takes any length.

    Raises:
        FiduciaError: it is of another kind or shape, or holds nan or infinity.
    """
    words = " x ".join("N" if n is None else str(n) for n in shape)
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise FiduciaError(f"{path}: {name} is no table of numbers; expected {words}; is it another file?") from error
    if array.ndim != len(shape) or any(n is not None and n != m for n, m in zip(shape, array.shape, strict=True)):
        found = " x ".join(str(n) for n in array.shape) or "a single value"
        raise FiduciaError(f"{path}: {name} is {found}, expected {words}; is it a .mat file of another data set?")
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        row = " of row " + str(int(bad[0][0]) + 1) if array.ndim > 1 else ""
        raise FiduciaError(f"{path}: {name}{row} holds nan or infinity; expected numbers; download the file again")
    return array


def box_fault(box: Array) -> str | None:
    """Return what is wrong with a box ``(x1, y1, x2, y2)`` in itself, or None."""
    if not np.isfinite(box).all():
        return f"the box {_numbers(box)} is not finite"
    if box[2] <= box[0] or box[3] <= box[1]:
        return f"the box {_numbers(box)} (x1 y1 x2 y2) has no area; are its columns in another order?"
    return None


def points_far_from_box(box: Array, xy: Array) -> bool:
    """Tell whether a box and the labelled points of its face do not meet at all."""
    known = xy[np.isfinite(xy).all(axis=1)]
    if not len(known):
        return False
    low, high = known.min(axis=0), known.max(axis=0)
    return bool((box[:2] > high).any() or (box[2:] < low).any())


def boxes_outside(found: Iterable[Record | Fault]) -> Iterator[Record | Fault]:
    """Pass a scan on, with a remark for each box that misses its photograph altogether; reads the photographs' heads."""
    sizes: dict[Path, tuple[int, int] | None] = {}
    for item in found:
        yield item
        if not isinstance(item, Record) or item.box is None:
            continue
        if item.image not in sizes:
            size_there = photo_size(item.image)
            sizes[item.image] = None if size_there is None else size_there.shown
        size = sizes[item.image]
        if size is not None:
            x1, y1, x2, y2 = item.box.tolist()
            if x2 < -0.5 or y2 < -0.5 or x1 > size[0] - 0.5 or y1 > size[1] - 0.5:
                yield Fault(
                    f"{item.image}: the box {_numbers(item.box)} of {item.id} lies outside of the "
                    f"{size[0]} x {size[1]} photograph; correct it, or take the crop from the landmarks",
                    broken=False,
                    kind="far-box",
                )


def duplicates(places: Mapping[str, Record], where: str) -> Iterator[Fault]:
    """Yield a remark for each face whose photograph and points stand in a list a second time.

    Args:
        places: ``line 3`` or ``face 3`` → the record that stands there.
        where: the list.
    """
    seen: dict[tuple[str, bytes], list[str]] = defaultdict(list)
    for place, record in places.items():
        seen[record.image.as_posix(), record.xy.tobytes()].append(place)
    for (image, _), twice in seen.items():
        if len(twice) > 1:
            message = f"{where}: {' and '.join(twice)} are the same face of {image}; leave one out"
            yield Fault(message, broken=False, kind="twin")


def _numbers(values: Array) -> str:
    return " ".join(f"{v:g}" for v in values.tolist())
