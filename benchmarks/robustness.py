"""How much wrong boxes and bad pictures cost, for one network or several: one crop, one pass, held-out faces.

    python benchmarks/robustness.py --data 300w:ROOT --weights fifa_tiny --weights runs/mine --json out.json

The faces are those that a recipe holds out of training (``--recipe``, by default the shipped weights' own), so that nothing is
chosen by a test set. Every row changes one thing; ``ratio`` is its NME over that of the clean crop.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from fiducia.evaluation.sweep import DIRECTIONS
from fiducia.geometry import affine_apply, affine_compose, affine_invert, box_to_crop, similarity_matrix, tight_box
from fiducia.images import crop, read_image
from fiducia.metrics.errors import nme, normalizer, point_errors
from fiducia.recipes.files import load_recipe
from fiducia.runtimes.opening import open_runtime
from fiducia.structures import Record
from fiducia.training.faces import split_records

Image = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float64]
Spoil = Callable[[Image, np.random.Generator], Image]


@dataclass(frozen=True)
class Case:
    """One way to make it harder: boxes (a shift, in directions, and a factor), a turn, or what is done to the crop."""

    group: str
    name: str
    shift: float = 0.0
    factor: float = 1.0
    degrees: tuple[float, ...] = (0.0,)
    spoil: Spoil | None = field(default=None)

    def views(self) -> Iterator[tuple[Array, float]]:
        """Yield each shift, in box sides, and each turn in radians."""
        count = DIRECTIONS if self.shift else 1
        for i in range(count):
            angle = 2 * np.pi * i / count
            for turn in self.degrees:
                yield self.shift * np.array([np.cos(angle), np.sin(angle)]), float(np.deg2rad(turn))


def blur(sigma: float) -> Spoil:
    return lambda image, _: cv2.GaussianBlur(image, (0, 0), sigma).astype(np.uint8)


def noise(deviation: float) -> Spoil:
    def spoil(image: Image, rng: np.random.Generator) -> Image:
        return np.clip(image + rng.normal(0, deviation, image.shape), 0, 255).astype(np.uint8)

    return spoil


def dark(factor: float) -> Spoil:
    return lambda image, _: (image * factor).astype(np.uint8)


def square(share: float) -> Spoil:
    """A black square of a share of the crop's side, somewhere inside it."""

    def spoil(image: Image, rng: np.random.Generator) -> Image:
        side = round(share * image.shape[0])
        x, y = rng.integers(0, image.shape[0] - side + 1, 2)
        image = image.copy()
        image[y : y + side, x : x + side] = 0
        return image

    return spoil


def jpeg(quality: int) -> Spoil:
    def spoil(image: Image, _: np.random.Generator) -> Image:
        data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_UNCHANGED), dtype=np.uint8)

    return spoil


CASES = (
    Case("clean", "the true points' box"),
    *(Case("box shift", f"{s:.0%} of its side, mean of {DIRECTIONS} directions", shift=s) for s in (0.05, 0.10, 0.15)),
    *(Case("box scale", f"x {f:g}", factor=f) for f in (0.8, 0.85, 0.9, 1.1, 1.15, 1.2)),
    *(Case("rotation", f"-{d} and +{d} degrees", degrees=(-d, d)) for d in (10, 20, 30, 45)),
    *(Case("blur", f"sigma {s:g} px of the crop", spoil=blur(s)) for s in (1.0, 2.0, 3.0)),
    *(Case("noise", f"deviation {d} of 255", spoil=noise(d)) for d in (10, 25, 50)),
    *(Case("darkness", f"x {f:g}", spoil=dark(f)) for f in (0.5, 0.25, 0.1)),
    *(Case("occlusion", f"black square, {s:.0%} of the side", spoil=square(s)) for s in (0.15, 0.25, 0.35)),
    *(Case("JPEG", f"quality {q}", spoil=jpeg(q)) for q in (50, 20, 10)),
)


def view(
    image: Image, record: Record, size: int, scale: float, case: Case, move: Array, turn: float
) -> tuple[Image, Array]:
    """Return one crop, uint8 ``(size, size, 3)``, and the matrix from it back to the photograph."""
    box = tight_box(record.xy)
    centre, sides = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
    centre, half = centre + move * sides.max(), sides / 2 * case.factor
    matrix = box_to_crop(np.concatenate([centre - half, centre + half]), size, scale)
    if turn:
        matrix = affine_compose(similarity_matrix(size, turn, 1.0, (0.0, 0.0)), matrix)
    return crop(image, matrix, size), affine_invert(matrix)


def measure(weights: str, records: list[Record], runtime: str) -> dict[str, float]:
    """Return the NME_ic of every case, in percent."""
    run, card = open_runtime(weights, runtime)
    images: dict[Path, Image] = {record.image: read_image(record.image) for record in records}
    truth = np.stack([record.xy for record in records])
    divisor = normalizer("ic", truth, run.scheme)
    found: dict[str, float] = {}
    for case in CASES:
        rates = []
        for move, turn in case.views():
            rng = np.random.default_rng(0)
            pairs = [view(images[r.image], r, card.size, card.scale, case, move, turn) for r in records]
            crops = [pair[0] if case.spoil is None else case.spoil(pair[0], rng) for pair in pairs]
            batch = np.ascontiguousarray(np.stack(crops).transpose(0, 3, 1, 2))
            points = np.concatenate([run(batch[i : i + 32])[0] for i in range(0, len(batch), 32)])
            xy = np.stack([affine_apply(pair[1], p.astype(np.float64)) for pair, p in zip(pairs, points, strict=True)])
            rates.append(100 * float(np.mean(nme(point_errors(xy, truth), divisor))))
        found[f"{case.group}: {case.name}"] = float(np.mean(rates))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, metavar="NAME:ROOT")
    parser.add_argument("--weights", action="append", help="shipped name, file or run; several stand side by side")
    parser.add_argument("--recipe", default="fifa_tiny", help="whose held-out faces are taken")
    parser.add_argument("--runtime", default="torch")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    faces = split_records(load_recipe(options.recipe, [f"data.source={json.dumps(options.data)}"]).data)
    records, scheme = faces.validation, faces.scheme
    records = [record for record in records if np.isfinite(record.xy).all()]
    weights = options.weights or ["fifa_tiny"]
    tables = {name: measure(name, records, options.runtime) for name in weights}
    heads = " | ".join(f"{name} | ratio" for name in weights)
    print(
        f"{len(records)} held-out faces of {options.data.partition(':')[0]} ({scheme.name}), NME_ic in percent, one pass\n"
    )
    print(f"| | {heads} |\n| --- | {' | '.join(['---'] * 2 * len(weights))} |")
    for key in next(iter(tables.values())):
        cells = [f"{t[key]:.2f} | {t[key] / next(iter(t.values())):.2f}" for t in tables.values()]
        print(f"| {key} | {' | '.join(cells)} |")
    if options.json:
        result: dict[str, Any] = {"faces": len(records), "recipe": options.recipe, "nme_ic": tables}
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
