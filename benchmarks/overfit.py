"""Can every registered network learn eight real faces by heart, with its own loss? The curves, as a table and JSON.

Usage: python benchmarks/overfit.py --data 300w:ROOT [--networks pfld,slpt] [--steps 400] [--json benchmarks/overfit.json]

Each network is built in its test form (``test_options`` of its registration) and takes steps on the same eight faces of 300-W,
without augmentation, by the loss that it was published with. Networks that give points get crops of their test size, 64 pixels;
those that are read from heatmaps by cells get twice that. One recipe serves all of them: AdamW, a rate that falls by half a
cosine, gradients clipped. Training ends at the first look at which the error is below the mark. A loss that compares two
views of a face gets two crops of every face, each warped once and for all.

The error is the mean NME of the eight crops in percent of the distance of the outer eye corners, in evaluation mode, by the
network's first decoder. ``--json`` adds the curves that end below the mark to a file: networks that are not run again keep theirs.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fiducia.augment.views import EvalViews, TrainViews
from fiducia.data.dataset import FaceDataset, collate
from fiducia.data.source import load_records
from fiducia.losses.registry import losses
from fiducia.metrics.errors import nme, normalizer, point_errors
from fiducia.models import LandmarkModel, models
from fiducia.models.count import count_parameters
from fiducia.models.registry import is_family
from fiducia.recipes.files import parse_recipe
from fiducia.recipes.merge import merge_tables
from fiducia.recipes.sections import Recipe
from fiducia.schemes.sets import Scheme, get_scheme
from fiducia.structures import Batch
from fiducia.training.loop import Learner
from fiducia.training.optim import build_optimizer, learning_rate_factor, set_learning_rate
from fiducia.training.setup import build_network, build_objective

FACES, MARK, STEPS, EVERY = 8, 3.0, 400, 20
RATE = 2e-3
WIDER: dict[str, dict[str, Any]] = {
    "adnet": {"stacks": 1, "channels": 128},
    "awing": {"stacks": 1, "channels": 128},
    "fan": {"trunk": {"stacks": 1, "depth": 3, "channels": 128}},
    "hih": {"stacks": 1, "channels": 128},
    "propnet": {"channels": 128},
    "slpt": {"patches": {"dropout": 0.0}},
    "shfan": {"trunk": {"stacks": 1, "depth": 3, "channels": 128}},
    "star": {"stacks": 1, "channels": 128},
}
"""What is laid over the test form. The last convolution of heatmap networks is 1x1, so that fewer features than landmarks cannot
make a map of its own for each; and dropout is there to prevent what is tried here."""
SLOWER = {"slpt": 5e-4}
"""Rates of networks for which :data:`RATE` is too much: SLPT's tokens sum 12,544 numbers each."""

LONGER = {"farl": 1000}
"""Steps of networks that do not learn the faces in :data:`STEPS`: FaRL's transformer gets to 4 % in 400."""


@dataclass(frozen=True)
class Fit:
    """How one network learned: NME in percent at each look, by step; ``seconds`` of processor time."""

    network: str
    size: int
    params: int
    losses: list[str]
    steps: list[int]
    nme: list[float]
    seconds: float


def networks() -> list[str]:
    """Return one registered name of every network class: presets of one class are the same network in their test form."""
    first = {models[name].build: name for name in reversed(list(models)) if not is_family(name)}
    return sorted(first.values())


def recipe_of(name: str, steps: int, views: int = 1, factor: int = 1) -> Recipe:
    """Return the recipe that all networks share, for crops of some times the test size."""
    entry = models[name]
    still = {"mirror": 0.0, "occlusion": 0.0, "noise": 0.0, "gray": 0.0, "gamma": False, "blur": False}
    return parse_recipe(
        {
            "name": name,
            "data": {"size": factor * entry.test_size},
            "model": {"name": name, "options": merge_tables(entry.test_options, WIDER.get(name, {}))},
            "augment": {"views": views, "siamese_views": "indep_all", "fifa": {"enabled": False}, **still},
            "optim": {
                "lr": SLOWER.get(name, RATE),
                # Heatmaps of random weights are a hundred times further off than those of a few steps later. With the usual
                # 0.999 their gradients would hold the steps down for as long as these runs last.
                "options": {"betas": [0.9, 0.95]},
                "weight_decay": 0.0,
                "schedule": "cosine",
                "warmup": 0.05,
                "clip": 1.0,
            },
            "train": {"epochs": steps},
        }
    )


