"""Photographs in, files out: each photograph stands and falls by itself, and a killed run can go on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import cv2

from ..errors import FiduciaError, UsageError
from ..faces.face import Face
from ..files import write_atomic
from ..schemes.sets import Scheme
from .inputs import Photo, expand, identity, open_photo
from .outputs import Origin, Result, Writer, check_formats, result_table, writers
from .streamed import Journal

__all__ = ["Finder", "Report", "detect_paths"]

_OWN_SUFFIXES = (".json", ".png", ".pts")
"""Endings of files that hold the results of one photograph."""
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
        done: names of the photographs whose results are written.
        failed: (name, one-line message) of those that have none.
        written: every file of results, of an earlier part of the run too.
        skipped: names of photographs that an earlier part of the run has done.
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
    measures: bool = False,
) -> Report:
    """Find the faces in photographs and directories of them, and write what ``formats`` ask for into ``out``.

    ``json``, ``png`` and ``pts`` are written a photograph, ``OUT/STEM.json`` and so on (``.pts`` a face: ``STEM.pts``,
    ``STEM_1.pts``, …, with ``pts.json`` for all); ``csv`` and ``coco`` are one file for all, ``OUT/faces.csv`` and
    ``OUT/coco.json``, written at the end. Where two inputs have one stem, the second becomes ``STEM~2``.

    Args:
        predictor: what finds them.
        inputs: image files, or directories that are searched to any depth.
        out: directory of the results, made where it is missing.
        formats: names of :data:`fiducia.predict.outputs.writers`.
        on_progress: called after each input with its name, its number of faces (None = failed), and the first file
            written or the error's line.
        origin: the weights, for the mark that these labels are machine-made.
        resume: skip what an earlier run into ``out`` with the same options has done before it was killed.
        measures: add pose, distances and ratios of each face to ``json`` and ``csv``.

    Raises:
        UsageError: unknown format, ``out`` cannot be a directory, or a run of other options would go on.
        FiduciaError: ``out`` cannot be written into.
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
    facts: dict[str, object] = {"weights": [made.weights, made.sha256], "scheme": scheme.name, "formats": list(formats)}
    facts |= {"measures": True} if measures else {}
    journal = Journal(folder, facts, resume)
    stems = _stems(sources, [name for writer in chosen for name in writer.reserved()], journal.done)
    everyone = frozenset(stems.values())
    finished = False
    try:
        for source in sources:
            if source in journal.done:
                report.skipped.append(source)
                continue
            try:
                photo = open_photo(source)
                result = Result(source, stems[source], photo.image, folder, predictor(photo), made, measures)
                written = _write(result, chosen, everyone, originals)
            except UsageError:
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


def _stems(sources: Sequence[str], tables: Sequence[str], done: Mapping[str, str]) -> dict[str, str]:
    """Return source → stem of its results; no two are alike, even where the file system ignores case.

    Args:
        sources: the photographs.
        tables: names of files that hold the results of all.
        done: source → stem of those that an earlier part of the run has written.
    """
    names = {source: Path(source).stem for source in sources if source not in done}
    taken = {Path(name).stem.casefold() for name in tables if Path(name).suffix in _OWN_SUFFIXES}
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
