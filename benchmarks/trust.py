"""Does quality foresee failures, and are expected errors right, on faces that fitted nothing?

    python benchmarks/trust.py --weights fifa_tiny --recipe fifa_tiny --set data.source=300w:ROOT \\
        --data aflw2000:ROOT --data pts:ROOT

Every face is detected as ``fiducia detect`` does it; a face that no box covers is counted, and has no part in the rest. A face
fails where its NME by the outer eye corners is above 8 %. Faces of the recipe are its validation faces.
"""

from __future__ import annotations

import argparse
import json

import numpy as np

from fiducia import load
from fiducia.data.source import find_dataset
from fiducia.evaluation.calibrating.calibrate import detected_faces
from fiducia.evaluation.calibrating.faces import calibration_faces
from fiducia.metrics.errors import nme, normalizer, point_errors
from fiducia.metrics.trust import expected_gap, risk_coverage, roc_area
from fiducia.predict.predictor import Predictor
from fiducia.schemes import get_scheme
from fiducia.structures import Record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="fifa_tiny")
    parser.add_argument("--recipe")
    parser.add_argument("--set", action="append", default=[], dest="sets")
    parser.add_argument("--data", action="append", default=[])
    args = parser.parse_args()
    predictor = load(args.weights, device="cpu", runtime="torch")
    groups = calibration_faces(args.weights, [], args.recipe, args.sets) if args.recipe else {}
    for source in args.data:
        splits = find_dataset(source)[0].splits
        split = next((name for name in ("test", "all", "train") if name in splits), "all")
        groups |= calibration_faces(args.weights, [source], split=split)
    rows = {name: measure(predictor, records) for name, records in groups.items()}
    rows["together"] = {
        key: np.concatenate([row[key] for row in rows.values()]) for key in ("error", "quality", "expected", "actual")
    }
    for name, row in rows.items():
        found = np.isfinite(row["quality"])
        failed = row["error"][found] > 8
        table = {
            "faces": len(found),
            "found": int(found.sum()),
            "roc_area": roc_area(row["quality"][found], failed),
            "risk": risk_coverage(row["quality"][found], failed),
            "sigma": expected_gap(row["expected"], row["actual"]),
        }
        print(json.dumps({name: table}))


def measure(predictor: Predictor, records: list[Record]) -> dict[str, np.ndarray]:
    """Return NME in percent, quality, expected and actual errors in percent; nan where a face is not found."""
    n, k = len(records), predictor.runtime.scheme.num_points
    row = {
        "error": np.full(n, np.nan),
        "quality": np.full(n, np.nan),
        "expected": np.full((n, k), np.nan),
        "actual": np.full((n, k), np.nan),
    }
    for i, (record, face) in enumerate(zip(records, detected_faces(predictor, records), strict=True)):
        if face is None:
            continue
        truth = record.xy[None]
        length = normalizer("ic", truth, get_scheme(record.scheme))
        errors = point_errors(face.xy[None].astype(float), truth)
        row["error"][i] = 100 * nme(errors, length)[0]
        row["quality"][i] = face.quality
        row["expected"][i], row["actual"][i] = 100 * face.sigma / length[0], 100 * errors[0] / length[0]
    return row


if __name__ == "__main__":
    main()
