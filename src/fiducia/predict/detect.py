"""Photographs and videos in, files out: each stands and falls by itself, and a killed run can go on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import cv2

from ..errors import FiduciaError, Interrupted, UsageError
from ..files import write_atomic
from ..images import MAX_PIXELS
from ..schemes.sets import Scheme
from ..structures import Face
from ..video.frames import camera_number, is_video
from ..video.loop import FaceTracker
from ..video.opening import open_video
from .clips import stop_on_signals, video_writers, write_clip
from .following import Following
from .inputs import Photo, expand, identity, open_photo
from .outputs import Origin, Result, Writer, check_formats, result_table, writers
from .outputs.frames import Clip
from .streamed import Journal

__all__ = ["Finder", "Report", "detect_paths"]

_OWN_SUFFIXES = (".json", ".png", ".pts")
"""Endings of files that hold the results of one photograph."""
_VIDEO_SUFFIXES = (".jsonl", ".mp4", ".csv")
"""Endings of files that hold the results of one video."""
Progress = Callable[[str, "int | None", str], None]


class _HasScheme(Protocol):
    @property
    def scheme(self) -> Scheme: ...


class Finder(Protocol):
    """What :func:`detect_paths` asks of a predictor; :class:`fiducia.predict.predictor.Predictor` is one."""

    @property
    def runtime(self) -> _HasScheme:
        """What computes the points; its landmark set is that of every face."""
        ...

    def __call__(self, image: Photo) -> list[Face]:
        """Return the faces of a photograph, largest first."""
        ...


@dataclass(frozen=True)
class Report:
    """What became of the inputs.

    Attributes:
        done: names of the photographs and videos whose results are written.
        failed: (name, one-line message) of those that have none.
        written: every file of results, of an earlier part of the run too.
        skipped: names of inputs that an earlier part of the run has done.
    """

    done: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    written: list[Path] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def detect_paths(
    predictor: Finder,
    inputs: Sequence[str | Path],
    out: str | Path,
    formats: Sequence[str] = ("json", "png"),
    on_progress: Progress | None = None,
    origin: Origin | None = None,
    resume: bool = False,
    follow: Callable[[], FaceTracker] | None = None,
    seconds: float | None = None,
) -> Report:
    """Find the faces in photographs, videos and directories of them, and write what ``formats`` ask for into ``out``.

    ``json``, ``png`` and ``pts`` are written a photograph, ``OUT/STEM.json`` and so on (``.pts`` a face: ``STEM.pts``,
    ``STEM_1.pts``, …, with ``pts.json`` for all); ``csv`` and ``coco`` are one file for all, ``OUT/faces.csv`` and
    ``OUT/coco.json``, written at the end. Of a video ``png`` and ``mp4`` give the annotated video, ``OUT/STEM.mp4``,
    ``json`` and ``jsonl`` a line a frame, ``OUT/STEM.jsonl``, and ``csv`` a table of its own, ``OUT/STEM.csv``.
    Where two inputs have one stem, the second becomes ``STEM~2``.

    Args:
        predictor: what finds them.
        inputs: image files, videos, numbers of cameras, or directories that are searched to any depth.
        out: directory of the results, made where it is missing.
        formats: names of :data:`fiducia.predict.outputs.writers`.
        on_progress: called after each input with its name, its number of faces (None = failed), and the first file
            written or the error's line.
        origin: the weights, for the mark that these labels are machine-made.
        resume: skip what an earlier run into ``out`` with the same options has done before it was killed.
        follow: gives what follows the faces of a video; None = the predictor's own tracker.
        seconds: of each video, the first so many are read; None = all.

    Raises:
        UsageError: unknown format, ``out`` cannot be a directory, or a run of other options would go on.
        FiduciaError: ``out`` cannot be written into.
        Interrupted: a signal came while a video was written; its files are whole up to there.
    """
    formats = check_formats(formats)
    chosen = [writers[name] for name in formats]
    folder = _folder(out)
    say = on_progress or (lambda *_: None)
    sources, complaints = expand(inputs, folder)
    report = Report()
    for source, message in complaints:
        report.failed.append((source, message))
        say(source, None, message)
    originals = {identity(source) for source in sources}
    made = origin or Origin()
    scheme = predictor.runtime.scheme
    facts = {"weights": [made.weights, made.sha256], "scheme": scheme.name, "formats": list(formats)}
    journal = Journal(folder, facts, resume)
    stems = _stems(sources, [name for writer in chosen for name in writer.reserved()], journal.done)
    everyone = frozenset(stems.values())
    if follow is None and isinstance(predictor, Following):
        follow = predictor.tracker
    most = predictor.max_pixels if isinstance(predictor, Following) else MAX_PIXELS
    clips = _Clips(folder, chosen, scheme, made, originals, follow, seconds, most)
    finished = False
    try:
        for source in sources:
            if source in journal.done:
                report.skipped.append(source)
                continue
            try:
                if is_video(source):
                    clips(source, stems[source], report, journal, say)
                    continue
                photo = open_photo(source)
                result = Result(source, stems[source], photo.image, folder, predictor(photo), made)
                written = _write(result, chosen, everyone, originals)
            except (UsageError, Interrupted):
                raise
            except (FiduciaError, OSError, ValueError, RuntimeError, MemoryError, cv2.error) as error:
                message = _one_line(source, error)
                report.failed.append((source, message))
                say(source, None, message)
                continue
            journal.add({**result_table(result), "source": source, "stem": result.stem})
            report.done.append(source)
            report.written.extend(written)
            say(source, len(result.faces), str(written[0]) if written else "")
        for writer in chosen:
            writer.close(folder, scheme, made, journal.tables)
            report.written.extend(folder / name for name in writer.reserved())
        finished = True
    finally:
        journal.close(finished)
    return report


@dataclass(frozen=True)
class _Clips:
    """What is the same for all videos of a run."""

    folder: Path
    chosen: Sequence[Writer]
    scheme: Scheme
    origin: Origin
    originals: set[str]
    follow: Callable[[], FaceTracker] | None
    seconds: float | None
    max_pixels: int

    def __call__(self, source: str, stem: str, report: Report, journal: Journal, say: Progress) -> None:
        """Write the files of one video and report them.

        Raises:
            FiduciaError: it cannot be read or written; no file is left.
            Interrupted: a signal stopped it; its files are whole up to there.
        """
        if self.follow is None:
            raise FiduciaError(f"{source}: a video; this predictor takes photographs only")
        formats = video_writers(self.chosen, source)
        for suffix in (writer.video_suffix for writer in formats):
            for target in (self.folder / f"{stem}{suffix}", self.folder / f"{stem}.part{suffix}"):
                if identity(str(target)) in self.originals:
                    raise FiduciaError(f"{source}: its result {target} would replace an input; choose another --out")
        try:
            video = open_video(source, max_pixels=self.max_pixels)
        except UsageError as error:
            # A package is missing for this one video; the photographs are still read.
            raise FiduciaError(f"{source}: {error}") from None
        with stop_on_signals() as stop:
            clip = Clip(source, stem, self.folder, self.scheme, self.origin, video)
            done = write_clip(clip, formats, self.follow(), stop, self.seconds)
        report.written.extend(done.written)
        name = f"{source} ({', '.join(done.notes)})"
        if done.trouble:
            report.failed.append((source, done.trouble))
            say(source, None, f"{done.trouble}; results up to there are in {self.folder}")
            return
        say(name, done.faces, str(done.written[0]) if done.written else "")
        if stop.signal and camera_number(source) is None:
            text = f"{source}: stopped after {done.frames} frames; results up to there are in {self.folder}"
            raise Interrupted(text, 128 + stop.signal)
        journal.add({"source": source, "stem": stem, "frames": done.frames})
        report.done.append(source)


def _write(result: Result, chosen: Sequence[Writer], stems: frozenset[str], originals: set[str]) -> list[Path]:
    """Write one photograph's own files and return them, the picture first; nothing is written over an input."""
    files: dict[Path, bytes] = {}
    for writer in chosen:
        files |= writer.files(result, stems)
    targets = sorted(files, key=lambda path: path.suffix != ".png")
    for target in targets:
        if identity(str(target)) in originals:
            raise FiduciaError(f"{result.source}: its result {target} would replace an input; choose another --out")
    for target in targets:
        write_atomic(target, files[target])
    return targets


