"""One photograph to a drawn face, stage by stage, and mediapipe's face mesh beside it in the same run.

    python benchmarks/stages.py [--photo FILE] [--precision bfloat16] [--mediapipe-python PATH] [--json FILE]

The points come from an exported OpenVINO file of the weights, written first; "forward" holds normalisation, network and
heatmap decode, as they are one graph. "heatmap decode in torch" is that part alone where the network runs in torch.
mediapipe pins another numpy, so it runs in a Python of its own, in turn with ours, on the same photograph.

All stages take turns, round after round, over a minute or more. On a virtual machine two cores are now neighbours that share a
cache and now are not, for seconds at a time; then two threads take as long as one, whatever they run. So beside the median of
all calls stands that of the best round, and a count of the rounds in which the second thread was worth nothing.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fiducia.detectors.registry import get_detector
from fiducia.draw.faces import draw_faces
from fiducia.exporting.graphs import export
from fiducia.geometry import box_to_crop
from fiducia.images import crop, read_image
from fiducia.predict.predictor import Predictor
from fiducia.runtimes.opening import open_runtime
from fiducia.runtimes.openvino_runtime import OpenVinoRuntime
from fiducia.weights.store import load_weights

HERE = Path(__file__).parent
FORWARD, ONE_THREAD = "forward: crop to points", "forward on one thread"


def timed(work: Callable[[], Any], calls: int) -> list[float]:
    work()
    times = []
    for _ in range(calls):
        started = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - started))
    return times


def summary(rounds: list[list[float]]) -> dict[str, float]:
    """Return the best round's median, the median and the least of all calls, in ms."""
    every = [ms for one in rounds for ms in one]
    best = min(float(np.median(one)) for one in rounds)
    return {
        "ms_best_round": round(best, 2),
        "ms_median": round(float(np.median(every)), 2),
        "ms_least": round(min(every), 2),
    }


def mediapipe(python: Path, photo: Path, calls: int) -> dict[str, list[float]]:
    command = [str(python), str(HERE / "peer_mediapipe.py"), "time", str(photo), str(calls)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    told = json.loads(done.stdout.splitlines()[-1])
    return {f"mediapipe {told['mediapipe']}, {mode} mode": told[mode]["ms"] for mode in ("static", "tracking")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="fifa_tiny")
    parser.add_argument("--photo", type=Path, default=HERE.parent / "assets" / "astronaut.jpg")
    parser.add_argument("--precision", default="bfloat16", help="of the OpenVINO file: float32 or bfloat16")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--calls", type=int, default=15, help="of every stage, in every round")
    parser.add_argument("--mediapipe-python", type=Path, help="a Python with mediapipe 0.10.21")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model, card = load_weights(options.weights)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "points.xml"
        export(model, card, file, "openvino", options.precision)
        megabytes = sum(f.stat().st_size for f in (file, file.with_suffix(".bin"))) / 1e6
        runtime, _ = open_runtime(file, "openvino")
        alone = OpenVinoRuntime(runtime.sealed, runtime.scheme, 1) if isinstance(runtime, OpenVinoRuntime) else runtime
    detector = get_detector("auto")
    image = read_image(options.photo)
    (box,) = [d.box for d in detector(image)][:1] or [np.array([0.0, 0.0, image.shape[1] - 1, image.shape[0] - 1])]
    to_crop = box_to_crop(box, card.size, card.scale)
    picture = np.ascontiguousarray(crop(image, to_crop, card.size).transpose(2, 0, 1)[None])
    with torch.inference_mode():
        output = model(torch.from_numpy(picture))
    given = Predictor(runtime, None, scale=card.scale, passes=1)
    whole = Predictor(runtime, detector, scale=card.scale, passes=1)
    twice = Predictor(runtime, detector, scale=card.scale, passes=2)
    (face,) = given(image, [box])

    def torch_decode() -> None:
        with torch.inference_mode():
            model.decode(output, card.decode)

    stages: dict[str, Callable[[], Any]] = {
        "decode the photograph": lambda: read_image(options.photo),
        "detector": lambda: detector(image),
        "crop": lambda: crop(image, to_crop, card.size),
        FORWARD: lambda: runtime(picture),
        ONE_THREAD: lambda: alone(picture),
        "heatmap decode in torch": torch_decode,
        "draw": lambda: draw_faces(image, [face]),
        "given box to points (crop + forward)": lambda: given(image, [box]),
        "photograph to points (detector + one pass)": lambda: whole(image),
        "photograph to points (detector + two passes)": lambda: twice(image),
    }
    times: dict[str, list[list[float]]] = {}
    why = ""
    if options.mediapipe_python is None:
        why = "no --mediapipe-python given"
    elif not options.mediapipe_python.is_file():
        why = f"{options.mediapipe_python}: no such file"
    for _ in range(options.rounds):
        for name, work in stages.items():
            times.setdefault(name, []).append(timed(work, options.calls))
            time.sleep(0.02)
        if not why:
            for name, ms in mediapipe(options.mediapipe_python, options.photo, options.calls).items():
                times.setdefault(name, []).append(ms)
    rows = {name: summary(rounds) for name, rounds in times.items()}
    pairs = zip(times[FORWARD], times[ONE_THREAD], strict=True)
    lost = sum(float(np.median(two)) > 0.85 * float(np.median(one)) for two, one in pairs) if options.threads > 1 else 0
    result = {
        "benchmark": "stages",
        "weights": card.name,
        "artefact": f"OpenVINO {options.precision}, {megabytes:.1f} MB",
        "threads": options.threads,
        "photograph": f"{options.photo.name}, {image.shape[1]} x {image.shape[0]}",
        "rounds": options.rounds,
        "rounds_without_a_second_core": lost,
        "rows": rows,
        "mediapipe_skipped": why or None,
    }
    print(f"{card.name}, {result['artefact']}, {options.threads} threads, {result['photograph']}\n")
    print("| stage | ms, best round's median | median | least |\n| --- | --- | --- | --- |")
    for name, row in rows.items():
        print(f"| {name} | {row['ms_best_round']:.2f} | {row['ms_median']:.2f} | {row['ms_least']:.2f} |")
    print(f"\nrounds in which more threads than one saved less than 15 % of the forward: {lost} of {options.rounds}")
    if why:
        print(f"\nmediapipe was skipped: {why}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
