"""How long a start takes: importing, loading weights, the first photograph, and the warm call, in processes of their own.

    python benchmarks/start.py [--weights fifa_tiny] [--photo FILE] [--tries 3] [--runtime auto torch] [--threads N] [--json FILE]

Rows: each runtime as it starts every day, and ``auto`` when its cache is empty, so that the graph is made and checked.
Columns, milliseconds of the best try, wall clock and processor time of all threads:

* import: ``import fiducia`` and ``fiducia.load`` as a name, in a fresh interpreter; the interpreter's own start is not counted
* load: ``fiducia.load(weights)``
* first: the first photograph, file to points
* warm: the median of 20 more calls
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PARTS = ("import", "load", "first", "warm")
CHILD = """
import json, sys, time
import statistics
weights, photo, runtime, threads = sys.argv[1:5]
times = {}
def lap(name, work):
    start, busy = time.perf_counter(), time.process_time()
    value = work()
    times[name] = [1000 * (time.perf_counter() - start), 1000 * (time.process_time() - busy)]
    return value
def begin():
    import fiducia
    fiducia.load
    return fiducia
fiducia = lap("import", begin)
from fiducia.cpu import use_threads
use_threads(int(threads))
predictor = lap("load", lambda: fiducia.load(weights, runtime=runtime, device="cpu"))
faces = lap("first", lambda: predictor(photo))
walls, cpus = [], []
for _ in range(20):
    lap("warm", lambda: predictor(photo))
    walls.append(times["warm"][0])
    cpus.append(times["warm"][1])
times["warm"] = [statistics.median(walls), statistics.median(cpus)]
from fiducia.runtimes.auto import describe
print(json.dumps({"times": times, "faces": len(faces), "runtime": describe(predictor.runtime)[0], "torch": "torch" in sys.modules}))
"""


def once(weights: str, photo: Path, runtime: str, threads: int, cache: str) -> dict[str, Any]:
    environment = {**os.environ, "FIDUCIA_CACHE": cache}
    command = [sys.executable, "-c", CHILD, weights, str(photo), runtime, str(threads)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="fifa_tiny")
    parser.add_argument("--photo", type=Path, default=HERE.parent / "assets" / "astronaut.jpg")
    parser.add_argument("--tries", type=int, default=3)
    parser.add_argument("--runtime", nargs="+", default=["auto", "torch"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows: dict[str, dict[str, Any]] = {}
    for _ in range(options.tries):
        with tempfile.TemporaryDirectory() as cache:
            kinds = [("auto, the first time", "auto")] if "auto" in options.runtime else []
            for name, runtime in [*kinds, *((name, name) for name in options.runtime)]:
                told = once(options.weights, options.photo, runtime, options.threads, cache)
                row = rows.setdefault(name, {**told, "times": {part: [float("inf")] * 2 for part in PARTS}})
                for part in PARTS:
                    row["times"][part] = [
                        min(a, b) for a, b in zip(row["times"][part], told["times"][part], strict=True)
                    ]
    load = round(os.getloadavg()[0], 1)
    print(f"{options.weights}, {options.photo.name}, {options.threads} threads, best of {options.tries}, load {load}\n")
    print(f"| ms, wall clock / processor | {' | '.join(PARTS)} | computed by | torch was imported |\n|{' --- |' * 7}")
    for name, row in rows.items():
        cells = [
            f"{wall:.0f} / {cpu:.0f}" if wall >= 100 else f"{wall:.1f} / {cpu:.1f}"
            for wall, cpu in row["times"].values()
        ]
        print(f"| {name} | {' | '.join(cells)} | {row['runtime']} | {'yes' if row['torch'] else 'no'} |")
    if options.json:
        options.json.write_text(json.dumps({"benchmark": "start", "load": load, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
