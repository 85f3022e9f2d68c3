"""What each part of the recipe fifa_tiny is worth: short runs with one thing changed, three seeds, intervals.

    python benchmarks/recipe_parts.py --data 300w:ROOT merl:ROOT --out DIR [--rows NAME ...] [--seeds 0 1 2] [--epochs 5]
        [--size 96] [--threads 1] [--json FILE] [--table]

Every run starts from the ImageNet encoder, in one stage of a smaller crop and few epochs with the whole schedule in it; a row that
sees fewer images an epoch has more epochs, so that all have the same number of views. It is measured on the recipe's validation
faces (averaged weights of the last epoch): the mean over the six collections, as in docs/weights.md, and by region.

The interval of a difference to ``whole`` is over the paired seeds (t); short runs favour what learns fast, so they say little about
what a part is worth at the end of a long one. Finished runs in ``--out`` are kept, and ``--table`` only prints those.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student

import fiducia
from fiducia.evaluation.locate import Settings, find_faces
from fiducia.metrics.errors import nme, normalizer, point_errors
from fiducia.recipes.files import load_recipe
from fiducia.structures import Record
from fiducia.training.collections import collections_of
from fiducia.training.faces import split_records

# With any loss that stands in for a published one, the others are named.
_OTHERS = ("loss.heatmap.weight=1", "loss.similarity.weight=0")
ROWS: dict[str, tuple[str, ...]] = {
    "whole": (),
    "coordinate loss: adl": (*_OTHERS, "loss.coord.kind=adl", "loss.coord.weight=0.5"),
    "coordinate loss: star": (*_OTHERS, "loss.coord.kind=star", "loss.coord.weight=0.04"),
    "coordinate loss: none": ("loss.coord.weight=0",),
    "no FiFA": ("augment.fifa.enabled=false",),
    "DCCA, weight 0.01": ("loss.similarity.weight=0.01",),
    "one view": ("augment.views=1",),
    "encoder from nothing": ('model.backbone_weights=""', "optim.backbone_lr=1e-3"),
    "no hourglass": ("model.options.hourglass.depth=0",),
    "no FF-Parsers": ("model.options.hourglass.ffp=false",),
    "max-pooling": ("model.options.hourglass.antialias=false",),
    "no drop_path": ("model.options.backbone.drop_path=0",),
    "no colour, coarse, noise, occlusion": ("augment.extra=[]", "augment.noise=0", "augment.occlusion=0"),
    "no exact crops": ("augment.exact=0",),
    "turned faces once": ("data.repeat={}",),
    "300-W alone": ("data.repeat={}",),
}
"""Row → what it changes. The last one leaves out MERL-RAV's training faces."""
ALONE = "300-W alone"


def folder(out: Path, row: str, seed: int) -> Path:
    """Return where a run is kept."""
    return out / f"{seed}-{row.replace(' ', '_').replace(':', '').replace(',', '')}"


def recipe_of(row: str, seed: int, options: argparse.Namespace) -> Any:
    """Return the recipe of a run."""
    sources = [source for source in options.data if row != ALONE or source.startswith("300w:")]
    common = [
        f"data.source={json.dumps(sources)}",
        "stage=[]",
        f"data.size={options.size}",
        "optim.ema=0.99",
        f"train.seed={seed}",
        f"train.threads={options.threads}",
    ]
    whole = views_an_epoch(load_recipe("fifa_tiny", [f"data.source={json.dumps(options.data)}"]))
    here = views_an_epoch(load_recipe("fifa_tiny", [*common, *ROWS[row]]))
    epochs = max(1, round(options.epochs * whole / here))
    return load_recipe("fifa_tiny", [*common, f"train.epochs={epochs}", f"train.val_every={epochs}", *ROWS[row]])


def views_an_epoch(recipe: Any) -> int:
    """Return how many crops an epoch of a recipe shows the network."""
    return len(split_records(recipe.data).training) * int(recipe.augment.views)


