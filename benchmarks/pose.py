"""Head pose against known angles: mean absolute error of yaw, pitch and roll, by how far the head is turned.

    python benchmarks/pose.py --merl ROOT [--aflw2000 ROOT] [--weights fifa_tiny] [--recipe fifa_tiny] [--every 1] [--json FILE]

``ROOT`` of ``--merl`` has MERL-RAV's labels and ``pose.csv`` (name, group, pitch, yaw, roll in degrees); ``--aflw2000`` takes
AFLW2000-3D with its ``.mat`` files. Neither fitted the mean head or anything else of the pose, which saw training faces of
300-W only (``benchmarks/head_shape.py``). With ``--recipe`` only the faces that this recipe holds out of training are taken.

Three sources of points: the labels (of MERL-RAV; the hidden points of a profile are absent), and the points that the weights
predict in a crop round the label's box, all of them (``predicted``), and without those whose confidence is below 0.2
(``predicted, sure``). Beside the angles, the angle of the rotation between the true and the found pose: unlike pitch and roll
it is well defined near a yaw of 90 degrees.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fiducia.data.source import load_records
from fiducia.errors import FiduciaError
from fiducia.evaluation.locate import find_faces
from fiducia.measures.pose import angle_between, head_pose, pose_rotation
from fiducia.predict.predictor import load
from fiducia.recipes.files import load_recipe
from fiducia.schemes.sets import get_scheme
from fiducia.structures import Record
from fiducia.training.faces import split_records

Array = npt.NDArray[np.float64]
BANDS = ((0, 30), (0, 60), (0, 90), (60, 90))
SURE = 0.2


def wrap(degrees: Array) -> Array:
    """Return angles in [-180, 180)."""
    return (degrees + 180) % 360 - 180


def angles_of_merl(root: Path, records: list[Record]) -> Array:
    """Return yaw, pitch, roll of each face."""
    with (root / "pose.csv").open(newline="", encoding="utf-8") as file:
        table = {row["name"]: [float(row[key]) for key in ("yaw", "pitch", "roll")] for row in csv.DictReader(file)}
    return wrap(np.array([table[str(record.tags["photo"])] for record in records]))


def angles_of_aflw2000(records: list[Record]) -> Array:
    """Return yaw, pitch, roll of each face, from the .mat file beside its image."""
    from fiducia.data.readers.official import load_mat

    poses = [load_mat(record.image.with_suffix(".mat"), ("Pose_Para",), "a face")["Pose_Para"][0] for record in records]
    return wrap(np.degrees(np.array([[pose[1], pose[0], pose[2]] for pose in poses])))


def rows(name: str, points: Array, truth: Array) -> list[dict[str, Any]]:
    """Return the errors of each band as rows."""
    scheme = get_scheme("ibug68")
    errors = np.full((len(points), 4), np.nan)
    for i, xy in enumerate(points):
        try:
            pose = head_pose(xy, scheme)
        except FiduciaError:
            continue
        errors[i, :3] = np.abs(wrap(np.array([pose.yaw, pose.pitch, pose.roll]) - truth[i]))
        errors[i, 3] = angle_between(pose.rotation, pose_rotation(*truth[i]))
    found = []
    for low, high in BANDS:
        band = (np.abs(truth[:, 0]) >= low) & (np.abs(truth[:, 0]) <= high)
        done = band & np.isfinite(errors).all(axis=1)
        if not done.any():
            continue
        mean = errors[done].mean(axis=0)
        row = dict(zip(("yaw", "pitch", "roll", "rotation"), mean.round(2).tolist(), strict=True))
        found.append(
            {"points": name, "yaw_range": f"{low}-{high}", "faces": int(band.sum()), "posed": int(done.sum()), **row}
        )
    return found


def measure(title: str, records: list[Record], truth: Array, weights: str, labels: bool) -> list[dict[str, Any]]:
    """Print and return the rows of a data set."""
    predicted = find_faces(load(weights, detector=None, second_pass=False), records)
    sure = np.where(predicted.confidence[..., None] >= SURE, predicted.xy, np.nan)
    table = rows("labels", np.stack([record.xy for record in records]), truth) if labels else []
    table += rows(f"predicted by {weights}", predicted.xy, truth) + rows(f"predicted by {weights}, sure", sure, truth)
    print(f"\n{title}: {len(records)} faces; mean absolute error in degrees\n")
    print("| points | yaw from-to | faces | with a pose | yaw | pitch | roll | rotation |\n| --- " + "| --- " * 7 + "|")
    for row in table:
        print("| " + " | ".join(str(value) for value in row.values()) + " |")
    return [{"data": title, **row} for row in table]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--merl", type=Path, required=True)
    parser.add_argument("--aflw2000", type=Path)
    parser.add_argument("--weights", default="fifa_tiny")
    parser.add_argument("--recipe", help="take the validation faces of this recipe alone")
    parser.add_argument("--every", type=int, default=1, help="take every Nth face of MERL-RAV")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    source = f"merl:{args.merl}"
    if args.recipe:
        records = split_records(load_recipe(args.recipe, [f"data.source={source}"]).data).validation[:: args.every]
    else:
        records = list(load_records(source, "train"))[:: args.every]
    table = measure("MERL-RAV", records, angles_of_merl(args.merl, records), args.weights, labels=True)
    if args.aflw2000:
        records = list(load_records(f"aflw2000:{args.aflw2000}", "test"))
        table += measure("AFLW2000-3D", records, angles_of_aflw2000(records), args.weights, labels=True)
    if args.json:
        args.json.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
