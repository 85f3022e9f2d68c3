"""``fiducia data review``: the rank of a face with a wrong label, and the CPU time of saving a change.

Usage: python benchmarks/review_order.py 300w:ROOT --split lfpw/testset [--draws N]

One face at a time is spoilt; the network is asked again about that face, whose crop may have moved. Times are of one thread.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from fiducia.data.source import label_writers, load_records
from fiducia.evaluation.found import Found
from fiducia.review.order import in_order, predict
from fiducia.review.session import open_review
from fiducia.schemes.sets import get_scheme
from fiducia.structures import Record

MIRROR = list(get_scheme("ibug68").mirror)
FILES = {"coco": "faces.json", "csv": "faces.csv", "cvat": "faces.xml", "labelstudio": "tasks.json"}


def other_photograph(records: list[Record], i: int) -> np.ndarray:
    return records[(i + 1) % len(records)].xy


def corners(records: list[Record], i: int) -> np.ndarray:
    xy = records[i].xy.copy()
    xy[[36, 48]] = xy[[48, 36]]
    return xy


def names_mirrored(records: list[Record], i: int) -> np.ndarray:
    return records[i].xy[MIRROR]


def eyelids(records: list[Record], i: int) -> np.ndarray:
    xy = records[i].xy.copy()
    xy[[37, 41]] = xy[[41, 37]]
    return xy


def ranks(records: list[Record], found: Found, chosen: list[int], spoil: Callable, weights: str) -> list[int]:
    """Return the rank of each chosen face when it alone is spoilt."""
    result = []
    for i in chosen:
        bad = replace(records[i], xy=spoil(records, i))
        again, _ = predict([bad], [weights], "cpu")
        all_found = Found(found.xy.copy(), found.confidence.copy(), found.quality.copy(), found.sigma.copy())
        all_found.put(i, again)
        order = in_order([*records[:i], bad, *records[i + 1 :]], all_found, {})
        result.append(1 + [one.index for one in order].index(i))
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", metavar="NAME:ROOT")
    parser.add_argument("--split", default="train")
    parser.add_argument("--weights", default="fifa_tiny")
    parser.add_argument("--draws", type=int, default=12)
    options = parser.parse_args()
    records = list(load_records(options.source, options.split))
    start = time.perf_counter()
    found, notes = predict(records, [options.weights], "cpu")
    print(f"{len(records)} faces, {len(notes)} not asked about, {time.perf_counter() - start:.1f} s")
    chosen = np.random.default_rng(0).choice(len(records), options.draws, replace=False).tolist()
    for spoil in (other_photograph, names_mirrored, corners, eyelids):
        print(f"{spoil.__name__}: ranks {sorted(ranks(records, found, chosen, spoil, options.weights))}")
    for form, name in FILES.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            label_writers[form](path, records)
            review = open_review(f"{form}:{path}", lambda faces: (None, {}))
            times = []
            for turn in range(3):
                start = time.process_time()
                review.edit(0, {3: (10.5 + turn, 11.5, 2)})
                times.append(time.process_time() - start)
            review.close()
            size = path.stat().st_size / 1e6
            print(f"{form}: {size:.1f} MB, first change {times[0]:.2f} s, further ones {min(times[1:]):.2f} s")


if __name__ == "__main__":
    main()