def _stems(sources: Sequence[str], tables: Sequence[str], done: Mapping[str, str]) -> dict[str, str]:
    """Return source → stem of its results; no two are alike, even where the file system ignores case.

    Args:
        sources: the photographs.
        tables: names of files that hold the results of all.
        done: source → stem of those that an earlier part of the run has written.
    """
    names = {source: _stem(source) for source in sources if source not in done}
    own = _OWN_SUFFIXES + (_VIDEO_SUFFIXES if any(map(is_video, names)) else ())
    taken = {Path(name).stem.casefold() for name in tables if Path(name).suffix in own}
    taken |= {stem.casefold() for stem in done.values()}
    reserved = {name.casefold() for name in names.values()}
    stems = dict(done)
    for source, name in names.items():
        stem, number = name, 1
        while stem.casefold() in taken or (number > 1 and stem.casefold() in reserved):
            number += 1
            stem = f"{name}~{number}"
        taken.add(stem.casefold())
        stems[source] = stem
    return stems


def _stem(source: str) -> str:
    number = camera_number(source)
    return Path(source).stem if number is None else f"camera{number}"


def _folder(out: str | Path) -> Path:
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {folder}: cannot be a folder ({error.strerror}); choose another") from None
    return folder


def _one_line(source: str, error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, MemoryError):
        text = "not enough memory for this photograph; reduce it"
    return text if source in text else f"{source}: {text}"
