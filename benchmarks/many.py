"""Ten thousand small photographs in one ``fiducia detect``: memory stays flat, and a kill in the middle loses nothing.

    python benchmarks/many.py [--photographs 10000] [--drawn 300] [--threads 1] [--json FILE] [-- OPTION...]

A few hundred JPEGs are cropped from ``assets/astronaut.jpg``; hard links make them as many as are asked for, in folders of
a thousand. Options after ``--`` go to ``fiducia detect``, such as ``--one-pass``.

1. One run with ``--format jsonl``. Resident memory of the process and its children is read when a tenth of the photographs
   and when all are done. The ratio must be at most 1.1. Times of the first and of the last tenth show a quadratic step.
2. The same with a kill (SIGKILL) in the middle, then ``--resume``. The results must be those of run 1, line by line:
   every photograph once, with points that agree to 0.01 pixels (another batch rounds differently).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

ASTRONAUT = Path(__file__).parents[1] / "assets" / "astronaut.jpg"
FILE = "faces.jsonl"
MOST = 1.1


def draw(folder: Path, count: int, drawn: int) -> None:
    """Write ``drawn`` crops of the astronaut, most with the face in them, and link them to ``count`` photographs."""
    rng = np.random.default_rng(0)
    image = cv2.imread(str(ASTRONAUT))
    stock = folder / "stock"
    stock.mkdir()
    for number in range(drawn):
        side = int(rng.integers(110, 200))
        x, y = rng.integers(120, 180), rng.integers(20, 60)
        crop = image[y : y + side, x : x + side] if number % 10 else image[300 : 300 + side, 20 : 20 + side]
        size = int(rng.integers(96, 160))
        ok, data = cv2.imencode(".jpg", cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA))
        assert ok
        (stock / f"{number}.jpg").write_bytes(data.tobytes())
    for number in range(count):
        place = folder / "photographs" / f"{number // 1000:03d}"
        place.mkdir(parents=True, exist_ok=True)
        os.link(stock / f"{number % drawn}.jpg", place / f"{number % 1000:03d}.jpg")


def memory(pid: int) -> float:
    """Return the resident memory of a process and its children in MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    mine = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return mine + sum(memory(int(child)) for child in children)


def start(folder: Path, out: Path, options: list[str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "fiducia", "detect", str(folder / "photographs"), "--out", str(out)]
    return subprocess.Popen([*command, "--format", "jsonl", *options], stdout=subprocess.DEVNULL)


def lines(path: Path) -> int:
    """Return the number of whole lines of a file that may not be there yet."""
    try:
        with path.open("rb") as file:
            return sum(1 for _ in file)
    except FileNotFoundError:
        return 0


class Counter:
    """Counts the lines of a file that grows, without reading it anew each time."""

    def __init__(self, path: Path) -> None:
        self.path, self.at, self.count = path, 0, 0

    def __call__(self) -> int:
        if self.path.exists():
            with self.path.open("rb") as file:
                file.seek(self.at)
                new = file.read()
            self.at += len(new)
            self.count += new.count(b"\n")
        return self.count


def whole_run(folder: Path, count: int, options: list[str]) -> dict[str, Any]:
    """Run once; sample the memory whenever a batch is done."""
    process, done, started = (
        start(folder, folder / "whole", options),
        Counter(folder / "whole" / FILE),
        time.monotonic(),
    )
    samples = [(0, 0.0, 0.0)]
    while process.poll() is None:
        time.sleep(0.1)
        now = done()
        if now > samples[-1][0]:
            try:
                samples.append((now, memory(process.pid), time.monotonic() - started))
            except (OSError, ValueError, IndexError):
                break
    status = process.wait()
    if samples[-1][0] < count // 2:
        sys.exit(f"the run ended with status {status} after {done()} photographs")
    first = next(sample for sample in samples if sample[0] >= count // 10)
    late, last = next(sample for sample in samples if sample[0] >= count * 9 // 10), samples[-1]
    rates = [(b[0] - a[0]) / max(b[2] - a[2], 0.1) for a, b in ((samples[1], first), (late, last))]
    return {
        "status": status,
        "seconds": round(time.monotonic() - started, 1),
        "photographs": done(),
        "mib_at_a_tenth": round(first[1], 1),
        "mib_at_the_end": round(last[1], 1),
        "ratio": round(last[1] / first[1], 4),
        "per_second_first_tenth": round(rates[0], 1),
        "per_second_last_tenth": round(rates[1], 1),
    }


def killed_run(folder: Path, count: int, options: list[str]) -> dict[str, Any]:
    """Kill a run in the middle, go on, and compare with the whole one."""
    out = folder / "killed"
    process, done = start(folder, out, options), Counter(out / FILE)
    while done() < count // 2 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    killed = process.wait() == -signal.SIGKILL
    before = lines(out / FILE)
    status = start(folder, out, [*options, "--resume"]).wait()
    apart, names = 0.0, []
    with (folder / "whole" / FILE).open() as a, (out / FILE).open() as b:
        for one, two in zip(a, b, strict=True):
            x, y = json.loads(one), json.loads(two)
            names.append(y["image"])
            if x["image"] != y["image"] or len(x["faces"]) != len(y["faces"]):
                sys.exit(f"{x['image']} has become {y['image']}, or has another number of faces")
            for f, g in zip(x["faces"], y["faces"], strict=True):
                apart = max(apart, float(np.abs(np.subtract(f["points"], g["points"])).max()))
    left = [p.name for p in out.iterdir() if p.name != FILE]
    return {
        "killed": killed,
        "status": status,
        "done_when_killed": before,
        "photographs": len(names),
        "twice": len(names) - len(set(names)),
        "lost": count - len(set(names)),
        "largest_difference_px": round(apart, 4),
        "left_over": left,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", type=int, default=10_000)
    parser.add_argument("--drawn", type=int, default=300)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    parser.add_argument("options", nargs="*", help="of fiducia detect, after --")
    given = parser.parse_args()
    options = ["--threads", str(given.threads), "--device", "cpu", *given.options]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw(folder, given.photographs, given.drawn)
        whole = whole_run(folder, given.photographs, options)
        print(json.dumps(whole, indent=2), flush=True)
        killed = killed_run(folder, given.photographs, options)
        print(json.dumps(killed, indent=2), flush=True)
    good = (
        whole["status"] == killed["status"] == 0
        and whole["photographs"] == killed["photographs"] == given.photographs
        and whole["ratio"] <= MOST
        and killed["killed"]
        and killed["twice"] == killed["lost"] == 0
        and killed["largest_difference_px"] <= 0.01
        and not killed["left_over"]
    )
    if given.json:
        given.json.write_text(json.dumps({"whole": whole, "killed": killed, "good": good}, indent=2) + "\n")
    print("good" if good else "NOT good")
    sys.exit(not good)


if __name__ == "__main__":
    main()
