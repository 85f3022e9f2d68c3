"""What a user would otherwise pick, on the same faces: mediapipe's face mesh and dlib's shape predictor, beside ours.

    python benchmarks/peers.py --data 300w:ROOT --split lfpw/testset --mediapipe-python PATH --dlib-model dlib68.dat --json FILE

``PATH`` is a Python with mediapipe 0.10.21; ``dlib68.dat`` comes from ``benchmarks/dlib_points.py``. What is not given is
skipped, with a line that says so. Ours and dlib's see the tight box of the true points. mediapipe finds faces by itself, in
static mode; of a photograph's faces the one whose points' box overlaps the true one most is taken, and no overlap of an IoU
of 0.4 counts as not found. Its 468 points are reduced to 68 by :data:`MESH_68`, one mesh point for each landmark, as
is commonly published for that purpose; nothing is fitted. Figures are of the faces with an answer; failures are of all.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from dlib_points import points as dlib_points

from fiducia.data.source import load_records
from fiducia.evaluation.evaluate import evaluate
from fiducia.geometry import box_iou, tight_box
from fiducia.metrics.figures import figures, score
from fiducia.schemes.sets import get_scheme
from fiducia.structures import Record

HERE = Path(__file__).parent
MATCH = 0.4
MESH_68 = (
    *(162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389),  # contour
    *(71, 63, 105, 66, 107, 336, 296, 334, 293, 301),  # brows
    *(168, 197, 5, 4, 75, 97, 2, 326, 305),  # nose
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),  # eyes
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),  # outer lip
    *(78, 82, 13, 312, 308, 317, 14, 87),  # inner lip
)
"""The mesh's index for each of the 68 landmarks, in their order."""

SHOWN = ("nme_ic", "nme_ip", "nme_box", "fr10_ic", "auc10_ic")


def mediapipe_points(python: Path, records: list[Record]) -> npt.NDArray[np.float64]:
    """Return ``(N, 68, 2)`` points in photograph pixels; nan = not found."""
    with tempfile.TemporaryDirectory() as folder:
        names, out = Path(folder) / "photos.txt", Path(folder) / "points.npz"
        names.write_text("".join(f"{record.image.absolute()}\n" for record in records))
        command = [str(python), str(HERE / "peer_mediapipe.py"), "points", str(names), str(out)]
        subprocess.run(command, check=True, capture_output=True)
        told = np.load(out)
        owner, meshes = told["owner"], told["points"][:, list(MESH_68)]
    found = np.full((len(records), len(MESH_68), 2), np.nan)
    for i, record in enumerate(records):
        mine = meshes[owner == i]
        if len(mine):
            overlap = box_iou([tight_box(record.xy)], [tight_box(m) for m in mine])[0]
            if overlap.max() >= MATCH:
                found[i] = mine[overlap.argmax()]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, metavar="NAME:ROOT", help="faces of 68 points")
    parser.add_argument("--split", default="lfpw/testset")
    parser.add_argument("--weights", default="fifa_tiny", help="ours")
    parser.add_argument("--runtime", default="torch")
    parser.add_argument("--mediapipe-python", type=Path)
    parser.add_argument("--dlib-model", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    records = load_records(options.data, options.split, "ibug68")
    truth, scheme = np.stack([record.xy for record in records]), get_scheme("ibug68")
    rows: dict[str, dict[str, Any]] = {}
    ours = evaluate(options.weights, options.data, options.split, runtime=options.runtime)
    rows[f"{options.weights}, {options.runtime}, true points' box"] = ours
    if options.dlib_model and options.dlib_model.is_file():
        import dlib

        predictor = dlib.shape_predictor(str(options.dlib_model))
        found = np.stack([dlib_points(predictor, record, tight_box(record.xy)) for record in records])
        rows["dlib shape predictor, true points' box"] = figures(score(found, truth, scheme))
    else:
        print(f"dlib was skipped: {options.dlib_model or 'no --dlib-model given'}")
    if options.mediapipe_python and options.mediapipe_python.is_file():
        found = mediapipe_points(options.mediapipe_python, records)
        rows["mediapipe face mesh, static mode, its own detector"] = figures(score(found, truth, scheme))
    else:
        print(f"mediapipe was skipped: {options.mediapipe_python or 'no --mediapipe-python given'}")
    result = {
        "benchmark": "peers",
        "data": options.data.partition(":")[0],
        "split": options.split,
        "faces": len(records),
        "mesh_to_68": list(MESH_68),
        "rows": {name: {key: row[key] for key in (*SHOWN, "detected")} for name, row in rows.items()},
    }
    print(f"\n{result['data']} {options.split}, {len(records)} faces, percent\n")
    print(f"| | {' | '.join(SHOWN)} | found |\n| --- | {' | '.join(['---'] * len(SHOWN))} | --- |")
    for name, row in result["rows"].items():
        print(f"| {name} | {' | '.join(f'{row[key]:.2f}' for key in SHOWN)} | {row['detected']} |")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
