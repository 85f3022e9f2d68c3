"""What the output formats do with a video: each frame is written as it comes, and nothing waits in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from ...draw.faces import Style
from ...schemes.sets import Scheme
from ...video.frames import Frame, Source, camera_number
from ...video.part import PartFile
from .base import Origin, face_table, in_folder

__all__ = ["Clip", "FrameSink", "FrameWriter", "TextSink", "frame_table"]


@dataclass(frozen=True, eq=False)
class Clip:
    """A video whose results are written.

    Attributes:
        source: what the user called it.
        stem: its results' file name without ending.
        folder: where results are written.
        scheme: the landmark set of every face.
        origin: what made the points.
        video: the source of its frames; none is read yet.
        measures: add each face's measures to its plain values.
        style: how faces are drawn.
    """

    source: str
    stem: str
    folder: Path
    scheme: Scheme
    origin: Origin
    video: Source
    measures: bool = False
    style: Style = field(default_factory=Style)

    @property
    def label(self) -> str:
        """What results call the video: its path from the folder of the results, or the camera."""
        is_camera = camera_number(self.source) is not None
        return self.video.name if is_camera else in_folder(self.source, self.folder)

    def path(self, suffix: str) -> Path:
        """Return the file of this video's results with this ending."""
        return self.folder / f"{self.stem}{suffix}"


class FrameSink(Protocol):
    """Takes the frames of one video.

    Attributes:
        notes: what the user should know of the file, such as that it has no sound.
    """

    notes: list[str]

    def write(self, frame: Frame) -> None:
        """Write a frame with its faces.

        Raises:
            FiduciaError: the disk is full.
        """
        ...

    def close(self, keep: bool) -> Path | None:
        """Finish the file and return it, or remove it; a video that was stopped is kept too."""
        ...


@runtime_checkable
class FrameWriter(Protocol):
    """An output format that takes videos; a :class:`fiducia.predict.outputs.Writer` that has these as well."""

    video_suffix: str
    """Ending of a video's file. Formats with one ending write one file."""

    def open_video(self, clip: Clip) -> FrameSink:
        """Return what writes the frames of a video."""
        ...


class TextSink:
    """Writes a text file, some lines a frame.

    Args:
        path: the file.
        lines: frame → its lines.
        head: what stands first.
    """

    def __init__(self, path: Path, lines: Callable[[Frame], str], head: str = "") -> None:
        self._part = PartFile(path)
        self._lines = lines
        self.notes: list[str] = []
        try:
            self._write(head)
        except BaseException:
            self._part.drop()
            raise

    def write(self, frame: Frame) -> None:
        """Write the lines of a frame."""
        self._write(self._lines(frame))

    def close(self, keep: bool) -> Path | None:
        """Finish the file, or remove it."""
        if keep:
            return self._part.keep()
        self._part.drop()
        return None

    def _write(self, text: str) -> None:
        self._part.write(text.encode("utf-8", "surrogateescape"))


def frame_table(frame: Frame, clip: Clip) -> dict[str, Any]:
    """Return a frame as plain values: video, frame, time, width, height, faces, and what made the points."""
    height, width = frame.image.shape[:2]
    return {
        "video": clip.label,
        "frame": frame.index,
        "time": round(frame.time, 6),
        "width": width,
        "height": height,
        "faces": [
            {**face_table(face), **({"measures": face.measures()} if clip.measures else {})} for face in frame.faces
        ],
        **clip.origin.facts(),
    }
