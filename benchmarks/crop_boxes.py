"""What a detector's box costs beside the box of the true landmarks, and which part of it: centre, side or angle.

    python benchmarks/crop_boxes.py --data 300w:ROOT merl:ROOT [--weights fifa_tiny] [--detector auto]

On the validation faces of the recipe ``fifa_tiny``; 300-W's by NME_ic, MERL-RAV's by NME_box, percent, one pass unless said. A face
that the detector misses (IoU below 0.4 with the tight box of its landmarks) is left out and told.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

import fiducia
from fiducia.geometry import box_iou, rotation, tight_box
from fiducia.images import read_image
from fiducia.metrics.errors import Normaliser, nme, normalizer, point_errors
from fiducia.recipes.files import load_recipe
from fiducia.structures import Detection
from fiducia.training.collections import collections_of
from fiducia.training.faces import split_records


def crops(found: Detection, points: np.ndarray) -> Iterator[tuple[str, Detection]]:
    """Yield boxes with more and more of the detector in them; the side is that of a square about the centre."""

    def as_found(box: np.ndarray, roll: Detection | None) -> Detection:
        if roll is None:
            return Detection(box=box, own_box=box, score=1.0)
        return replace(found, box=box, own_box=box)

    def square(centre_of: np.ndarray, side_of: np.ndarray) -> np.ndarray:
        centre, half = (centre_of[:2] + centre_of[2:]) / 2, max(side_of[2:] - side_of[:2]) / 2
        return np.concatenate([centre - half, centre + half])

    true, own = tight_box(points, found.roll), found.crop_box
    yield "box of the true landmarks, not turned", as_found(tight_box(points), None)
    yield "box of the true landmarks, turned by the detector's angle", as_found(true, found)
    yield "centre of the true box, the detector's side and angle", as_found(square(true, own), found)
    yield "the detector's centre and angle, side of the true box", as_found(square(own, true), found)
    yield "the detector's box", as_found(own, found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, nargs="+", metavar="NAME:ROOT")
    parser.add_argument("--weights", default="fifa_tiny")
    parser.add_argument("--detector", default="auto")
    options = parser.parse_args()
    faces = split_records(load_recipe("fifa_tiny", [f"data.source={json.dumps(options.data)}"]).data)
    predictors = {n: fiducia.load(options.weights, detector=options.detector) for n in (1, 2, 3)}
    for count, predictor in predictors.items():
        predictor.passes = count
    points: dict[str, list[np.ndarray]] = {}
    seen_faces, away = [], []
    for record in faces.validation:
        image = read_image(record.image)
        _, seen = predictors[1].find(image)
        overlaps = box_iou([tight_box(record.xy)], [one.box for one in seen])[0] if seen else np.zeros(1)
        if overlaps.max() < 0.4:
            print(f"{record.id}: not found")
            continue
        found = seen[int(overlaps.argmax())]
        for name, face in crops(found, record.xy):
            points.setdefault(name, []).append(predictors[1](image, [face])[0].xy)
        for count in (2, 3):
            points.setdefault(f"the detector's box, mean of {count} passes", []).append(
                predictors[count](image, [found])[0].xy
            )
        true, own = tight_box(record.xy, found.roll), found.crop_box
        side = max(true[2:] - true[:2])
        shift = rotation(-found.roll) @ ((own[:2] + own[2:] - true[:2] - true[2:]) / 2) / side
        away.append([*shift, max(own[2:] - own[:2]) / side])
        seen_faces.append(record)
    truth = np.stack([record.xy for record in seen_faces])
    groups: dict[Normaliser, list[int]] = {}
    for group in collections_of(seen_faces, faces.scheme):
        groups.setdefault(group.kind, []).extend(group.faces)
    print(f"| crop | {' | '.join(f'NME_{kind}, {len(of)} faces' for kind, of in groups.items())} |")
    print("| --- |" + " --- |" * len(groups))
    for name, found_points in points.items():
        wrong = point_errors(np.stack(found_points).astype(np.float64), truth)
        means = [100 * nme(wrong[of], normalizer(kind, truth[of], faces.scheme)).mean() for kind, of in groups.items()]
        print(f"| {name} | {' | '.join(f'{mean:.3f}' for mean in means)} |")
    x, y, scale = np.std(away, axis=0)
    print(
        f"\nStandard deviation of the centre in x {x:.4f} and y {y:.4f}, and of the side {scale:.4f}, in sides of the true box"
    )


if __name__ == "__main__":
    main()
