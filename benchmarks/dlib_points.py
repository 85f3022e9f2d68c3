"""dlib's shape predictor, trained on the faces that a recipe trains on: what someone without a network would use.

    nice python benchmarks/dlib_points.py --data 300w:ROOT --out dlib68.dat

All faces of the recipe's training split are taken, less those that it excludes and with those that it holds out for
validation: nothing is chosen by them here. Boxes are the tight boxes of the landmarks, as for the networks. The options are
dlib's own defaults but for what the command line names; the boxes are moved by up to a tenth of their side while training,
which dlib's documentation advises.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from fiducia.data.source import exclude, load_records
from fiducia.geometry import tight_box
from fiducia.images import read_image
from fiducia.recipes.files import load_recipe
from fiducia.structures import Record

JITTER = 0.1


def rectangle(box: npt.ArrayLike) -> Any:
    """Return a box (whole numbers are pixels' centres) as dlib's, which holds the whole pixels that it names."""
    import dlib

    x1, y1, x2, y2 = (round(float(v)) for v in np.asarray(box))
    return dlib.rectangle(x1, y1, x2, y2)


def grey(record: Record) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(cv2.cvtColor(read_image(record.image), cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def train(records: Sequence[Record], options: dict[str, Any], threads: int) -> Any:
    import dlib

    wanted = dlib.shape_predictor_training_options()
    for key, value in options.items():
        setattr(wanted, key, value)
    wanted.num_threads = threads
    faces = []
    for record in records:
        points = [dlib.point(round(float(x)), round(float(y))) for x, y in record.xy]
        faces.append([dlib.full_object_detection(rectangle(tight_box(record.xy)), points)])
    return dlib.train_shape_predictor([grey(record) for record in records], faces, wanted)


def points(predictor: Any, record: Record, box: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return a face's points ``(K, 2)`` in photograph pixels; dlib gives whole ones."""
    found = predictor(grey(record), rectangle(box))
    return np.array([[found.part(i).x, found.part(i).y] for i in range(found.num_parts)], dtype=np.float64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, metavar="NAME:ROOT")
    parser.add_argument("--recipe", default="fifa_tiny", help="whose split and excluded faces are taken")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--limit", type=int, help="at most so many faces, for a trial")
    parser.add_argument("--cascades", type=int, default=10)
    parser.add_argument("--trees", type=int, default=500)
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--nu", type=float, default=0.1)
    parser.add_argument("--oversampling", type=int, default=20)
    parser.add_argument("--test-splits", type=int, default=20)
    parser.add_argument("--seed", default="0")
    options = parser.parse_args()
    data = load_recipe(options.recipe, [f"data.source={json.dumps(options.data)}"]).data
    records = exclude(load_records(data.source, data.split, data.scheme), data.exclude)
    records = [record for record in records if np.isfinite(record.xy).all()][: options.limit]
    chosen = {
        "cascade_depth": options.cascades,
        "num_trees_per_cascade_level": options.trees,
        "tree_depth": options.depth,
        "nu": options.nu,
        "oversampling_amount": options.oversampling,
        "oversampling_translation_jitter": JITTER,
        "num_test_splits": options.test_splits,
        "random_seed": options.seed,
    }
    started, busy = time.perf_counter(), time.process_time()
    predictor = train(records, chosen, options.threads)
    predictor.save(str(options.out))
    told = {
        "faces": len(records),
        "options": chosen,
        "minutes": round((time.perf_counter() - started) / 60, 2),
        "cpu_minutes": round((time.process_time() - busy) / 60, 2),
        "bytes": options.out.stat().st_size,
    }
    options.out.with_suffix(".json").write_text(json.dumps(told, indent=2) + "\n")
    print(json.dumps(told))


if __name__ == "__main__":
    main()
