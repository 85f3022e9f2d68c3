"""How far a data set's labels stand to one side of what they mark, by a network that has no sides.

    python benchmarks/label_bias.py --data 300w:ROOT --weights fifa_tiny

Averaged over a face and its mirror image, a network's points lean neither left nor right, whatever it was taught; labels that do
stand out against them. The mean over faces and points, in sides of the face's box, is what ``augment.mirror_bias`` takes. The
faces are those that a recipe holds out of training (``--recipe``), since training faces are partly learned by heart.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from fiducia.geometry import affine_apply, box_to_crop, tight_box
from fiducia.images import crop, read_image
from fiducia.recipes.files import load_recipe
from fiducia.runtimes.flip import FlipTest
from fiducia.runtimes.opening import open_runtime
from fiducia.training.faces import split_records


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, metavar="NAME:ROOT")
    parser.add_argument("--weights", default="fifa_tiny", help="shipped name, file or run")
    parser.add_argument("--recipe", default="fifa_tiny", help="whose held-out faces are taken")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    faces = split_records(load_recipe(options.recipe, [f"data.source={json.dumps(options.data)}"]).data)
    records = faces.validation
    records = [record for record in records if np.isfinite(record.xy).all()]
    runtime, card = open_runtime(options.weights, "torch")
    flip = FlipTest(runtime)
    offsets = []
    for record in records:
        to_crop = box_to_crop(tight_box(record.xy), card.size, card.scale)
        image = crop(read_image(record.image), to_crop, card.size)
        found = flip(np.ascontiguousarray(image.transpose(2, 0, 1)[None]))[0][0]
        offsets.append((affine_apply(to_crop, record.xy) - found).mean(0) / (card.scale * card.size))
    faces = np.array(offsets)
    draws = faces[np.random.default_rng(0).integers(0, len(faces), (2000, len(faces)))].mean(1)
    rows = {
        axis: {"mean": float(faces[:, i].mean()), "ci95": [float(q) for q in np.quantile(draws[:, i], (0.025, 0.975))]}
        for i, axis in enumerate(("right", "down"))
    }
    print(f"{len(faces)} held-out faces of {options.data.partition(':')[0]}: labels minus points, in sides of the box")
    for axis, row in rows.items():
        print(f"{axis:>6}  {row['mean']:+.4f}  95 % interval {row['ci95'][0]:+.4f} to {row['ci95'][1]:+.4f}")
    if options.json:
        options.json.write_text(json.dumps({"faces": len(faces), "weights": options.weights, **rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
