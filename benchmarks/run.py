"""Every benchmark that needs no data of the user's, one after the other: ``make bench``; about five minutes on two free cores.

    python benchmarks/run.py [--only stages forward] [--mediapipe-python PATH] [--json out/bench.json]

Each prints its table; their results stand together in one JSON file. What compares, compares in turn within one process or
one benchmark, so that another load on the machine falls on all of it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
BENCHMARKS: dict[str, str] = {
    "stages": "(a) one photograph to a drawn face, stage by stage, and mediapipe beside it",
    "forward": "(b) forward of one crop: torch, onnxruntime, OpenVINO; float32, bfloat16, int8",
    "portrait": "one portrait, file to points, and mediapipe beside it",
    "start": "import, load, first call and warm call, each runtime in a process of its own",
    "training": "(c) Siamese training end to end beside bare forward + backward",
    "pipeline": "(d) data pipeline beside the plain form",
    "throughput": "(e) crops a second as cores and batch grow, (f) memory peak",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(BENCHMARKS), default=list(BENCHMARKS))
    parser.add_argument("--mediapipe-python", type=Path, help="a Python with mediapipe 0.10.21; without, it is skipped")
    parser.add_argument("--json", type=Path, default=HERE.parent / "out" / "bench.json")
    options = parser.parse_args()
    results: dict[str, Any] = {"machine": platform.machine(), "cpus": os.cpu_count(), "load": os.getloadavg()[0]}
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        for name in options.only:
            print(f"\n== {BENCHMARKS[name]}", flush=True)
            out = Path(folder) / f"{name}.json"
            command = [sys.executable, str(HERE / f"{name}.py"), "--json", str(out)]
            if name in ("stages", "portrait") and options.mediapipe_python:
                command += ["--mediapipe-python", str(options.mediapipe_python)]
            if subprocess.run(command, check=False).returncode or not out.is_file():
                failed.append(name)
                continue
            results[name] = json.loads(out.read_text())
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(results, indent=2) + "\n")
    print(f"\nall of it as JSON: {options.json}")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
