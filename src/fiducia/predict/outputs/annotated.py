"""``--format mp4``: ``STEM.mp4`` for each video, with its faces drawn in and its sound."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from ...draw.faces import draw_faces
from ...schemes.sets import Scheme
from ...video.frames import Frame
from ...video.writer import VideoWriter
from .base import Origin, Result, Table, writers
from .frames import Clip, FrameSink

__all__ = ["AnnotatedVideos", "open_annotated"]


class AnnotatedVideos:
    """Writes annotated videos, and nothing for photographs."""

    video_suffix = ".mp4"
    videos_only = True

    def reserved(self) -> tuple[str, ...]:
        """Return no name: every file belongs to one video."""
        return ()

    def files(self, result: Result, stems: frozenset[str]) -> dict[Path, bytes]:
        """Return nothing: a photograph is no video."""
        return {}

    def open_video(self, clip: Clip) -> FrameSink:
        """Return what writes the annotated video."""
        return open_annotated(clip)

    def close(self, folder: Path, scheme: Scheme, origin: Origin, tables: Callable[[], Iterator[Table]]) -> None:
        """Do nothing: all files are written."""


class _Annotated:
    """Draws the faces of each frame and writes it at its own time, with the sound of the source."""

    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        self.notes: list[str] = []
        # A number that came and went with a second face would say nothing of the track.
        self._style = replace(clip.style, lone_number=True)
        self._sound = clip.video.sound  # asked for before the first frame is read
        self._writer: VideoWriter | None = None

    def write(self, frame: Frame) -> None:
        """Write a frame."""
        clip = self._clip
        if self._writer is None:
            height, width = frame.image.shape[:2]
            path, rate = clip.path(".mp4"), clip.video.rate
            self._writer = VideoWriter(path, width, height, rate, frame.time_base, self._sound, frame.aspect)
            self.notes += [f"without its sound, {name}, which MP4 does not hold" for name in self._writer.left_out]
        self._writer.write(draw_faces(frame.image, list(frame.faces), self._style), frame.pts, self._packets())

    def close(self, keep: bool) -> Path | None:
        """Finish the file, or remove it."""
        return None if self._writer is None else self._writer.close(keep, self._packets())

    def _packets(self) -> list[object]:
        """Take the sound that was read since the last frame."""
        waiting = self._clip.video.packets
        packets, waiting[:] = list(waiting), []
        return packets


def open_annotated(clip: Clip) -> FrameSink:
    """Return what writes ``STEM.mp4``."""
    return _Annotated(clip)


writers.register("mp4")(AnnotatedVideos())