def faces_of(source: str, recipe: Recipe, scheme: Scheme) -> Batch:
    """Return eight faces from all over a data set: plain crops, or two warped ones of each."""
    records = load_records(source, "train")
    records = [records[i] for i in np.linspace(0, len(records) - 1, FACES).astype(int)]
    two = recipe.augment.views == 2
    views = TrainViews(recipe.data, recipe.augment, scheme, 1) if two else EvalViews(recipe.data)
    dataset = FaceDataset(records, views, seed=0)
    return collate([dataset[i] for i in range(len(records))])


def error(model: LandmarkModel, batch: Batch, scheme: Scheme) -> float:
    """Return the mean NME of all crops in percent, in evaluation mode.

    Norms are given the statistics of these faces first, as at the end of a long run: HRNet's own would take hundreds of steps.
    """
    torch.optim.swa_utils.update_bn([batch.images.flatten(0, 1)], model)
    model.eval()
    with torch.no_grad():
        points = model.decode(model(batch.images.flatten(0, 1))).points.double().numpy()
    model.train()
    truth = batch.xy.flatten(0, 1).double().numpy()
    return 100.0 * float(np.mean(nme(point_errors(points, truth), normalizer("ic", truth, scheme))))


def overfit(name: str, source: str, *, steps: int | None = None, mark: float = MARK) -> Fit:
    """Train one network on eight faces until its error is below the mark, or the steps are taken."""
    scheme = get_scheme("ibug68")
    steps = LONGER.get(name, STEPS) if steps is None else steps
    torch.manual_seed(0)
    recipe = recipe_of(name, steps)
    model = build_network(recipe, scheme)
    factor = 2 if model.decoders else 1
    views = max(losses[table["kind"]].views for table in model.default_loss().values())
    torch.manual_seed(0)
    recipe = recipe_of(name, steps, views, factor)
    model = build_network(recipe, scheme).train()
    batch = faces_of(source, recipe, scheme)
    objective = build_objective(recipe, scheme, model)
    optimizer = build_optimizer(model, objective.parameters(), recipe.optim)
    learner = Learner(model, objective).train()
    started, seen, curve = time.process_time(), [0], [round(error(model, batch, scheme), 3)]
    for step in range(steps):
        set_learning_rate(optimizer, learning_rate_factor(step, steps, recipe.optim))
        loss, _ = learner(batch, float(step), float(steps))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learner.parameters(), recipe.optim.clip)
        optimizer.step()
        if (step + 1) % EVERY == 0:
            seen.append(step + 1)
            curve.append(round(error(model, batch, scheme), 3))
            if curve[-1] < mark:
                break
    kinds = sorted(table["kind"] for table in model.default_loss().values())
    spent = round(time.process_time() - started, 1)
    return Fit(name, model.size, count_parameters(model), kinds, seen, curve, spent)


def keep(fit: Fit, file: Path, command: str) -> None:
    """Add a curve to a file."""
    kept: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"networks": {}}
    row = asdict(fit) | {"date": datetime.now(UTC).date().isoformat()}
    kept |= {"benchmark": "overfit", "faces": FACES, "mark": MARK, "command": command}
    kept["networks"][fit.network] = row
    lines = [f"  {json.dumps(name)}: {json.dumps(kept['networks'][name])}" for name in sorted(kept["networks"])]
    head = [f" {json.dumps(key)}: {json.dumps(value)}," for key, value in kept.items() if key != "networks"]
    file.write_text("\n".join(["{", *head, ' "networks": {', ",\n".join(lines), " }", "}"]) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", required=True, help="300w:ROOT")
    parser.add_argument("--networks", help="names, separated by commas; all without it")
    parser.add_argument("--steps", type=int, help=f"at most; {STEPS}, and more for those that need it")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    command = "python benchmarks/overfit.py --data 300w:ROOT --json benchmarks/overfit.json"
    print("| network | params | steps | NME at the start | at the end | CPU seconds |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in arguments.networks.split(",") if arguments.networks else networks():
        fit = overfit(name, arguments.data, steps=arguments.steps)
        print(
            f"| {name} | {fit.params / 1e6:.2f} M | {fit.steps[-1]} | {fit.nme[0]:.1f} % | {fit.nme[-1]:.2f} % | "
            f"{fit.seconds:.0f} |",
            flush=True,
        )
        if arguments.json and fit.nme[-1] < MARK:
            keep(fit, arguments.json, command)


if __name__ == "__main__":
    main()
