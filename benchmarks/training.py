"""What the data costs a training step: Siamese training end to end against the same step on tensors already in memory.

    python benchmarks/training.py [--recipe fifa_tiny] [--precision bf16-mixed] [--data synthetic:96] [--rounds 8] [--json FILE]

"bare" is forward, losses, backward, clipping, AdamW and EMA on one batch that lies in memory; "end to end" is the same and
the loader of the training command (crops decoded once and cached, two views warped and augmented for every face), in the
same process. Both run in turn, step by step, so that a busy machine slows both; the ratio is of their medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from fiducia.augment.fiducial import FiFA
from fiducia.augment.views import TrainViews
from fiducia.data.dataset import EpochSampler, FaceDataset, collate
from fiducia.data.source import load_records
from fiducia.heatmaps import encode
from fiducia.recipes.files import load_recipe
from fiducia.schemes.sets import get_scheme
from fiducia.structures import Batch
from fiducia.training.ema import EMA
from fiducia.training.fabric import keep_memory
from fiducia.training.optim import build_optimizer
from fiducia.training.setup import build_network, build_objective, resolve


def seconds(work: Callable[[], object], rounds: int) -> float:
    work()
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def measure(recipe_name: str, source: str, rounds: int, threads: int, precision: str) -> dict[str, float | int | str]:
    torch.set_num_threads(threads)
    keep_memory()  # as the training command does
    recipe = resolve(load_recipe(recipe_name, [f'data.source="{source}"', "data.val_fraction=0"]))
    records = load_records(recipe.data.source, "train", None)
    scheme = get_scheme(records[0].scheme)
    size, batch_size = recipe.data.side, min(recipe.train.batch_size, len(records))
    torch.manual_seed(0)
    model = build_network(recipe, scheme)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    objective = build_objective(recipe, scheme, model)
    optimizer = build_optimizer(model, objective.parameters(), recipe.optim)
    ema = EMA(model, recipe.optim.ema)
    dataset = FaceDataset(records, TrainViews(recipe.data, recipe.augment, scheme, recipe.train.epochs), seed=0)
    dataset.fill()

    def endless():  # type: ignore[no-untyped-def]
        epoch = 1
        while True:
            dataset.set_epoch(epoch)
            sampler = EpochSampler(len(dataset), batch_size=batch_size, seed=0, epoch=epoch)
            yield from torch.utils.data.DataLoader(dataset, batch_sampler=sampler, collate_fn=collate)
            epoch += 1

    def step(batch: Batch) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
            output = model(batch.images.flatten(0, 1))
        loss, _ = objective(output, batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.optim.clip)
        optimizer.step()
        ema.update(model)

    batches = endless()
    kept = next(batches)
    model.train()
    step(kept)
    step(kept)
    bare, whole = [], []
    for _ in range(rounds):
        started = time.perf_counter()
        step(kept)
        middle = time.perf_counter()
        step(next(batches))
        bare.append(middle - started)
        whole.append(time.perf_counter() - middle)
    step_s = statistics.median(whole)

    points = np.random.default_rng(0).uniform(10, size - 10, (98, 2)).astype(np.float32)
    picture = np.zeros((size, size, 3), np.uint8)
    fifa = FiFA(n=5, epoch_interval=5)
    fifa_s = seconds(lambda: [fifa(picture, points, 1) for _ in range(batch_size)], 20)
    cells = torch.from_numpy(np.random.default_rng(0).uniform(5, 26, (2 * batch_size, 98, 2)).astype(np.float32))
    side = size // 2
    heat_s = seconds(lambda: encode(cells, (side, side)), 20)
    images = 2 * batch_size
    return {
        "recipe": recipe_name,
        "precision": precision,
        "threads": threads,
        "faces_a_step": batch_size,
        "bare_images_a_second": round(images / statistics.median(bare), 2),
        "end_to_end_images_a_second": round(images / step_s, 2),
        "ratio": round(statistics.median(bare) / step_s, 3),
        "fifa_98_points_share_of_step": round(fifa_s / step_s, 5),
        "heatmap_targets_98_points_share_of_step": round(heat_s / step_s, 5),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="fifa_tiny")
    parser.add_argument("--data", default="synthetic:96")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--precision", default="32-true", choices=["32-true", "bf16-mixed"])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    row = measure(options.recipe, options.data, options.rounds, options.threads, options.precision)
    for key, value in row.items():
        print(f"{key:>42}  {value}")
    if options.json is not None:
        options.json.write_text(json.dumps(row, indent=2) + "\n")


if __name__ == "__main__":
    main()
