"""One video in, its files out: frame by frame, and playable up to where it was stopped."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from ..errors import FiduciaError
from ..video.loop import FaceTracker
from .outputs import Writer
from .outputs.frames import Clip, FrameSink, FrameWriter

__all__ = ["ClipReport", "Stop", "stop_on_signals", "video_writers", "write_clip"]


@dataclass
class Stop:
    """A signal that came: 0 = none."""

    signal: int = 0


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
    try:
        sinks += [writer.open_video(clip) for writer in formats]
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


@contextlib.contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Turn the first Ctrl-C or SIGTERM into a request to stop; a second one acts as usual.

    Outside the main thread, signals are left alone.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, _: FrameType | None) -> None:
        stop.signal = number
        for each, handler in before.items():
            signal.signal(each, handler)

    for number in before:
        signal.signal(number, ask)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
