"""Fit the constants of the YuNet detectors: the step to the landmark box, and the calibration of the score.

Usage: python benchmarks/detector_fit.py --data 300w:ROOT --data merl:ROOT [--every N] > src/fiducia/detectors/yunet_constants.py

Only training photographs are read. Those of 300-W that also stand in test sets are left out, and so are the faces that
training carves for validation, so that both can be used to measure.

**Step.** Every labelled face, as each network sees it at a longest side of 160, 320 and 640 pixels, and its mirror image.
Least absolute differences (iteratively reweighted, floor 0.02) from :func:`fiducia.detectors.landmark_step.step_features`
to the tight box of the face's landmarks in its own frame.

**Calibration.** Everything that a detector finds. The labelled face counts as a face. ``detector_boxes.csv`` says of 889
other boxes with a score of 0.25 or more whether they hold a face; each was looked at, and those that could not be told
are not in the file. Boxes with a lower score count as background. A logistic curve of the score's log-odds is fitted by
maximum likelihood (Platt 1999).
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from fiducia.data.source import carve, exclude, load_records
from fiducia.detectors.auto import AutoDetector
from fiducia.detectors.candidates import Candidates
from fiducia.detectors.dlib_hog import DlibDetector
from fiducia.detectors.landmark_step import landmark_boxes, step_features
from fiducia.detectors.views import Pyramid
from fiducia.detectors.yunet import YuNet, YuNetDetector
from fiducia.detectors.yunet_file import YuNetFile, shipped_file
from fiducia.geometry import box_iou, rotation, tight_box
from fiducia.images import read_image
from fiducia.structures import Record

TWINS = ["237815567_*", "2417212918_*", "3729198156_*", "4285163979_*", "4538917191_*"]
EXCLUDE = [f"afw/{name}" for name in TWINS] + [f"lfpw/trainset/image_{n}" for n in ("0215", "0828", "0862")]
# Median of what the step is for a box of ordinary proportions: only used to tell which box is the labelled face's.
ROUGH = np.zeros((12, 4))
ROUGH[0] = [0.0, 0.16, np.log(0.88), np.log(0.85)]


def training(sources: list[str], every: int) -> list[Record]:
    records: list[Record] = []
    for source in sources:
        found = exclude(load_records(source, "train"), EXCLUDE)
        if source.startswith("300w:"):
            found, _ = carve(found, 0.08, 0)
        records += found[::every]
    return records


def face_rows(network: YuNet, pyramid: Pyramid, truth: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the network's row of the labelled face at each size, in photograph pixels counted from the corner."""
    for side in (160, 320, 640):
        view = pyramid.whole(side)
        (rows,) = network.rows([view])
        if not len(rows):
            continue
        fx, fy = view.to_photo[0, 0], view.to_photo[1, 1]
        rows[:, 0:14] *= np.tile([fx, fy], 7)
        overlaps = box_iou([truth], landmark_boxes(rows, ROUGH).boxes)[0]
        rows = rows[overlaps >= 0.3]
        if len(rows):
            yield rows[rows[:, 14].argmax()]


def fit_step(rows: list[np.ndarray], xy: list[np.ndarray]) -> np.ndarray:
    features, centres, sides, roll = step_features(np.array(rows))
    targets = []
    for points, centre, side, angle in zip(xy, centres, sides, roll, strict=True):
        x1, y1, x2, y2 = tight_box((points - centre) @ rotation(float(angle)) / side)
        targets.append([(x1 + x2) / 2, (y1 + y2) / 2, np.log(x2 - x1), np.log(y2 - y1)])
    y = np.array(targets)
    mirrored = features[:, [0, 1, 4, 5, 2, 3, 6, 7, 10, 11, 8, 9]] * np.array([1.0, 1.0, *([-1.0, 1.0] * 5)])
    x = np.concatenate([features, mirrored])
    y = np.concatenate([y, y * [-1.0, 1.0, 1.0, 1.0]])
    step = np.zeros((12, 4))
    for column in range(4):
        weight = np.ones(len(x))
        for _ in range(20):
            a = x * weight[:, None]
            step[:, column] = np.linalg.solve(a.T @ x + 1e-5 * len(x) * np.eye(12), a.T @ y[:, column])
            weight = 1 / np.maximum(np.abs(y[:, column] - x @ step[:, column]), 0.02)
    return step


