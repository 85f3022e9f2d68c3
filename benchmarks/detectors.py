"""Face detectors on photographs with known landmarks: recall, false faces, milliseconds, and the step to the landmark box.

Usage: python benchmarks/detectors.py --root 300w_root [--several FOLDER] [--every N] [--detector NAME]...

``--root`` is a 300-W folder in its official layout; its training parts alone are read (afw, helen/trainset,
lfpw/trainset), less those photographs that also stand in ``--several`` or in lfpw/testset. ``--several`` is a folder of
photographs with several faces each (``STEM.jpg`` and a ``STEM_1.pts``, ``STEM_2.pts`` … for each face).

A face is found where a box overlaps the tight box of its landmarks by an IoU of 0.4 or more. Every other box counts as
false, even where it holds a face that nobody annotated.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np

from fiducia.data.formats.pts import read_pts
from fiducia.detectors.builtin import TO_LANDMARK_BOX, get_detector
from fiducia.geometry import box_iou, tight_box
from fiducia.images import read_image

PARTS = ("afw", "helen/trainset", "lfpw/trainset")
TEST_TWINS = {f"lfpw/trainset/image_{n}" for n in ("0215", "0828", "0862")}
Item = tuple[Path, list[np.ndarray]]


def training(root: Path, several: Path | None) -> list[Item]:
    twins = {p.stem for p in several.glob("*.jpg")} if several else set()
    items = []
    for part in PARTS:
        for photo in sorted((root / part).glob("*.jpg")):
            name = f"{part}/{photo.stem}"
            if name not in TEST_TWINS and not (part == "afw" and photo.stem.rpartition("_")[0] in twins):
                items.append((photo, [tight_box(read_pts(photo.with_suffix(".pts")))]))
    return items


def with_several(folder: Path) -> list[Item]:
    photos = sorted(folder.glob("*.jpg"))
    return [(p, [tight_box(read_pts(q)) for q in sorted(folder.glob(f"{p.stem}_*.pts"))]) for p in photos]


def relation(boxes: np.ndarray, truth: np.ndarray, name: str) -> Iterator[list[float]]:
    """Yield the step from the detector's own box (its correction undone) to the landmark box, for every face found."""
    dx, dy, fw, fh = TO_LANDMARK_BOX.get(name, (0.0, 0.0, 1.0, 1.0))
    for face in truth:
        overlaps = box_iou([face], boxes)[0]
        if overlaps.max() < 0.4:
            continue
        x1, y1, x2, y2 = boxes[overlaps.argmax()]
        w, h = (x2 - x1) / fw, (y2 - y1) / fh
        cx, cy = (x1 + x2) / 2 - dx * w, (y1 + y2) / 2 - dy * h
        centre = (face[:2] + face[2:]) / 2
        yield [(centre[0] - cx) / w, (centre[1] - cy) / h, (face[2] - face[0]) / w, (face[3] - face[1]) / h]


def measure(name: str, items: Iterable[Item]) -> str:
    detector = get_detector(name)
    faces = found = false = photos = 0
    seconds = 0.0
    overlaps: list[float] = []
    steps: list[list[float]] = []
    for path, truth in items:
        image = read_image(path)
        start = time.perf_counter()
        boxes = np.array([d.box for d in detector(image)]).reshape(-1, 4)
        seconds += time.perf_counter() - start
        photos += 1
        faces += len(truth)
        if len(boxes):
            table = box_iou(truth, boxes)
            found += int((table.max(axis=1) >= 0.4).sum())
            false += int((table.max(axis=0) < 0.4).sum())
            overlaps += [float(v) for v in table.max(axis=1) if v >= 0.4]
            steps += relation(boxes, np.array(truth), detector.name)
    step = " ".join(f"{v:+.3f}" for v in np.median(steps, axis=0)) if steps else "-"
    middle = f"{np.median(overlaps):.2f}" if overlaps else "-"
    ms = 1000 * seconds / max(1, photos)
    return f"| {name} | {found} of {faces} | {false} | {middle} | {ms:.0f} | {step} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--several", type=Path)
    parser.add_argument("--every", type=int, default=1, help="take every Nth training photograph")
    parser.add_argument("--detector", action="append", help="default: dlib, haar and haar_alt2")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    sets = {"300-W training parts": training(args.root, args.several)[:: args.every]}
    if args.several:
        sets[args.several.name] = with_several(args.several)
    for title, items in sets.items():
        print(f"\n{title}: {len(items)} photographs, {sum(len(t) for _, t in items)} faces\n")
        print(
            "| detector | found | false | median IoU | ms a photograph | step to the landmark box: x y width height |"
        )
        print("| --- | --- | --- | --- | --- | --- |")
        for name in args.detector or ["dlib", "haar", "haar_alt2"]:
            print(measure(name, items), flush=True)


if __name__ == "__main__":
    main()
