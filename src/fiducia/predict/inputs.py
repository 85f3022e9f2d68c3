"""Whatever a user may call a photograph, as one: a path, a file's bytes, an array, a PIL image."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import FiduciaError
from ..images.pixels import read_image

__all__ = ["SUFFIXES", "Photo", "expand", "open_photo"]

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".pgm", ".ppm", ".pnm"}
)
"""What counts as a photograph inside a folder; a file that is named itself is tried whatever its suffix."""


@dataclass(frozen=True, eq=False)
class Photo:
    """A photograph: what to call it in errors and results, and uint8 ``(H, W, 3)`` RGB."""

    name: str
    image: npt.NDArray[np.uint8]


def open_photo(source: Any) -> Photo:
    """Read a photograph.

    Args:
        source: a path; a file's bytes; a uint8 RGB array ``(H, W, 3)`` (or RGBA, whose alpha is dropped, or grey
            ``(H, W)``); or a PIL image. EXIF orientation is applied to files and bytes; arrays and PIL images are taken as
            their pixels stand, so that results fit the object in the caller's hands.

    Raises:
        FiduciaError: it cannot be read, or is none of these.
    """
    if isinstance(source, (str, os.PathLike)):
        path = os.fspath(source)
        return Photo(str(path), read_image(path if isinstance(path, str) else os.fsdecode(path)))
    if isinstance(source, (bytes, bytearray, memoryview)):
        return Photo("image bytes", read_image(bytes(source)))
    if isinstance(source, np.ndarray):
        return Photo("array", _from_array(source, "array"))
    if hasattr(source, "convert") and hasattr(source, "mode"):
        return _from_pil(source)
    raise FiduciaError(
        f"found {type(source).__name__}; expected a path, a file's bytes, a uint8 (H, W, 3) RGB array or a PIL image"
    )


def _from_array(array: npt.NDArray[Any], name: str) -> npt.NDArray[np.uint8]:
    found = f"{name}: {array.dtype} of shape {array.shape}; expected uint8 (H, W, 3) RGB"
    if array.dtype != np.uint8:
        cure = "divide by 257" if array.dtype == np.uint16 else "scale to 0-255"
        raise FiduciaError(f"{found}; {cure} and convert with .astype(numpy.uint8)")
    if array.size == 0:
        raise FiduciaError(f"{found} with at least one pixel")
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim == 4:
        raise FiduciaError(f"{found}; pass several photographs as a list: list(array)")
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4):
        cure = "; transpose it: array.transpose(1, 2, 0)" if array.ndim == 3 and array.shape[0] in (1, 3, 4) else ""
        raise FiduciaError(found + cure)
    rgb = np.repeat(array, 3, axis=2) if array.shape[2] == 1 else array[..., :3]
    return np.ascontiguousarray(rgb)


def _from_pil(picture: Any) -> Photo:
    name = str(getattr(picture, "filename", "") or "PIL image")
    try:
        if picture.mode.startswith("I"):
            deep = np.asarray(picture).astype(np.int64)
            image = np.repeat(np.clip((deep + 128) // 257, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
        elif picture.mode == "F":
            raise FiduciaError(
                f"{name}: a PIL image of floats (mode F); expected 8 or 16 bits; scale it and convert('L')"
            )
        else:
            image = np.array(picture.convert("RGB"), dtype=np.uint8)
    except (OSError, ValueError) as error:
        raise FiduciaError(f"{name}: Pillow cannot decode it ({error}); export it again as PNG or JPEG") from error
    return Photo(name, _from_array(image, name))


def expand(inputs: Iterable[str | Path], out: Path) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the photographs that inputs stand for, each once, and (folder, complaint) for folders that hold none.

    Folders are searched to any depth, in sorted order, for :data:`SUFFIXES`; hidden files, and all that lies in the
    folder ``out`` (results of an earlier run), are passed over.
    """
    photos: dict[Path, str] = {}
    empty: list[tuple[str, str]] = []
    for entry in inputs:
        path = Path(entry)
        if not path.is_dir():
            photos.setdefault(path.resolve(), str(entry))
            continue
        inside = [p for p in sorted(path.rglob("*")) if _is_photo(p, path, out.resolve())]
        for p in inside:
            photos.setdefault(p.resolve(), str(p))
        if not inside:
            empty.append(
                (str(entry), f"{entry}: a folder without photographs; expected files such as .jpg or .png in it")
            )
    return list(photos.values()), empty


def _is_photo(path: Path, root: Path, out: Path) -> bool:
    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        return False
    if any(part.startswith(".") for part in path.relative_to(root).parts):
        return False
    # When the folder to search is itself the results' (or lies in it), the user asked for what is there.
    return root.resolve().is_relative_to(out) or not path.resolve().is_relative_to(out)
