"""One portrait, file to points: fiducia as it is installed, and mediapipe's face mesh in static mode in the same run.

    python benchmarks/portrait.py [--photo FILE] [--mediapipe-python PATH] [--rounds 5] [--calls 20] [--threads N] [--json FILE]

Both read the file, find the face and return its points, call after call; they take turns, round after round. "CPU" is the
processor time of all threads, which another load on the machine hardly changes. Stages are ours alone, measured one by one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import fiducia
from fiducia.cpu import use_threads
from fiducia.geometry import box_to_crop
from fiducia.images import crop, read_image
from fiducia.runtimes.auto import describe

HERE = Path(__file__).parent
OURS = "fiducia, file to points"


def timed(work: Callable[[], Any], calls: int) -> tuple[list[float], list[float]]:
    wall, cpu = [], []
    for _ in range(calls):
        started, busy = time.perf_counter(), time.process_time()
        work()
        wall.append(1000 * (time.perf_counter() - started))
        cpu.append(1000 * (time.process_time() - busy))
    return wall, cpu


def peer(python: Path, photo: Path, calls: int) -> tuple[str, list[float], list[float]]:
    command = [str(python), str(HERE / "peer_mediapipe.py"), "file", str(photo), str(calls)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    told = json.loads(done.stdout.splitlines()[-1])
    return f"mediapipe {told['mediapipe']}, static mode, file to points", told["ms"], told["cpu_ms"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="fifa_tiny")
    parser.add_argument("--photo", type=Path, default=HERE.parent / "assets" / "astronaut.jpg")
    parser.add_argument("--mediapipe-python", type=Path, help="a Python with mediapipe 0.10.21")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2, help="ours; mediapipe chooses its own")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    use_threads(options.threads)
    predictor = fiducia.load(options.weights)
    image = read_image(options.photo)
    face = predictor.find(image)[1][0]
    size = predictor.runtime.size
    to_crop = box_to_crop(face.crop_box, size, predictor.scale, face.roll)
    batch = np.ascontiguousarray(crop(image, to_crop, size).transpose(2, 0, 1)[None])
    stages: dict[str, Callable[[], Any]] = {
        OURS: lambda: predictor(options.photo),
        "- decode the file": lambda: read_image(options.photo),
        "- find the face": lambda: predictor.find(image),
        "- crop": lambda: crop(image, to_crop, size),
        "- network and decoding": lambda: predictor.runtime(batch),
    }
    for work in stages.values():
        timed(work, 3)
    times: dict[str, list[tuple[list[float], list[float]]]] = {}
    for _ in range(options.rounds):
        for name, work in stages.items():
            times.setdefault(name, []).append(timed(work, options.calls))
        if options.mediapipe_python is not None:
            name, *measured = peer(options.mediapipe_python, options.photo, options.calls)
            times.setdefault(name, []).append((measured[0], measured[1]))
    about = describe(predictor.runtime)[0]
    load = round(os.getloadavg()[0], 1)
    print(
        f"{options.weights} by {about}, {options.threads} threads, {image.shape[1]} x {image.shape[0]}, load {load}\n"
    )
    print(
        "| ms | best round's median | least | CPU, best round's median | CPU, least |\n| --- | --- | --- | --- | --- |"
    )
    rows: dict[str, dict[str, float]] = {}
    for name, rounds in times.items():
        rows[name] = {
            key: round(float(value), 2)
            for kind, part in (("ms", 0), ("cpu_ms", 1))
            for key, value in (
                (f"{kind}_best_round", min(np.median(one[part]) for one in rounds)),
                (f"{kind}_least", min(min(one[part]) for one in rounds)),
            )
        }
        cells = [rows[name][key] for key in ("ms_best_round", "ms_least", "cpu_ms_best_round", "cpu_ms_least")]
        print(f"| {name} | {' | '.join(f'{cell:.2f}' for cell in cells)} |")
    others = [name for name in rows if name.startswith("mediapipe")]
    for name in others:
        ratios = [rows[OURS][key] / rows[name][key] for key in ("ms_best_round", "cpu_ms_best_round")]
        print(f"\nfiducia takes {ratios[0]:.2f} of mediapipe's time, {ratios[1]:.2f} of its processor time")
    if not others:
        print("\nmediapipe was skipped: no --mediapipe-python given")
    if options.json:
        result = {"benchmark": "portrait", "weights": options.weights, "runtime": about, "load": load, "rows": rows}
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
