"""Whatever a user may call a photograph, as one: a path, a file's bytes, an array, a PIL image."""

from __future__ import annotations

import os
import stat
import weakref
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import FiduciaError, UsageError
from ..images import MAX_PIXELS, Photo, read_photo
from ..images.colour import LAID_OVER_WHITE, see_through, to_rgb
from ..images.formats.base import as_array
from ..images.headers import is_image
from ..video.frames import SUFFIXES as VIDEO_SUFFIXES
from ..video.frames import Source, holds_video
from ..video.opening import open_video

__all__ = ["SUFFIXES", "Photo", "expand", "identity", "open_clip", "open_photo", "open_still"]

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".pbm", ".pgm", ".ppm", ".pnm"}
    | {".heic", ".heif", ".avif"}
)
"""What counts as a photograph inside a folder; a file that is named itself is tried whatever its suffix."""

_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def open_photo(source: Any, *, max_pixels: int = MAX_PIXELS) -> Photo:
    """Read a photograph.

    Args:
        source: a path; a file's bytes; a uint8 array ``(H, W, 3)`` RGB, ``(H, W, 4)`` RGBA or ``(H, W)`` grey; or a PIL
            image. What is transparent is laid over white. EXIF orientation is applied to files and bytes; arrays and PIL
            images are taken as their pixels stand, so that results fit the object in the caller's hands.
        max_pixels: larger files are refused (see :func:`fiducia.images.read_photo`).

    Raises:
        FiduciaError: it cannot be read, or is none of these.
    """
    try:
        if isinstance(source, (str, os.PathLike)):
            return read_photo(os.fsdecode(source), max_pixels=max_pixels)
        if isinstance(source, (bytes, bytearray, memoryview)):
            return read_photo(bytes(source), max_pixels=max_pixels)
    except UsageError as error:
        # A package is missing for this one photograph; in a folder the others are still read.
        raise FiduciaError(str(error)) from None
    if isinstance(source, np.ndarray):
        return _over_white("array", _from_array(source, "array"), _again(source))
    if hasattr(source, "convert") and hasattr(source, "mode"):
        return _from_pil(source)
    raise FiduciaError(
        f"found {type(source).__name__}; expected a path, a file's bytes, a uint8 (H, W, 3) RGB array or a PIL image"
    )


def open_still(source: Any, *, max_pixels: int = MAX_PIXELS) -> Photo:
    """Read a photograph for a call of a predictor; of a video the error says which call takes it.

    Raises:
        FiduciaError: as :func:`open_photo`.
    """
    try:
        return open_photo(source, max_pixels=max_pixels)
    except FiduciaError:
        if not holds_video(_head(source)):
            raise
    if isinstance(source, (str, os.PathLike)):
        name = os.fsdecode(source)
        raise FiduciaError(f"{name}: is a video, not a photograph; follow its faces with predictor.video({name!r})")
    raise FiduciaError(
        "image bytes: are a video, not a photograph; write them to a file, and follow its faces with predictor.video(FILE)"
    )


def open_clip(source: Any, *, rate: float = 30.0, max_pixels: int = MAX_PIXELS) -> Source:
    """Open a video for a predictor's ``video``; of a photograph the error says which call takes it.

    Raises:
        FiduciaError: as :func:`fiducia.video.opening.open_video`.
        UsageError: likewise.
    """
    try:
        return open_video(source, rate=rate, max_pixels=max_pixels)
    except FiduciaError:
        head = _head(source)
        if not is_image(head):
            raise
    moving = "; for all frames of an animation give .video their RGB arrays" if head[:4] in (b"GIF8", b"RIFF") else ""
    name = os.fsdecode(source)
    raise FiduciaError(
        f"{name}: is an image, not a video; for its faces call the predictor without .video, as predictor({name!r}){moving}"
    )


