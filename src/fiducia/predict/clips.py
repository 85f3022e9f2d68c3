"""One video in, its files out: frame by frame, and playable up to where it was stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ..draw.faces import Style
from ..errors import FiduciaError, UsageError
from ..schemes.sets import Scheme
from ..video.loop import FaceTracker
from ..video.opening import open_video
from .inputs import identity
from .outputs import Origin, Writer
from .outputs.frames import Clip, FrameSink, FrameWriter

__all__ = ["ClipReport", "ClipRunner", "NoStop", "Stop", "video_writers", "write_clip"]


class Stop(Protocol):
    """A request to end, as the commands make it of Ctrl-C.

    Attributes:
        armed: the loop looks at ``signal`` after every frame.
        signal: the signal that came; 0 = none.
    """

    armed: bool
    signal: int


class NoStop:
    """No request ever comes."""

    def __init__(self) -> None:
        self.armed = False
        self.signal = 0


@dataclass(frozen=True)
class ClipReport:
    """What became of a video.

    Attributes:
        frames: number of frames that were written.
        faces: number of tracks.
        notes: what the user should know.
        written: the files, the video first.
        trouble: one line if the video ended too early, else empty.
    """

    frames: int
    faces: int
    notes: list[str] = field(default_factory=list)
    written: list[Path] = field(default_factory=list)
    trouble: str = ""


def video_writers(chosen: Sequence[Writer], source: str) -> list[FrameWriter]:
    """Return the formats that take videos, one for each ending of a file.

    Raises:
        FiduciaError: none of them does.
    """
    able: dict[str, FrameWriter] = {}
    for writer in chosen:
        if isinstance(writer, FrameWriter):
            able.setdefault(writer.video_suffix, writer)
    if not able:
        raise FiduciaError(
            f"{source}: a video, which none of the formats asked for holds; add mp4, jsonl or csv to --format"
        )
    return list(able.values())


def write_clip(
    clip: Clip, formats: Sequence[FrameWriter], follow: FaceTracker, stop: Stop, seconds: float | None = None
) -> ClipReport:
    """Follow the faces of a video and write its files.

    Args:
        clip: the video, of which no frame is read yet.
        formats: see :func:`video_writers`.
        follow: a tracker that has seen no frame.
        stop: a signal ends the work after the frame in hand; the files are whole up to there.
        seconds: stop after so many seconds of the video; None = at its end.

    Raises:
        FiduciaError: it cannot be read or written; no file is left.
    """
    sinks: list[FrameSink] = []
    ids: set[int] = set()
    frames, start = 0, 0.0
    keep = False
    stop.armed = True
    try:
        for writer in formats:
            sinks.append(writer.open_video(clip))
        for frame in follow.run(clip.video):
            start = frame.time if frames == 0 else start
            if seconds is not None and frame.time - start >= seconds:
                break
            for sink in sinks:
                sink.write(frame)
            ids.update(face.id for face in frame.faces)
            frames += 1
            if stop.signal:
                break
        keep = True
    except KeyboardInterrupt:
        keep = True
        raise
    finally:
        stop.armed = False
        written = _close(sinks, keep)
        clip.video.close()
    notes = [f"{frames} frame{'' if frames == 1 else 's'}"]
    if clip.video.skipped:
        notes.append(f"{clip.video.skipped} damaged skipped")
    notes += [note for sink in sinks for note in sink.notes]
    return ClipReport(frames, len(ids), notes, written, clip.video.trouble)


def _close(sinks: Sequence[FrameSink], keep: bool) -> list[Path]:
    """Finish or remove all files; after one that fails the others are removed."""
    written: list[Path] = []
    failure: FiduciaError | None = None
    for sink in sinks:
        try:
            path = sink.close(keep and failure is None)
        except FiduciaError as error:
            failure = error
        else:
            written += [path] if path is not None else []
    if failure is not None:
        for path in written:
            path.unlink(missing_ok=True)
        if keep:
            raise failure
    return sorted(written, key=lambda path: path.suffix != ".mp4")


@dataclass(frozen=True)
class ClipRunner:
    """Writes the files of one video after another; what is the same for all of a run.

    Attributes:
        folder: of the results.
        chosen: the formats.
        scheme: the landmark set of every face.
        origin: what made the points.
        originals: identities of the inputs, which are never written over.
        follow: gives a tracker that has seen no frame; None = the predictor takes photographs only.
        stop: a request to end.
        seconds: of each video, the first so many are read; None = all.
        max_pixels: videos of larger frames are refused.
        measures: add pose, distances and ratios of each face.
        style: how faces are drawn.
    """

    folder: Path
    chosen: Sequence[Writer]
    scheme: Scheme
    origin: Origin
    originals: set[str]
    follow: Callable[[], FaceTracker] | None
    stop: Stop
    seconds: float | None
    max_pixels: int
    measures: bool
    style: Style

    def __call__(self, source: str, stem: str) -> ClipReport:
        """Write the files of a video.

        Raises:
            FiduciaError: it cannot be read or written; no file is left.
        """
        if self.follow is None:
            raise FiduciaError(f"{source}: a video; this predictor takes photographs only")
        formats = video_writers(self.chosen, source)
        for suffix in (writer.video_suffix for writer in formats):
            for target in (self.folder / f"{stem}{suffix}", self.folder / f"{stem}.part{suffix}"):
                if identity(str(target)) in self.originals:
                    raise FiduciaError(f"{source}: its result {target} would replace an input; choose another --out")
        try:
            follow = self.follow()
            video = open_video(source, max_pixels=self.max_pixels)
            clip = Clip(source, stem, self.folder, self.scheme, self.origin, video, self.measures, self.style)
            return write_clip(clip, formats, follow, self.stop, self.seconds)
        except UsageError as error:
            # A package or a detector is missing for videos; the photographs are still read.
            raise FiduciaError(f"{source}: {error}") from None
