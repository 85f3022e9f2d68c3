"""Crops a second as cores and batch grow, and the memory that a process takes at most.

    python benchmarks/throughput.py [--batches 1 8 32] [--seconds 1.5] [--json FILE]

Every runtime and number of threads has a process of its own, so that its memory peak is its own; "memory" is the peak of
resident memory of that whole process, Python, torch and the export included. Processes run one after the other, and the
whole list twice: the median and the most of all blocks are shown.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

RUNTIMES = ("torch", "openvino float32", "openvino bfloat16")


def child(name: str, weights: str, batches: list[int], seconds: float) -> dict[str, Any]:
    """Measure one runtime in this process."""
    from fiducia.runtimes.opening import open_runtime

    runtime, _ = open_runtime(weights, name.partition(" ")[0], "cpu")
    rng = np.random.default_rng(0)
    rates: dict[str, list[float]] = {}
    for batch in batches:
        crops = rng.integers(0, 256, (batch, 3, runtime.size, runtime.size), dtype=np.uint8)
        runtime(crops)
        ends, blocks = time.perf_counter() + seconds, []
        while time.perf_counter() < ends or len(blocks) < 2:
            started = time.perf_counter()
            runtime(crops)
            blocks.append(batch / (time.perf_counter() - started))
        rates[str(batch)] = blocks
    # Kilobytes on Linux, bytes on macOS.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)
    return {"rates": rates, "peak_mib": peak}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="fifa_tiny")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--seconds", type=float, default=1.5, help="for each batch, at least")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(child(options.child, options.weights, options.batches, options.seconds)))
        return
    from fiducia.weights.files import load_weights

    from fiducia.exporting.graphs import export

    found: dict[tuple[str, int], dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        model, card = load_weights(options.weights)
        files = {"torch": options.weights}
        for precision in ("float32", "bfloat16"):
            out = Path(folder) / f"{precision}.xml"
            export(model, card, out, "openvino", precision)
            files[f"openvino {precision}"] = str(out)
        for _ in range(2):
            for name in RUNTIMES:
                for threads in options.threads:
                    command = [sys.executable, __file__, "--child", name, "--weights", files[name]]
                    command += ["--seconds", str(options.seconds), "--batches", *map(str, options.batches)]
                    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
                    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
                    told = json.loads(done.stdout.splitlines()[-1])
                    old = found.setdefault((name, threads), {"rates": {}, "peak_mib": 0.0})
                    for batch, blocks in told["rates"].items():
                        old["rates"].setdefault(batch, []).extend(blocks)
                    old["peak_mib"] = max(old["peak_mib"], told["peak_mib"])
    rows = [
        {
            "what": name,
            "threads": threads,
            "batch": int(batch),
            "crops_a_second_median": round(float(np.median(blocks)), 1),
            "crops_a_second_most": round(max(blocks), 1),
            "peak_mib": round(told["peak_mib"]),
        }
        for (name, threads), told in found.items()
        for batch, blocks in told["rates"].items()
    ]
    print(f"{card.name}, {card.size} px, crops a second\n")
    print(
        "| crops to points | threads | batch | median | most | memory peak, MiB |\n| --- | --- | --- | --- | --- | --- |"
    )
    for row in rows:
        print("| " + " | ".join(str(value) for value in row.values()) + " |")
    if options.json:
        result = {"benchmark": "throughput", "weights": card.name, "rows": rows}
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
