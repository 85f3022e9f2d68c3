"""Results on disk: JSON, an annotated picture, .pts, CSV and COCO; each input stands and falls by itself."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2

from ..data.formats.pts import pts_text
from ..draw.pictures import draw_faces
from ..errors import FiduciaError, UsageError
from ..files import write_atomic
from ..images.pixels import write_image
from ..registry import did_you_mean
from ..schemes.sets import Scheme
from ..structures import Face
from .inputs import Photo, expand, open_photo
from .predictor import Predictor

__all__ = ["FORMATS", "Report", "check_formats", "coco_table", "csv_text", "detect_paths", "face_table"]

FORMATS = ("json", "png", "pts", "csv", "coco")
CSV_NAME, COCO_NAME = "faces.csv", "coco.json"

Progress = Callable[[str, "int | None", str], None]


@dataclass(frozen=True)
class Report:
    """What became of the inputs: ``done`` names, ``failed`` (name, one-line message), and every file ``written``."""

    done: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    written: list[Path] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class _Result:
    """A finished photograph, kept for the tables that hold all of them."""

    source: str
    width: int
    height: int
    faces: list[Face]


def detect_paths(
    predictor: Predictor,
    inputs: Sequence[str | Path],
    out: str | Path,
    formats: Sequence[str] = ("json", "png"),
    on_progress: Progress | None = None,
) -> Report:
    """Find the faces in photographs and folders of them, and write what ``formats`` ask for into ``out``.

    ``json``, ``png`` and ``pts`` are written a photograph, ``OUT/STEM.json`` and so on (``.pts`` a face: ``STEM.pts``,
    ``STEM_1.pts``, …); ``csv`` and ``coco`` are one file for all, ``OUT/faces.csv`` and ``OUT/coco.json``. Where two inputs
    have one stem, the second becomes ``STEM~2``.

    Args:
        predictor: what finds them.
        inputs: photographs, or folders that are searched to any depth.
        out: folder of the results, made where it is missing.
        formats: any of :data:`FORMATS`.
        on_progress: called after each input with its name, its number of faces (None = failed), and the first file
            written or the error's line.

    Raises:
        UsageError: unknown format, or ``out`` cannot be a folder.
    """
    formats = check_formats(formats)
    folder = _folder(out)
    say = on_progress or (lambda *_: None)
    sources, complaints = expand(inputs, folder)
    report = Report()
    for source, message in complaints:
        report.failed.append((source, message))
        say(source, None, message)
    stems = _stems(sources, formats)
    originals = {Path(source).resolve() for source in sources}
    results: list[_Result] = []
    for source in sources:
        try:
            photo = open_photo(source)
            faces = predictor(photo)
            written = _write(photo, faces, folder, stems, formats, originals)
        except UsageError:
            raise
        except (FiduciaError, OSError, ValueError, RuntimeError, MemoryError, cv2.error) as error:
            message = _one_line(source, error)
            report.failed.append((source, message))
            say(source, None, message)
            continue
        results.append(_Result(source, photo.image.shape[1], photo.image.shape[0], faces))
        report.done.append(source)
        report.written.extend(written)
        say(source, len(faces), str(written[0]) if written else "")
    scheme = predictor.runtime.scheme
    if "csv" in formats:
        write_atomic(folder / CSV_NAME, csv_text([(r.source, r.faces) for r in results], scheme).encode())
        report.written.append(folder / CSV_NAME)
    if "coco" in formats:
        table = coco_table([(r.source, r.width, r.height, r.faces) for r in results], scheme)
        write_atomic(folder / COCO_NAME, _json(table))
        report.written.append(folder / COCO_NAME)
    return report


def face_table(face: Face) -> dict[str, Any]:
    """Return a face as plain values: box, score, points and confidence, in photograph pixels to 1/1000."""
    return {
        "box": [round(float(v), 3) for v in face.box],
        "score": round(float(face.score), 4),
        "points": [[round(float(x), 3), round(float(y), 3)] for x, y in face.xy],
        "confidence": [round(float(c), 4) for c in face.confidence],
        "scheme": face.scheme.name,
        "id": int(face.id),
    }


def csv_text(results: Sequence[tuple[str, Sequence[Face]]], scheme: Scheme) -> str:
    """Return a row a face: image, id, score, scheme, the box, then ``x0,y0,confidence0`` and so on."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    points = [f"{axis}{i}" for i in range(scheme.num_points) for axis in ("x", "y", "confidence")]
    boxes = ["box_x1", "box_y1", "box_x2", "box_y2"]
    writer.writerow(["image", "id", "score", "scheme", *boxes, *points])
    for source, faces in results:
        for face in faces:
            row = face_table(face)
            values = [v for (x, y), c in zip(row["points"], row["confidence"], strict=True) for v in (x, y, c)]
            writer.writerow([source, row["id"], row["score"], row["scheme"], *row["box"], *values])
    return text.getvalue()


