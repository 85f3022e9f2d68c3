"""One frame of a video, and what a source of frames looks like."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..faces.face import Face
from ..images.sniff import kind_of_file

__all__ = ["SUFFIXES", "Frame", "Source", "camera_number", "is_video"]

SUFFIXES = frozenset(
    {
        ".mp4",
        ".m4v",
        ".mov",
        ".mkv",
        ".webm",
        ".avi",
        ".mpg",
        ".mpeg",
        ".m2ts",
        ".wmv",
        ".flv",
        ".3gp",
        ".ogv",
        ".mjpeg",
    }
)
"""What counts as a video inside a directory. A file that is named itself is recognised by its content too."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame.

    Attributes:
        index: its number, from 0; frames that cannot be decoded are not counted.
        time: when it is shown, in seconds as the file counts them; for a camera, seconds since the first frame.
        image: uint8 ``(H, W, 3)`` RGB, upright as the file's rotation says.
        pts: the same time as a whole number of ``time_base`` seconds, exact.
        time_base: see ``pts``.
        faces: the tracked faces; their ``id`` is the track's number.
        aspect: width of a pixel over its height as players show it; 1 but for anamorphic videos.
    """

    index: int
    time: float
    image: npt.NDArray[np.uint8]
    pts: int
    time_base: Fraction
    faces: Sequence[Face] = ()
    aspect: Fraction = Fraction(1)


class Source(Protocol):
    """A video file or a camera.

    Attributes:
        name: what the user called it.
        rate: frames per second, the mean where they vary.
        skipped: number of frames so far that could not be decoded.
        trouble: after the last frame: one line if it ended too early, else empty.
        packets: sound that was met since the packets were last taken; filled where ``sound`` is asked for.
    """

    name: str
    rate: Fraction
    skipped: int
    trouble: str
    packets: list[Any]

    @property
    def sound(self) -> Sequence[Any]:
        """Streams of sound that can be copied."""
        ...

    def __iter__(self) -> Iterator[Frame]:
        """Yield one frame after another; only one is in memory at a time."""
        ...

    def close(self) -> None:
        """Let go of the file or the camera."""
        ...


def camera_number(source: str) -> int | None:
    """Return the number of the camera that ``source`` means, or None: digits name a camera if no file has that name."""
    if source.isascii() and source.isdigit() and len(source) < 4 and not os.path.lexists(source):
        return int(source)
    return None


def is_video(source: str) -> bool:
    """Whether an input is a video or a camera, by its name or, where the name does not tell, by the start of the file."""
    suffix = Path(source).suffix.lower()
    if camera_number(source) is not None or suffix in SUFFIXES:
        return True
    if suffix in _STILLS:
        return False
    try:
        if not stat.S_ISREG(Path(source).stat().st_mode):
            return False
        with Path(source).open("rb") as file:
            head = file.read(4096)
    except (OSError, ValueError):
        return False
    return holds_video(head)


def holds_video(head: bytes) -> bool:
    """Whether a file that starts so is a video, whatever its name."""
    if head[4:8] == b"ftyp" and head[8:12] in _STILL_BRANDS:
        return False
    return kind_of_file(head).startswith(("a video", "an Ogg video"))


_STILLS = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".heic", ".heif", ".avif"}
"""Names that tell enough: such a file is not opened to see what it is."""
_STILL_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis", b"hevc", b"hevx"}
