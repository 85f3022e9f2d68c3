"""Face detectors on photographs with known landmarks: faces found, other boxes, the fit of the boxes, time, and points.

Usage: python benchmarks/detectors.py --data NAME:ROOT[:SPLIT] | --data FOLDER ... [--detector NAME]... [--turn DEGREES]...
       [--weights NAME] [--exclude PATTERN]... [--every N] [--threads N] [--warm] [--pictures DIR]

``--data`` is a data set as in ``fiducia evaluate`` (split ``train`` where none is named), or a folder of photographs with
``STEM.pts``, or ``STEM_1.pts``, ``STEM_2.pts`` ... for several faces of one photograph. ``--turn`` turns every photograph
clockwise first. With ``--weights``, landmarks are computed from each found face's own box in one pass, and the column
NME_ic is their mean error in percent of the distance of the outer corners of the eyes.

Times are of the detector alone. "CPU ms" is the processor time of all threads: it hardly depends on what else the machine
does. The first photograph of a size costs OpenVINO some milliseconds for each view of it; ``--warm`` times what the next one
of that size costs. "angle off" is the median error of the face's roll in degrees, against that of the labels' five points.

A face is found where a box overlaps the tight box of its landmarks by an IoU of 0.4 or more. Every other box is counted as
such, even where it holds a face that nobody labelled: ``--pictures`` writes them out, so that one can look.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fiducia.cpu import use_threads
from fiducia.data.formats.pts import read_pts
from fiducia.data.source import exclude, load_records
from fiducia.detectors.registry import get_detector
from fiducia.errors import FiduciaError
from fiducia.geometry import affine_apply, affine_invert, box_iou, box_to_crop, five_point_roll, tight_box
from fiducia.images import crop, read_image
from fiducia.schemes.sets import convert

MATCH = 0.4
Photo = tuple[Path, list[np.ndarray]]


@dataclass
class Tally:
    """What was counted for one detector on one set of photographs."""

    faces: int = 0
    others: int = 0
    milliseconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    overlaps: list[float] = field(default_factory=list)
    angles: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)

    def row(self, name: str, turn: float) -> list[str]:
        def middle(values: list[float], form: str) -> str:
            return format(float(np.median(values)), form) if values else "-"

        return [
            name,
            f"{turn:g}",
            f"{len(self.overlaps)} of {self.faces}",
            str(self.others),
            f"{middle(self.overlaps, '.3f')}",
            f"{float(np.quantile(self.overlaps, 0.05)):.2f}" if self.overlaps else "-",
            middle(self.angles, ".1f"),
            f"{middle(self.milliseconds, '.1f')} / {float(np.mean(self.milliseconds)):.1f}",
            f"{middle(self.cpu, '.1f')} / {float(np.mean(self.cpu)):.1f}",
            f"{float(np.mean(self.errors)):.3f} / {middle(self.errors, '.3f')}" if self.errors else "-",
        ]


HEAD = [
    "detector",
    "turned by",
    "found",
    "other boxes",
    "IoU",
    "IoU, 5th percentile",
    "angle off",
    "ms, median / mean",
    "CPU ms, median / mean",
    "NME_ic, mean / median",
]


def photos_of(source: str, patterns: list[str]) -> list[Photo]:
    """Return photographs with the landmarks of their faces."""
    if Path(source).is_dir():
        folder = Path(source)
        found = []
        for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png")):
            own = path.with_suffix(".pts")
            points = [own] if own.exists() else sorted(folder.glob(f"{path.stem}_*.pts"))
            if points:
                found.append((path, [read_pts(p) for p in points]))
        return found
    name, _, rest = source.partition(":")
    root, _, split = rest.partition(":")
    photos: dict[Path, list[np.ndarray]] = {}
    for record in exclude(load_records(f"{name}:{root}", split or "train"), patterns):
        photos.setdefault(record.image, []).append(record.xy)
    return list(photos.items())


def turned(image: np.ndarray, degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the photograph turned clockwise, grown so that nothing is lost, and the affine of its points."""
    height, width = image.shape[:2]
    if degrees == 0:
        return image, np.eye(2, 3)
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    w, h = round(width * abs(c) + height * abs(s)), round(width * abs(s) + height * abs(c))
    linear = np.array([[c, -s], [s, c]])
    shift = np.array([(w - 1) / 2, (h - 1) / 2]) - linear @ np.array([(width - 1) / 2, (height - 1) / 2])
    affine = np.concatenate([linear, shift[:, None]], axis=1)
    return cv2.warpAffine(image, affine, (w, h)), affine


