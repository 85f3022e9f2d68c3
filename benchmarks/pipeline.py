"""The data pipeline beside the plain form: two views warped, augmented, FiFA on one, and heatmap targets of both.

    python benchmarks/pipeline.py [--recipe fifa_tiny] [--faces 32] [--rounds 5] [--json FILE]

Milliseconds are of processor time, which other programs on the machine hardly change.

"plain" is what one writes first, and what most repositories of this field do in their loaders: PIL decodes nothing here
(both start from the same decoded photographs), but warps, blurs and changes colours; gamma and noise are float arithmetic on the
whole crop; FiFA and heatmaps are loops over the landmarks, each heatmap on its full grid. "ours" is what the training
command runs: cached patches, one OpenCV warp, look-up tables, targets by outer products over the batch. Both draw the
same kinds of augmentation with the same probabilities, on one thread, in turn.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image as Pil
from PIL import ImageFilter

from fiducia.augment.views import TrainViews
from fiducia.data.dataset import FaceDataset, collate
from fiducia.data.source import load_records
from fiducia.geometry import affine_apply, affine_compose, affine_invert, box_to_crop, similarity_matrix, tight_box
from fiducia.heatmaps import encode
from fiducia.images import read_image
from fiducia.recipes.files import load_recipe
from fiducia.schemes.sets import get_scheme
from fiducia.training.fabric import keep_memory

EPOCH = 1


def plain_view(photo: Any, xy: np.ndarray, mirror: np.ndarray, size: int, settings: Any, rng: Any) -> tuple[Any, Any]:
    """Return one augmented crop, uint8 ``(size, size, 3)``, and its points, by PIL and numpy."""
    turn = similarity_matrix(
        size, rng.normal(0, 0.2), float(np.exp(rng.normal(0, 0.1))), tuple(rng.normal(0, 0.04 * size, 2))
    )
    to_crop = affine_compose(turn, box_to_crop(tight_box(xy), size, settings.data.scale))
    inverse = affine_invert(to_crop)
    picture = photo.transform((size, size), Pil.Transform.AFFINE, inverse.ravel().tolist(), Pil.Resampling.BILINEAR)
    points = affine_apply(to_crop, xy)
    if rng.random() < settings.augment.mirror:
        picture = picture.transpose(Pil.Transpose.FLIP_LEFT_RIGHT)
        points = points[mirror]
        points[:, 0] = size - 1 - points[:, 0]
    if settings.augment.blur and rng.random() < 0.5:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 1.5)))
    image = np.asarray(picture).astype(np.float32) / 255
    if rng.random() < 0.5:
        image = image ** np.exp(rng.uniform(-0.5, 0.5))
    if rng.random() < 0.2:
        image = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2)
    if rng.random() < settings.augment.noise:
        image = image + rng.normal(0, 0.03, image.shape)
    if rng.random() < settings.augment.occlusion:
        x, y = rng.integers(0, size, 2)
        w, h = rng.integers(size // 8, size // 2, 2)
        image[y : y + h, x : x + w] = rng.random(3)
    return (np.clip(image, 0, 1) * 255).astype(np.uint8), points


def plain_squares(image: np.ndarray, points: np.ndarray, side: int) -> np.ndarray:
    for x, y in points:
        for row in range(round(y) - side // 2, round(y) - side // 2 + side):
            for column in range(round(x) - side // 2, round(x) - side // 2 + side):
                if 0 <= row < image.shape[0] and 0 <= column < image.shape[1]:
                    image[row, column] = 0
    return image


def plain_heatmaps(points: np.ndarray, side: int, stride: float, sigma: float, radius: float) -> np.ndarray:
    maps = np.zeros((len(points), side, side), np.float32)
    columns, rows = np.meshgrid(np.arange(side), np.arange(side))
    for k, (x, y) in enumerate((points + 0.5) / stride - 0.5):
        distance = (columns - x) ** 2 + (rows - y) ** 2
        maps[k] = np.where(distance <= radius**2, np.exp(-distance / (2 * sigma**2)), 0)
    return maps


def measure(recipe_name: str, count: int, rounds: int) -> dict[str, Any]:
    recipe = load_recipe(recipe_name, [f'data.source="synthetic:{2 * count}"', "data.val_fraction=0"])
    records = load_records(recipe.data.source, "train", None)[:count]
    scheme = get_scheme(records[0].scheme)
    size, heat = recipe.data.size, recipe.heatmap
    side = 64 if size == 128 else size // 4
    stride = size / side
    dataset = FaceDataset(records, TrainViews(recipe.data, recipe.augment, scheme, recipe.train.epochs), seed=0)
    dataset.fill()
    photos = [Pil.fromarray(read_image(record.image)) for record in records]
    mirror = np.asarray(scheme.mirror)
    square = max(1, round(recipe.augment.fifa.n * size / 512))
    stages: dict[str, list[float]] = {}

    def clock(name: str, started: float) -> float:
        now = time.process_time()
        stages.setdefault(name, []).append(1000 * (now - started) / count)
        return now

    for turn in range(rounds + 1):
        rng = np.random.default_rng(turn)
        dataset.set_epoch(EPOCH)
        started = time.process_time()
        batch = collate([dataset[i] for i in range(len(records))])
        middle = clock("ours: warp, photometrics, FiFA", started)
        encode((batch.xy + 0.5) / stride - 0.5, (side, side), sigma=heat.sigma, radius=heat.radius)
        ended = clock("ours: heatmaps", middle)
        views = []
        for photo, record in zip(photos, records, strict=True):
            views.append([plain_view(photo, record.xy, mirror, size, recipe, rng) for _ in range(2)])
        middle = clock("plain: warp, photometrics", ended)
        for _, second in views:
            plain_squares(second[0], second[1], square)
        ended = clock("plain: FiFA", middle)
        targets = [
            [plain_heatmaps(points, side, stride, heat.sigma, heat.radius) for _, points in pair] for pair in views
        ]
        torch.from_numpy(np.stack(targets))
        clock("plain: heatmaps", ended)
    rows = {
        name: {"ms_median": round(float(np.median(t[1:])), 3), "ms_least": round(min(t[1:]), 3)}
        for name, t in stages.items()
    }
    whole = {
        who: {
            key: round(sum(row[key] for name, row in rows.items() if name.startswith(who)), 3)
            for key in ("ms_median", "ms_least")
        }
        for who in ("ours", "plain")
    }
    return {
        "benchmark": "pipeline",
        "recipe": recipe_name,
        "faces": count,
        "points": scheme.num_points,
        "input": size,
        "maps": side,
        "ms_a_face_of_two_views": rows,
        "whole": whole,
        "ratio_median": round(whole["plain"]["ms_median"] / whole["ours"]["ms_median"], 2),
        "ratio_least": round(whole["plain"]["ms_least"] / whole["ours"]["ms_least"], 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="fifa_tiny")
    parser.add_argument("--faces", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    keep_memory()  # as the training command does, for both
    result = measure(options.recipe, options.faces, options.rounds)
    print(f"{result['points']} points, {result['input']} px, maps of {result['maps']}, two views a face, one thread\n")
    print("| data pipeline | ms a face, median | least |\n| --- | --- | --- |")
    for name, row in {**result["ms_a_face_of_two_views"], **result["whole"]}.items():
        print(f"| {name} | {row['ms_median']:.2f} | {row['ms_least']:.2f} |")
    print(f"| plain over ours | {result['ratio_median']:.2f} x | {result['ratio_least']:.2f} x |")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