def coco_table(results: Sequence[tuple[str, int, int, Sequence[Face]]], scheme: Scheme) -> dict[str, Any]:
    """Return COCO keypoints of (image, width, height, faces): 0-based pixels, v = 2, ``confidence`` beside them."""
    category = {
        "id": 1,
        "name": "face",
        "supercategory": "person",
        "keypoints": list(scheme.names),
        "skeleton": [[i + 1, j + 1] for i, j in scheme.edges],
    }
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, (source, width, height, faces) in enumerate(results, 1):
        images.append({"id": number, "file_name": source, "width": width, "height": height})
        for face in faces:
            row = face_table(face)
            x1, y1, x2, y2 = row["box"]
            w, h = round(x2 - x1, 3), round(y2 - y1, 3)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": 1,
                    "bbox": [x1, y1, w, h],
                    "area": round(w * h, 3),
                    "iscrowd": 0,
                    "num_keypoints": len(row["points"]),
                    "keypoints": [v for x, y in row["points"] for v in (x, y, 2)],
                    "confidence": row["confidence"],
                    "score": row["score"],
                }
            )
    return {"images": images, "annotations": annotations, "categories": [category]}


def _write(
    photo: Photo, faces: list[Face], folder: Path, stems: dict[str, str], formats: Sequence[str], originals: set[Path]
) -> list[Path]:
    """Write one photograph's own files and return them, the picture first; nothing is written over an input."""
    stem = stems[photo.name]
    texts: dict[Path, bytes] = {}
    if "json" in formats:
        height, width = photo.image.shape[:2]
        rows = [face_table(face) for face in faces]
        texts[folder / f"{stem}.json"] = _json({"image": photo.name, "width": width, "height": height, "faces": rows})
    if "pts" in formats:
        taken = set(stems.values())
        for face in faces:
            name = stem if face.id == 0 else f"{stem}_{face.id}"
            name = f"{stem}~face{face.id}" if face.id and name in taken else name
            texts[folder / f"{name}.pts"] = pts_text(face.xy).encode()
    picture = folder / f"{stem}.png"
    targets = [*([picture] if "png" in formats else []), *texts]
    for target in targets:
        if target.resolve() in originals:
            raise FiduciaError(f"{photo.name}: its result {target} would replace an input; choose another --out")
    if "png" in formats:
        write_image(picture, draw_faces(photo.image, faces))
    for path, data in texts.items():
        write_atomic(path, data)
    return targets


def _stems(sources: Sequence[str], formats: Sequence[str]) -> dict[str, str]:
    """Return source → stem of its results; no two are alike, even where the file system ignores case."""
    names = [Path(source).stem for source in sources]
    taken = {Path(COCO_NAME).stem} if "coco" in formats else set()
    reserved = {name.casefold() for name in names}
    stems: dict[str, str] = {}
    for source, name in zip(sources, names, strict=True):
        stem, number = name, 1
        while stem.casefold() in taken or (number > 1 and stem.casefold() in reserved):
            number += 1
            stem = f"{name}~{number}"
        taken.add(stem.casefold())
        stems[source] = stem
    return stems


def check_formats(formats: Sequence[str]) -> tuple[str, ...]:
    """Return the formats, empty words left out.

    Raises:
        UsageError: an unknown format, or none.
    """
    wanted = tuple(f for f in formats if f)
    for name in wanted:
        if name not in FORMATS:
            raise UsageError(f"--format {name}: no such format{did_you_mean(name, list(FORMATS))}")
    if not wanted:
        raise UsageError(f"--format is empty; expected any of {','.join(FORMATS)}")
    return wanted


def _folder(out: str | Path) -> Path:
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {folder}: cannot be a folder ({error.strerror}); choose another") from None
    return folder


def _json(value: Any) -> bytes:
    return (json.dumps(value, allow_nan=False) + "\n").encode()


def _one_line(source: str, error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, MemoryError):
        text = "not enough memory for this photograph; reduce it"
    return text if source in text else f"{source}: {text}"