class Landmarks:
    """Points of a found face by shipped weights, in one pass."""

    def __init__(self, weights: str) -> None:
        import fiducia

        predictor = fiducia.load(weights, detector=None)
        self.runtime: Any = predictor.runtime
        self.scale = predictor.scale

    def __call__(self, image: np.ndarray, face: Any) -> np.ndarray:
        affine = box_to_crop(face.crop_box, self.runtime.size, self.scale, face.roll)
        pixels = crop(image, affine, self.runtime.size)
        xy, _ = self.runtime(np.ascontiguousarray(pixels.transpose(2, 0, 1)[None]))
        return affine_apply(affine_invert(affine), xy[0])


def measure(
    detector: Any, photos: list[Photo], turn: float, landmarks: Landmarks | None, out: Path | None, warm: bool
) -> Tally:
    tally = Tally()
    for path, faces in photos:
        image, affine = turned(read_image(path), turn)
        truth = [affine_apply(affine, xy) for xy in faces]
        if warm:
            detector(image)
        start, cpu = time.perf_counter(), time.process_time()
        found = list(detector(image))
        tally.milliseconds.append(1000 * (time.perf_counter() - start))
        tally.cpu.append(1000 * (time.process_time() - cpu))
        tally.faces += len(truth)
        table = box_iou([tight_box(xy) for xy in truth], [d.box for d in found])
        for row, xy in zip(table, truth, strict=True):
            if len(found) and row.max() >= MATCH:
                face = found[int(row.argmax())]
                tally.overlaps.append(float(row.max()))
                if np.isfinite(xy).all() and len(xy) == 68:
                    away = face.roll - float(five_point_roll(convert(xy, "ibug68", "five")))
                    tally.angles.append(abs(np.rad2deg((away + np.pi) % (2 * np.pi) - np.pi)))
                    if landmarks is not None:
                        eyes = float(np.linalg.norm(xy[36] - xy[45]))
                        off = np.linalg.norm(landmarks(image, face) - xy, axis=1)
                        tally.errors.append(100 * float(off.mean()) / eyes)
        for j in np.flatnonzero(table.max(axis=0) < MATCH) if len(found) else ():
            tally.others += 1
            if out is not None:
                view = crop(image, box_to_crop(found[j].box, 160, 0.5), 160)
                name = f"{detector.name}_{turn:g}_{path.stem}_{j}_{found[j].score:.2f}.png"
                cv2.imwrite(str(out / name), cv2.cvtColor(view, cv2.COLOR_RGB2BGR))
    return tally


def table(rows: list[list[str]]) -> Iterator[str]:
    yield f"| {' | '.join(HEAD)} |"
    yield f"|{' --- |' * len(HEAD)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", required=True)
    parser.add_argument("--detector", action="append", help="default: auto, yunet, yunet_s")
    parser.add_argument("--turn", action="append", type=float, help="degrees clockwise; may be given several times")
    parser.add_argument("--weights")
    parser.add_argument("--exclude", action="append", default=[])
    parser.add_argument("--every", type=int, default=1, help="take every Nth photograph")
    parser.add_argument("--threads", type=int, default=2, help="of OpenCV, OpenVINO and torch")
    parser.add_argument("--warm", action="store_true", help="time the second call for each photograph")
    parser.add_argument("--min-score", type=float)
    parser.add_argument("--pictures", type=Path, help="write the other boxes there")
    args = parser.parse_args()
    use_threads(args.threads)
    landmarks = Landmarks(args.weights) if args.weights else None
    if args.pictures:
        args.pictures.mkdir(parents=True, exist_ok=True)
    print(f"`python benchmarks/detectors.py {' '.join(sys.argv[1:])}`")
    for source in args.data:
        photos = photos_of(source, args.exclude)[:: args.every]
        print(f"\n{source}: {len(photos)} photographs, {sum(len(faces) for _, faces in photos)} faces\n")
        rows = []
        for name in args.detector or ["auto", "yunet", "yunet_s"]:
            try:
                detector = get_detector(name, min_score=args.min_score)
            except FiduciaError as error:
                print(f"{name} is left out: {error}")
                continue
            detector(np.zeros((64, 64, 3), np.uint8))  # type: ignore[operator]
            for turn in args.turn or [0.0]:
                rows.append(measure(detector, photos, turn, landmarks, args.pictures, args.warm).row(name, turn))
        print("\n".join(table(rows)), flush=True)


if __name__ == "__main__":
    main()