def _head(source: Any) -> bytes:
    """Return how a plain file or a file's bytes start; nothing where there is no such thing."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source[:4096])
    try:
        if not stat.S_ISREG(Path(source).stat().st_mode):
            return b""
        with Path(source).open("rb") as file:
            return file.read(4096)
    except (OSError, TypeError, ValueError):
        return b""


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
    return np.ascontiguousarray(array)


def _over_white(
    name: str, pixels: npt.NDArray[np.uint8], again: Callable[[], npt.NDArray[np.uint8] | None] | None
) -> Photo:
    return Photo(name, to_rgb(pixels), (LAID_OVER_WHITE,) if see_through(pixels) else (), again=again)


def _again(source: Any) -> Callable[[], npt.NDArray[np.uint8] | None]:
    """Return what makes the pixels of an array or a PIL image anew while the caller keeps it; it does not keep it alive."""
    kept, page = weakref.ref(source), _page(source)

    def make() -> npt.NDArray[np.uint8] | None:
        held = kept()
        # A PIL image of several pages may stand at another one by now.
        return None if held is None or _page(held) != page else open_photo(held).image

    return make


def _page(source: Any) -> int:
    return int(source.tell()) if hasattr(source, "tell") else 0


def _from_pil(picture: Any) -> Photo:
    name = str(getattr(picture, "filename", "") or "PIL image")
    try:
        if picture.mode.startswith("I"):
            deep = np.asarray(picture).astype(np.int64)
            pixels = np.clip((deep + 128) // 257, 0, 255).astype(np.uint8)
        elif picture.mode == "F":
            raise FiduciaError(
                f"{name}: a PIL image of floats (mode F); expected 8 or 16 bits; scale it and convert('L')"
            )
        else:
            pixels = as_array(picture)
    except (OSError, ValueError) as error:
        raise FiduciaError(f"{name}: Pillow cannot decode it ({error}); export it again as PNG or JPEG") from error
    if pixels.size == 0:
        raise FiduciaError(f"{name}: a PIL image of size {picture.size}; expected at least one pixel")
    return _over_white(name, pixels, _again(picture))


def expand(
    inputs: Iterable[str | Path], out: Path, also: frozenset[str] = frozenset()
) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the photographs and videos that inputs stand for, each once, and (name, complaint) for what cannot be used.

    Folders are searched to any depth, links to folders too, in sorted order, for :data:`SUFFIXES`, those of videos and ``also``;
    hidden files, and all that lies in the folder ``out`` (results of an earlier run), are left out. Complaints tell a
    folder without photographs or videos, a folder that may not be read, and a pipe, a device or a broken link that is
    named like a photograph.
    """
    photos: dict[str, str] = {}
    complaints: list[tuple[str, str]] = []
    for given in inputs:
        entry = os.fspath(given)
        if not _is_folder(entry):
            photos.setdefault(identity(entry), entry)
            continue
        inside: list[Path] = []
        before = len(complaints)
        for path, complaint in _search(entry, os.path.realpath(out), SUFFIXES | VIDEO_SUFFIXES | also):
            if complaint:
                complaints.append((path, f"{path}: {complaint}"))
            else:
                inside.append(Path(path))
        for photo in sorted(inside):
            photos.setdefault(identity(str(photo)), str(photo))
        if not inside and len(complaints) == before:
            text = "a folder without photographs or videos; expected files such as .jpg, .png or .mp4 in it"
            complaints.append((entry, f"{entry}: {text}"))
    return list(photos.values()), complaints


def identity(path: str) -> str:
    """Return what all names of one file share; any text has one, even a loop of links or a name that is too long."""
    try:
        return os.path.realpath(path)
    except (OSError, ValueError):
        return path


def _search(root: str, out: str, suffixes: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Yield (photograph, nothing) and (what is none, why) below a folder; a folder is entered once, whatever links there."""
    # When the folder to search is itself the results' (or lies in it), the user asked for what is there.
    results = None if _within(os.path.realpath(root), out) else out
    failed: list[OSError] = []
    seen: set[tuple[int, int]] = set()
    for folder, folders, names in os.walk(root, followlinks=True, onerror=failed.append):
        try:
            found = Path(folder).stat()
        except OSError as lost:
            failed.append(lost)
            folders.clear()
            continue
        if (found.st_dev, found.st_ino) in seen or (results and _within(os.path.realpath(folder), results)):
            folders.clear()
            continue
        seen.add((found.st_dev, found.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            path = Path(folder, name)
            if not name.startswith(".") and path.suffix.lower() in suffixes:
                yield str(path), _not_plain(path)
    for error in failed:
        yield str(error.filename or root), f"cannot be searched ({error.strerror or error}); check its permissions"


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _is_folder(path: str) -> bool:
    try:
        return stat.S_ISDIR(Path(path).stat().st_mode)
    except (OSError, ValueError):
        # Whatever is wrong with it is told when it is read.
        return False


def _not_plain(path: Path) -> str:
    """Return what a directory entry is when it is no plain file, or nothing."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return f"is no photograph ({error.strerror or error})"
    kind = next((name for test, name in _KINDS if test(mode)), "")
    return f"is {kind}, no photograph; name it alone if it should be read" if kind else ""