def looked_at() -> dict[str, list[tuple[np.ndarray, int]]]:
    """Return what ``detector_boxes.csv`` says: photograph → (square box, 1 = face)."""
    boxes: dict[str, list[tuple[np.ndarray, int]]] = {}
    with Path(__file__).with_name("detector_boxes.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            x, y, half = float(row["x"]), float(row["y"]), float(row["side"]) / 2
            boxes.setdefault(row["photo"], []).append(
                (np.array([x - half, y - half, x + half, y + half]), int(row["face"]))
            )
    return boxes


def scores(found: Candidates, truth: np.ndarray, known: list[tuple[np.ndarray, int]]) -> Iterator[tuple[float, int]]:
    """Yield (score, whether it is a face) of what a detector found; boxes that nobody looked at are left out."""
    if not len(found):
        return
    overlaps = box_iou([truth], found.boxes)[0]
    own = int(np.argmax(overlaps >= 0.4)) if (overlaps >= 0.4).any() else -1
    for i in range(len(found)):
        score = float(found.score[i])
        if i == own:
            yield score, 1
        elif overlaps[i] < 0.3:
            near = [box_iou([found.head[i]], [box])[0, 0] for box, _ in known]
            if near and max(near) > 0.4:
                yield score, known[int(np.argmax(near))][1]
            elif score < 0.25:
                yield score, 0


def fit_calibration(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Return slope and offset of the likeliest logistic curve."""

    def cost(w: np.ndarray) -> float:
        z = w[0] * x + w[1]
        return float(np.mean(np.logaddexp(0, z) - y * z))

    slope, offset = minimize(cost, [1.0, 0.0], method="BFGS").x
    return float(slope), float(offset)


def dlib_calibration(records: list[Record], known: dict[str, list[tuple[np.ndarray, int]]]) -> str:
    """Return dlib's line: margins of its first look; a box that nobody looked at is a face where YuNet is sure of one."""
    detector, auto = DlibDetector(), AutoDetector(min_score=0.0)
    pairs = []
    for record in records:
        image = read_image(record.image)
        found = detector.margins(image, max(image.shape[:2]))
        if not found:
            continue
        sure = auto(image)
        for box, margin in found:
            overlaps = box_iou([box], [d.box for d in sure])[0] if sure else np.zeros(1)
            likely = sure[int(overlaps.argmax())].score if overlaps.max() > 0.3 else 0.0
            if box_iou([box], [tight_box(record.xy)])[0, 0] >= 0.4 or likely > 0.9:
                pairs.append((margin, 1))
            elif likely < 0.1:
                pairs.append((margin, 0))
    margins, faces = np.array(pairs).T
    slope, offset = fit_calibration(margins, faces)
    return f"CALIBRATION = ({slope:.3f}, {offset:.3f})  # {len(pairs)} boxes, {int(faces.sum())} of them faces"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", required=True, help="NAME:ROOT, read as its split train")
    parser.add_argument("--every", type=int, default=1, help="take every Nth face")
    parser.add_argument("--dlib", action="store_true", help="dlib's calibration instead, for detectors/dlib_hog.py")
    args = parser.parse_args()
    records = training(args.data, args.every)
    known = looked_at()
    if args.dlib:
        print(dlib_calibration(records, known))
        return
    print('"""Constants of the YuNet detectors; this file is what ``benchmarks/detector_fit.py`` prints.\n')
    print(f"Fitted on {len(records)} training faces:")
    print(
        f"``python benchmarks/detector_fit.py {' '.join('--data ' + d.partition(':')[0] + ':ROOT' for d in args.data)}``."
    )
    print('"""\n\nfrom __future__ import annotations\n\nimport numpy as np\n\nfrom .base import Array\n')
    print('__all__ = ["CALIBRATION", "STEP"]\n\nSTEP: dict[str, Array] = {')
    files: dict[str, YuNetFile] = {}
    for name in ("yunet_n", "yunet_s"):
        network = YuNet(shipped_file(name))
        rows, xy = [], []
        for record in records:
            pyramid = Pyramid(read_image(record.image))
            for row in face_rows(network, pyramid, tight_box(record.xy)):
                rows.append(row)
                xy.append(record.xy)
        step = fit_step(rows, xy)
        files[name] = YuNetFile(name, network.file.data, step.round(4), (1.0, 0.0))
        print(f'    "{name}": np.array(\n        [')
        for line in step:
            print(f"            [{', '.join(f'{v + 0.0:.4f}' for v in line.round(4))}],")
        print("        ]\n    ),")
    print('}\n"""Network → ``(12, 4)`` weights of :func:`fiducia.detectors.landmark_step.landmark_boxes`."""\n')
    print("CALIBRATION: dict[str, tuple[float, float]] = {")
    for name, detector in {
        "auto": AutoDetector(files["yunet_n"]),
        "yunet_n": YuNetDetector(files["yunet_n"]),
        "yunet_s": YuNetDetector(files["yunet_s"]),
    }.items():
        pairs: list[tuple[float, int]] = []
        for record in records:
            found = detector.candidates(read_image(record.image))
            pairs += scores(found, tight_box(record.xy), known.get(record.id, []))
        s, y = np.array(pairs).T
        slope, offset = fit_calibration(np.log(s / (1 - s)), y)
        print(f'    "{name}": ({slope:.3f}, {offset:.3f}),  # {len(pairs)} boxes, {int(y.sum())} of them faces')
    print("}")
    print('"""Detector → slope and offset: log-odds of the network\'s score → log-odds that the box holds a face."""')


if __name__ == "__main__":
    main()
