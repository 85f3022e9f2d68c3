"""How many faces of your own are enough: the shipped weights as a start, the ImageNet encoder, and nothing, on few faces.

    python benchmarks/own_landmarks.py --data 300w:ROOT --out DIR [--faces 50 100 200 400] [--steps 300] [--threads 1] [--json FILE]

Twelve of the 68 landmarks stand for landmarks of one's own (those of docs/tutorial_own_landmarks.md). The training faces are the
first N of the recipe ``fifa_tiny``'s training faces in an order drawn with seed 0. The errors, NME_ic in percent, are of all its
validation faces of this source, which no network here was trained on. Every run is the recipe ``fine_tune`` with as many steps of
8 faces, whatever N.

The shipped weights saw the photographs of the training faces with all 68 landmarks, so this is the curve of landmarks that the
network knows under other numbers; new kinds of landmarks may need more faces. Finished runs in ``--out`` are kept.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import fiducia
from fiducia.recipes.files import load_recipe
from fiducia.structures import Record
from fiducia.training.faces import split_records

TWELVE = [36, 39, 42, 45, 30, 31, 35, 48, 54, 51, 57, 8]
SCHEME = """name = "twelve"
points = 12
mirror = [[0, 3], [1, 2], [5, 6], [7, 8]]
edges = [[0, 1], [2, 3], [4, 5], [4, 6], [7, 9, 8, 10, 7]]
inter_ocular = [0, 3]
"""
STARTS: dict[str, tuple[str | None, tuple[str, ...]]] = {
    "shipped weights": ("fifa_tiny", ()),
    "ImageNet encoder": (None, ("model.backbone_weights=efficientnet_lite0", "optim.backbone_lr=1e-3")),
    "nothing": (None, ("optim.backbone_lr=1e-3",)),
}
BATCH = 8


def write_faces(path: Path, training: Sequence[Record], test: Sequence[Record]) -> None:
    """Write a table of faces with the twelve landmarks, as ``fiducia`` reads ``csv:``."""
    rows: list[dict[str, Any]] = []
    for split, records in (("train", training), ("test", test)):
        for record in records:
            row: dict[str, Any] = {"image": str(record.image.resolve()), "split": split}
            for new, old in enumerate(TWELVE):
                row |= {f"x{new}": record.xy[old, 0], f"y{new}": record.xy[old, 1]}
            rows.append(row)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, metavar="NAME:ROOT")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--faces", type=int, nargs="+", default=[50, 100, 200, 400])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    faces = split_records(load_recipe("fifa_tiny", [f"data.source={options.data}", "data.repeat={}"]).data)
    order = np.random.default_rng(0).permutation(len(faces.training))
    scheme = options.out / "twelve.toml"
    scheme.write_text(SCHEME)
    table: dict[str, dict[str, float]] = {}
    for count in options.faces:
        file = options.out / f"{count}.csv"
        write_faces(file, [faces.training[i] for i in order[:count]], faces.validation)
        for start, (init, changes) in STARTS.items():
            run = options.out / f"{count}-{start.replace(' ', '-')}"
            if not (run / "metrics.json").is_file():
                epochs = max(1, round(options.steps * BATCH / count))
                recipe = load_recipe(
                    "fine_tune",
                    [
                        f"data.source=csv:{file}",
                        f"data.scheme={scheme}",
                        "data.val_fraction=0",
                        f"train.epochs={epochs}",
                        f"train.batch_size={BATCH}",
                        f"train.threads={options.threads}",
                        *changes,
                    ],
                )
                fiducia.train(recipe, run, init=init, resume=(run / "checkpoints" / "last.ckpt").is_file())
            done = fiducia.evaluate(str(run), f"csv:{file}", "test", scheme=str(scheme))
            table.setdefault(str(count), {})[start] = done["nme_ic"]
            print(f"{count} faces, start from {start}: {done['nme_ic']:.3f}", flush=True)
    print(f"\n| faces | {' | '.join(STARTS)} |\n| --- |{' --- |' * len(STARTS)}")
    for count, row in table.items():
        print(f"| {count} | {' | '.join(f'{row[start]:.2f}' for start in STARTS)} |")
    if options.json:
        result = {"validation_faces": len(faces.validation), "steps": options.steps, "nme_ic": table}
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
