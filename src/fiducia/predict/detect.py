"""Photographs and videos in, files out: each stands and falls by itself, and a killed run can go on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import cv2

from ..draw.faces import Style
from ..errors import FiduciaError, Interrupted, PlaceLost, UsageError
from ..faces.face import Face
from ..files import write_atomic
from ..images import MAX_PIXELS
from ..schemes.sets import Scheme
from ..video.frames import camera_number, is_video
from ..video.loop import FaceTracker
from ..video.opening import check_seconds
from .batches import Found, enough
from .clips import ClipRunner, NoStop, Stop
from .following import Following
from .inputs import Photo, expand, identity, open_photo
from .naming import check_tables, result_stems
from .outputs import LineWriter, Origin, Result, Writer, check_formats, check_holds_photographs, result_table, writers
from .streamed import Journal, Streams
from .watcher import Watcher

__all__ = ["Finder", "Report", "Watcher", "detect_paths"]

_FAULTS = (FiduciaError, OSError, ValueError, RuntimeError, MemoryError, cv2.error)
"""What one photograph may fail with while the others are done."""


class _HasScheme(Protocol):
    @property
    def scheme(self) -> Scheme: ...


class Finder(Protocol):
    """What :func:`detect_paths` asks of a predictor; :class:`fiducia.predict.predictor.Predictor` is one."""

    batch_size: int

    @property
    def runtime(self) -> _HasScheme:
        """What computes the points; its landmark set is that of every face."""
        ...

    def find(self, image: Photo) -> Found:
        """Return the photograph and the boxes of its faces."""
        ...

    def predict(self, photos: Sequence[Found]) -> Sequence[Sequence[Face]]:
        """Return the faces of each photograph, best first."""
        ...


@dataclass(frozen=True)
class Report:
    """What became of the inputs.

    Attributes:
        done: names of the photographs and videos whose results are written.
        failed: (name, one-line message) of those that have none.
        written: every file of results that this run wrote.
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
    watcher: Watcher | None = None,
    origin: Origin | None = None,
    resume: bool = False,
    measures: bool = False,
    settings: Mapping[str, object] | None = None,
    max_pixels: int = MAX_PIXELS,
    style: Style | None = None,
    follow: Callable[[], FaceTracker] | None = None,
    seconds: float | None = None,
    stop: Stop | None = None,
) -> Report:
    """Find the faces in photographs, videos and directories of them, and write what ``formats`` ask for into ``out``.

    ``json``, ``png``, ``svg`` and ``pts`` are written a photograph, ``OUT/STEM.json`` and so on (``.pts`` a face: ``STEM.pts``,
    ``STEM_1.pts``, …, with ``pts.json`` for all); ``jsonl`` is one file that grows, ``OUT/faces.jsonl``; ``csv``,
    ``coco`` and ``sheet`` are one file for all, ``OUT/faces.csv``, ``OUT/coco.json`` and ``OUT/sheet.jpg``, written at the
    end. Where two inputs have one stem, the second becomes ``STEM~2``. Faces are computed in batches across photographs.
    Of a video ``png`` and ``mp4`` give the annotated video, ``OUT/STEM.mp4``, ``json`` and ``jsonl`` a line a frame,
    ``OUT/STEM.jsonl``, and ``csv`` a table of its own, ``OUT/STEM.csv``.
    Killed at any moment, the photographs that were written are whole, and ``resume`` does the others.

    Args:
        predictor: what finds them.
        inputs: image files, videos, numbers of cameras, or directories that are searched to any depth.
        out: directory of the results, made where it is missing.
        formats: names of :data:`fiducia.predict.outputs.writers`.
        watcher: hears of each input.
        origin: the weights, for the mark that these labels are machine-made.
        style: how faces are drawn; None = as :class:`fiducia.draw.faces.Style` says.
        resume: skip what an earlier run into ``out`` with the same options has done before it was killed.
        measures: add pose, distances and ratios of each face to ``json`` and ``csv``.
        settings: whatever else changes the results, such as the detector; a run that goes on must have the same.
        max_pixels: larger images are refused before memory is taken.
        follow: gives what follows the faces of a video; None = the predictor's own tracker.
        seconds: of each video, the first so many are read; None = all.
        stop: a request to end a video after the frame in hand; None = there is none.

    Raises:
        UsageError: unknown format, ``seconds`` that are none, ``out`` cannot be a directory, a table would replace an input,
            or a run of other options would go on.
        PlaceLost: the disk is full, or ``out`` was removed; what is written stays.
        Interrupted: a video was stopped; its files are whole up to there.
        FiduciaError: ``out`` cannot be written into.
    """
    formats = check_formats(formats)
    check_seconds(seconds)
    chosen = [writers[name] for name in formats]
    folder = _folder(out)
    watcher = watcher or Watcher()
    sources, complaints = expand(inputs, folder)
    report = Report()
    made = origin or Origin()
    scheme = predictor.runtime.scheme
    facts: dict[str, object] = {"weights": [made.weights, made.sha256], "scheme": scheme.name, "formats": list(formats)}
    originals = {identity(source) for source in sources}
    videos = frozenset(filter(is_video, sources))
    # Tables of photographs are written where there is one, or nothing at all.
    tables = [] if videos and len(videos) == len(sources) else chosen
    check_tables(folder, [name for writer in tables for name in writer.reserved()], originals)
    journal = Journal(folder, {**facts, "measures": measures, **(settings or {})}, resume)
    finished, streams = False, Streams(folder)
    try:
        streams.begin([writer for writer in tables if isinstance(writer, LineWriter)], journal.tables)
        stems = result_stems(sources, [name for writer in chosen for name in writer.reserved()], journal.done, videos)
        book = _Book(
            chosen,
            folder,
            made,
            stems,
            originals,
            journal,
            streams,
            measures,
            style or Style(),
        )
        todo = [source for source in sources if source not in journal.done]
        report.skipped.extend(source for source in sources if source in journal.done)
        watcher.planned(len(todo) + len(complaints), len(report.skipped))
        for source, message in complaints:
            _fail(report, watcher, source, message)
        waiting: list[tuple[str, Found]] = []
        if follow is None and isinstance(predictor, Following):
            follow = predictor.tracker
        clips = ClipRunner(
            *(folder, chosen, scheme, made, book.originals, follow, stop or NoStop(), seconds),
            *(max_pixels, measures, book.style),
        )
        for source in todo:
            if source in videos:
                _finish(predictor, waiting, book, report, watcher)
                waiting = []
                _video(clips, source, book, report, watcher)
                continue
            try:
                check_holds_photographs(chosen, source)
                photo = open_photo(source, max_pixels=max_pixels)
                for line in photo.remarks:
                    watcher.remark(source, line)
                waiting.append((source, predictor.find(photo)))
            except UsageError:
                raise
            except _FAULTS as error:
                _fail(report, watcher, source, _one_line(source, error))
            if enough([found for _, found in waiting], predictor.batch_size):
                _finish(predictor, waiting, book, report, watcher)
                waiting = []
        _finish(predictor, waiting, book, report, watcher)
        for writer in tables:
            writer.close(folder, scheme, made, journal.tables)
            report.written.extend(folder / name for name in writer.reserved())
        finished = True
    finally:
        streams.close()
        journal.close(finished)
    return report