def measure(weights: Path, records: list[Record], scheme: Any) -> dict[str, float]:
    """Return the mean over the collections, the collections and, of 300-W's faces, contour and inside, in percent."""
    truth = np.stack([record.xy for record in records])
    wrong = point_errors(
        find_faces(Settings(weights=str(weights), runtime="torch").predictor("cpu"), records).xy, truth
    )
    groups = collections_of(records, scheme)
    found: dict[str, float] = {}
    for group in groups:
        of = np.array(list(group.faces))
        found[group.name] = float(100 * nme(wrong[of], normalizer(group.kind, truth[of], scheme)).mean())
    mean = float(np.mean(list(found.values())))
    frontal = np.concatenate([np.array(list(group.faces)) for group in groups if group.kind == "ic"])
    scale = normalizer("ic", truth[frontal], scheme)
    for name, points in (("contour", range(17)), ("inside", range(17, 68))):
        found[name] = float(100 * nme(wrong[np.ix_(frontal, np.array(points))], scale).mean())
    return {"mean": mean, **found}


def interval(differences: np.ndarray) -> str:
    """Return a mean with its 95 % interval over seeds."""
    if len(differences) < 2:
        return f"{differences.mean():+.3f}"
    half = student.ppf(0.975, len(differences) - 1) * differences.std(ddof=1) / np.sqrt(len(differences))
    return f"{differences.mean():+.3f} [{differences.mean() - half:+.3f}, {differences.mean() + half:+.3f}]"


def print_table(results: dict[str, dict[str, dict[str, float]]]) -> None:
    """Print rows with their seeds and the difference to ``whole`` of the seeds that both have."""
    print("| row | seeds | mean of the collections | difference, 95 % | contour | inside | MERL-RAV's profiles |")
    print("| --- |" + " --- |" * 6)
    for row, seeds in results.items():
        shared = [seed for seed in seeds if seed in results.get("whole", {})]
        change = np.array([seeds[seed]["mean"] - results["whole"][seed]["mean"] for seed in shared])
        told = "" if row == "whole" or not shared else interval(change)
        means = {key: np.mean([found[key] for found in seeds.values()]) for key in next(iter(seeds.values()))}
        values = ", ".join(f"{found['mean']:.3f}" for found in seeds.values())
        print(
            f"| {row} | {values} | {means['mean']:.3f} | {told} | {means['contour']:.3f} | {means['inside']:.3f} "
            f"| {means.get('profile', float('nan')):.3f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, nargs="+", metavar="NAME:ROOT")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(ROWS), metavar="NAME")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    faces = split_records(load_recipe("fifa_tiny", [f"data.source={json.dumps(options.data)}"]).data)
    held_out = {record.image for record in faces.validation}
    for seed in options.seeds:
        for row in options.rows:
            run = folder(options.out, row, seed)
            done = run / "validation.json"
            if done.is_file() or options.table:
                continue
            recipe = recipe_of(row, seed, options)
            seen = {record.image for record in split_records(recipe.data).training}
            if seen & held_out:
                raise SystemExit(
                    f"{row}: {len(seen & held_out)} of its training photographs are in the validation part"
                )
            fiducia.train(recipe, run, resume=(run / "checkpoints" / "last.ckpt").is_file())
            found = measure(run / "weights" / "ema.safetensors", faces.validation, faces.scheme)
            done.write_text(json.dumps({"row": row, "seed": seed, **found}, indent=1) + "\n")
            print(f"{row}, seed {seed}: {found['mean']:.3f}", flush=True)
    results: dict[str, dict[str, dict[str, float]]] = {row: {} for row in options.rows}
    for row in options.rows:
        for seed in options.seeds:
            run = folder(options.out, row, seed)
            if (run / "validation.json").is_file():
                found = json.loads((run / "validation.json").read_text())
                results[row][str(seed)] = {k: v for k, v in found.items() if k not in ("row", "seed")}
    results = {row: seeds for row, seeds in results.items() if seeds}
    print_table(results)
    if options.json:
        text = {
            "validation_faces": len(faces.validation),
            "epochs": options.epochs,
            "size": options.size,
            "rows": results,
        }
        options.json.write_text(json.dumps(text, indent=1) + "\n")


if __name__ == "__main__":
    main()
