"""What ``--min-score`` costs, on training photographs alone: labelled faces lost, other faces lost, boxes without a face kept.

Usage: python benchmarks/detector_threshold.py --data 300w:ROOT --data merl:ROOT [--every N]

The photographs are those that ``detector_fit.py`` fits the score to, with the same rules. "Other faces" and "no face" are boxes of
``detector_boxes.csv``, which were looked at one by one.
"""

from __future__ import annotations

import argparse

import numpy as np
from detector_fit import looked_at, training

from fiducia.detectors.auto import AutoDetector
from fiducia.geometry import box_iou, tight_box
from fiducia.images import read_image

LIMITS = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", required=True, help="NAME:ROOT, read as its split train")
    parser.add_argument("--every", type=int, default=1, help="take every Nth face of those without a looked-at box")
    options = parser.parse_args()
    known, detector = looked_at(), AutoDetector(min_score=0.0)
    records = [r for i, r in enumerate(training(options.data, 1)) if r.id in known or i % options.every == 0]
    own, boxes = [], []
    for record in records:
        image = read_image(record.image)
        found = detector(image)
        heads = detector.candidates(image) if record.id in known else None
        overlaps = box_iou([tight_box(record.xy)], [d.box for d in found])[0] if found else np.zeros(0)
        best = int(overlaps.argmax()) if len(overlaps) and overlaps.max() >= 0.4 else -1
        own.append(found[best].score if best >= 0 else 0.0)
        if heads is None:
            continue
        for i, one in enumerate(found):
            if i == best or overlaps[i] >= 0.3:
                continue
            head = heads.head[int(box_iou([one.box], heads.boxes)[0].argmax())]
            near = [box_iou([head], [box])[0, 0] for box, _ in known[record.id]]
            if max(near) > 0.4:
                boxes.append((one.score, known[record.id][int(np.argmax(near))][1]))
    labelled, (scores, faces) = np.array(own), np.array(boxes).T
    print(f"{len(labelled)} labelled faces, {int(faces.sum())} others, {int((1 - faces).sum())} boxes without a face\n")
    print(
        "| min-score | labelled faces lost | other faces lost | boxes without a face kept |\n| --- | --- | --- | --- |"
    )
    for limit in LIMITS:
        lost, more = (labelled < limit).sum(), ((scores < limit) & (faces == 1)).sum()
        print(f"| {limit} | {lost} | {more} | {((scores >= limit) & (faces == 0)).sum()} |")


if __name__ == "__main__":
    main()