@dataclass(frozen=True)
class _Book:
    """Where results go: the formats, the names, the journal."""

    chosen: Sequence[Writer]
    folder: Path
    origin: Origin
    stems: Mapping[str, str]
    originals: set[str]
    journal: Journal
    streams: Streams
    measures: bool
    style: Style
    everyone: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "everyone", frozenset(self.stems.values()))

    def write(self, source: str, photo: Photo, faces: Sequence[Face]) -> list[Path]:
        """Write one photograph's files, then its line in the journal: only then it counts as done."""
        self.journal.check()
        result = Result(
            source, self.stems[source], photo.image, self.folder, faces, self.origin, self.measures, self.style
        )
        written = _write(result, self.chosen, self.everyone, self.originals)
        table = result_table(result)
        self.streams.add(table)
        self.journal.add({**table, "input": source, "stem": result.stem})
        return written


def _finish(
    predictor: Finder, waiting: Sequence[tuple[str, Found]], book: _Book, report: Report, watcher: Watcher
) -> None:
    """Predict and write the photographs that wait; where one of a batch fails, each is tried by itself."""
    answers: Sequence[Sequence[Face]] | None = None
    if len(waiting) > 1:
        try:
            answers = predictor.predict([found for _, found in waiting])
        except UsageError:
            raise
        except _FAULTS:
            answers = None
    for number, (source, found) in enumerate(waiting):
        try:
            faces = answers[number] if answers is not None else predictor.predict([found])[0]
            written = book.write(source, found[0], faces)
        except (UsageError, PlaceLost):
            raise
        except _FAULTS as error:
            _fail(report, watcher, source, _one_line(source, error))
            continue
        report.done.append(source)
        report.written.extend(written)
        watcher.done(source, len(faces), str(written[0]) if written else "")


def _video(clips: ClipRunner, source: str, book: _Book, report: Report, watcher: Watcher) -> None:
    """Write the files of one video and report them.

    Raises:
        Interrupted: it was stopped; its files are whole up to there.
    """
    try:
        book.journal.check()
        done = clips(source, book.stems[source])
    except (UsageError, PlaceLost):
        raise
    except _FAULTS as error:
        _fail(report, watcher, source, _one_line(source, error))
        return
    report.written.extend(done.written)
    if done.trouble:
        _fail(report, watcher, source, f"{done.trouble}; results up to there are in {book.folder}")
        return
    watcher.done(f"{source} ({', '.join(done.notes)})", done.faces, str(done.written[0]) if done.written else "")
    signal, clips.stop.signal = clips.stop.signal, 0
    if signal and camera_number(source) is None:
        text = f"{source}: stopped after {done.frames} frames; results up to there are in {book.folder}"
        raise Interrupted(text, 128 + signal)
    book.journal.add({"input": source, "stem": book.stems[source], "frames": done.frames})
    report.done.append(source)


def _fail(report: Report, watcher: Watcher, source: str, message: str) -> None:
    report.failed.append((source, message))
    watcher.failed(source, message)


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
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(target, files[target])
    return targets


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
