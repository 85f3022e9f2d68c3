"""The validation faces of a recipe by collection and by yaw, for one set of weights or several beside each other.

    python benchmarks/held_out.py --set 'data.source=["300w:ROOT", "merl:ROOT"]' --weights A --weights B [--json FILE]

Faces are cropped by their annotation, without flip test-time augmentation unless ``--flip``. Collections of 300-W are measured by
NME_ic, those of MERL-RAV by
NME_box, as in training (``fiducia.training.collections``). Yaw is from ``pose.csv`` beside the data, in degrees, NME_box. The last
column is the difference of the last weights from the first with its 95 % interval (paired bootstrap over faces).
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from fiducia.evaluation.locate import Settings, find_faces
from fiducia.metrics.compare import paired_bootstrap
from fiducia.metrics.errors import nme, normalizer, point_errors
from fiducia.recipes.files import load_recipe
from fiducia.structures import Record
from fiducia.training.collections import collections_of
from fiducia.training.faces import split_records

BINS = ((0, 30), (30, 60), (60, 91))


def yaws(records: list[Record]) -> np.ndarray:
    """Return the absolute yaw of each face in degrees, nan where no ``pose.csv`` tells it."""
    tables: dict[Path, dict[str, float]] = {}
    found = np.full(len(records), np.nan)
    for i, record in enumerate(records):
        folder = next((parent for parent in record.image.parents if (parent / "pose.csv").is_file()), None)
        if folder is None:
            continue
        if folder not in tables:
            with (folder / "pose.csv").open(newline="") as file:
                tables[folder] = {row["name"]: abs(float(row["yaw"])) for row in csv.DictReader(file)}
        found[i] = tables[folder].get(record.image.stem, np.nan)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="fifa_tiny")
    parser.add_argument("--set", action="append", default=[], dest="sets")
    parser.add_argument("--weights", action="append")
    parser.add_argument("--flip", action="store_true")
    parser.add_argument("--runtime", default="torch")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    faces = split_records(load_recipe(options.recipe, options.sets).data)
    records, scheme = faces.validation, faces.scheme
    truth = np.stack([record.xy for record in records])
    groups = [(group.name, group.kind, np.array(list(group.faces))) for group in collections_of(records, scheme)]
    yaw = yaws(records)
    groups += [
        (f"yaw {low} to {min(high, 90)}", "box", np.flatnonzero((yaw >= low) & (yaw < high))) for low, high in BINS
    ]
    names = options.weights or ["fifa_tiny"]
    rates: dict[str, list[np.ndarray]] = {}
    for name in names:
        settings = Settings(weights=name, runtime=options.runtime, flip=options.flip)
        wrong = point_errors(find_faces(settings.predictor("cpu"), records).xy, truth)
        rates[name] = [100 * nme(wrong[of], normalizer(kind, truth[of], scheme)) for _, kind, of in groups if len(of)]
    print(f"| | faces | {' | '.join(names)} | difference, 95 % |\n| --- | --- |{' --- |' * len(names)} --- |")
    told = [group for group in groups if len(group[2])]
    result: dict[str, Any] = {}
    for row, (name, kind, of) in enumerate(told):
        means = {weights: float(np.mean(found[row])) for weights, found in rates.items()}
        change = paired_bootstrap(rates[names[0]][row], rates[names[-1]][row])
        result[name] = {"faces": len(of), "normaliser": kind, **means}
        interval = f"{change.difference:+.3f} [{change.low:+.3f}, {change.high:+.3f}]"
        print(f"| {name}, NME_{kind} | {len(of)} | {' | '.join(f'{m:.3f}' for m in means.values())} | {interval} |")
    collections = [row for row, group in enumerate(told) if not group[0].startswith("yaw")]
    means = [float(np.mean([np.mean(rates[name][row]) for row in collections])) for name in names]
    print(f"| mean of the collections | {len(records)} | {' | '.join(f'{m:.3f}' for m in means)} | |")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
