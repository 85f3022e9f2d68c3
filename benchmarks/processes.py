"""Several ``fiducia detect`` at once on shared cores: idle threads must not take other processes' time.

    python benchmarks/processes.py [--photographs 60] [--processes 3] [--rounds 3] [--json FILE] [-- OPTION...]

One process alone, then several at once, each of the same photographs (crops of ``assets/astronaut.jpg``), in these settings:

* ``default``: as a user starts it; the command sets ``GOMP_SPINCOUNT=1000`` by itself.
* ``--threads 1``: one thread each.
* ``spinning``: ``GOMP_SPINCOUNT`` as libgomp would choose it, which is what the default was before.

The ideal time of P processes on C CPUs is ``P x (CPU seconds of one process with --threads 1 alone) / min(P, C)``: the same
work without any waste. The bar: wall time of the default at most 2 x the ideal. CPU seconds tell the same on a busy
machine, where wall times do not: the bar there is 2 x P x the CPU seconds of one process with one thread.
Start-up (imports, loading) is part of both.
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

import cv2
import numpy as np

ASTRONAUT = Path(__file__).parents[1] / "assets" / "astronaut.jpg"
SETTINGS: dict[str, tuple[list[str], dict[str, str]]] = {
    "default": ([], {}),
    "--threads 1": (["--threads", "1"], {}),
    "spinning": ([], {"GOMP_SPINCOUNT": "10000000"}),
}
BAR = 2.0


def draw(folder: Path, count: int) -> list[str]:
    rng = np.random.default_rng(0)
    image = cv2.imread(str(ASTRONAUT))
    paths = []
    for number in range(count):
        side = int(rng.integers(130, 200))
        x, y = rng.integers(120, 170), rng.integers(20, 60)
        paths.append(str(folder / f"{number:04d}.jpg"))
        cv2.imwrite(paths[-1], cv2.resize(image[y : y + side, x : x + side], (256, 256)))
    return paths


def measure(
    paths: list[str], folder: Path, count: int, options: list[str], extra: dict[str, str]
) -> tuple[float, float]:
    """Return wall and CPU seconds of ``count`` processes at once."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_", "OPENBLAS_", "MKL_"))}
    words = ["--format", "json", "--device", "cpu", *options]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "fiducia", "detect", *paths, "--out", str(folder / f"out{n}"), *words],
            env={**clean, **extra},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for n in range(count)
    ]
    statuses = [process.wait() for process in running]
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if any(statuses):
        sys.exit(f"fiducia detect ended with {statuses}")
    return wall, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", type=int, default=60)
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--settings", nargs="+", choices=list(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--json", type=Path)
    parser.add_argument("options", nargs="*", help="of fiducia detect, after --")
    given = parser.parse_args()
    best: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = draw(folder, given.photographs)
        for _ in range(given.rounds):
            for setting in dict.fromkeys(["--threads 1", *given.settings]):
                options, extra = SETTINGS[setting]
                row = best.setdefault(setting, {})
                for label, count in (("alone", 1), ("together", given.processes)):
                    wall, cpu = measure(paths, folder, count, [*options, *given.options], extra)
                    row[f"{label}_wall"] = min(wall, row.get(f"{label}_wall", wall))
                    row[f"{label}_cpu"] = min(cpu, row.get(f"{label}_cpu", cpu))
    cpus = len(os.sched_getaffinity(0))
    work = best["--threads 1"]["alone_cpu"]
    ideal = given.processes * work / min(given.processes, cpus)
    print(f"{given.photographs} photographs, {given.processes} processes, {cpus} CPUs, load {os.getloadavg()[0]:.1f}")
    print(f"best of {given.rounds}; ideal time together {ideal:.1f} s, ideal CPU time {given.processes * work:.1f} s")
    print(f"{'':>12} {'alone':>8} {'CPU s':>8} {'together':>9} {'CPU s':>8} {'x ideal':>8} {'CPU x ideal':>12}")
    result: dict[str, Any] = {"cpus": cpus, "ideal_wall": ideal, "settings": best, "load": os.getloadavg()[0]}
    for setting, row in best.items():
        row["wall_ratio"] = row["together_wall"] / ideal
        row["cpu_ratio"] = row["together_cpu"] / (given.processes * work)
        print(
            f"{setting:>12} {row['alone_wall']:8.1f} {row['alone_cpu']:8.1f} {row['together_wall']:9.1f} "
            f"{row['together_cpu']:8.1f} {row['wall_ratio']:8.2f} {row['cpu_ratio']:12.2f}"
        )
    if given.json:
        given.json.write_text(json.dumps(result, indent=2) + "\n")
    if "default" in best:
        good = min(best["default"]["wall_ratio"], best["default"]["cpu_ratio"]) <= BAR
        print(f"default at most {BAR:g} x the ideal: {'yes' if good else 'NO'}")
        sys.exit(not good)


if __name__ == "__main__":
    main()
