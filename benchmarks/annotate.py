"""``fiducia annotate`` on two engines against ``fiducia detect``: equal rows, throughput, and a run that is killed and goes on.

    python benchmarks/annotate.py --photographs DIRECTORY [--count 2000] [--workers 2] [--engines local ray] [--json FILE]

``--count`` photographs are taken from the directory, in the order of their paths and again from the start where it has fewer.

1. ``detect``: as many plain processes as ``--workers``, each ``fiducia detect --threads 1 --format json`` on its share.
2. ``annotate --engine ...`` for each engine, with as many workers.
3. The last engine again, whose driver is killed with SIGKILL when 40 % are written; then ``--engine local`` goes on.

Every row of every run must be the same, and the same as what ``detect`` wrote; every photograph must be there once. Seconds and
photographs per second are told twice: of the whole command with its start, and between the first written result and the
last (``steady``). CPU seconds are of all processes that a command started. The bar: steady throughput at least 0.9 of that of
the plain processes. Other programs on the machine change the wall times; the CPU seconds less so.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

BAR = 0.9
SUFFIXES = {".jpg", ".png"}
_SUBREAPER = 36


def share_out(source: Path, folder: Path, count: int, parts: int) -> list[Path]:
    """Copy photographs into one folder a part, and all of them into the first folder that is returned."""
    found = sorted(path for path in source.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        sys.exit(f"{source}: no photographs")
    folders = [folder / "all", *(folder / f"part{n}" for n in range(parts))]
    for one in folders:
        one.mkdir()
    for number in range(count):
        path = found[number % len(found)]
        copy = folders[0] / f"{number:05d}{path.suffix.lower()}"
        shutil.copyfile(path, copy)
        (folders[1 + number * parts // count] / copy.name).hardlink_to(copy)
    return folders


class Timed:
    """Commands that run at once: seconds, CPU seconds of all their processes, and when results appeared."""

    def __init__(self, commands: list[list[str]], kill_when: Any = None) -> None:
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        running = [
            subprocess.Popen(
                [sys.executable, "-m", "fiducia", *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            )
            for words in commands
        ]
        while kill_when is not None and not kill_when() and running[0].poll() is None:
            time.sleep(0.05)
        if kill_when is not None:
            running[0].send_signal(signal.SIGKILL)
        told = [process.communicate()[1].decode() for process in running]
        self.wall = time.perf_counter() - started
        # Processes that the command left behind come to this one; a killed driver's may live on for a while.
        while kill_when is None:
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                break
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        wrong = [text for process, text in zip(running, told, strict=True) if process.returncode not in (0, 1)]
        if wrong and kill_when is None:
            sys.exit(wrong[0])


def steady(files: list[Path], photographs: int) -> float:
    """Return photographs per second between the first and the last result, of which each holds as many."""
    times = sorted(path.stat().st_mtime for path in files)
    return photographs * (len(files) - 1) / len(files) / max(1e-9, times[-1] - times[0])


def table(out: Path, name: str) -> pa.Table:
    """Return a table in the order of the photographs."""
    parts = [pq.read_table(path) for path in sorted((out / name).glob("part-*.parquet"))]
    return pa.concat_tables(parts)


def same(a: Path, b: Path) -> bool:
    return all(table(a, name).equals(table(b, name)) for name in ("faces", "photographs"))


def same_as_detect(out: Path, folders: list[Path]) -> bool:
    """Whether the faces are those of detect's files, number for number."""
    by_name: dict[str, list[dict[str, Any]]] = {}
    for row in table(out, "faces").to_pylist():
        by_name.setdefault(Path(row["photograph"]).stem, []).append(row)
    seen = 0
    for path in (path for folder in folders for path in folder.glob("*.json")):
        faces = json.loads(path.read_text())["faces"]
        rows = by_name.pop(path.stem, [])
        if len(rows) != len(faces):
            return False
        for row, face in zip(rows, faces, strict=True):
            seen += 1
            for key, value in (("box", face["box"]), ("score", face["score"]), ("points", np.ravel(face["points"]))):
                if not np.array_equal(np.float32(row[key]), np.float32(value)):
                    return False
    return not by_name and seen > 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--engines", nargs="+", choices=["local", "ray"], default=["local", "ray"])
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    os.environ["OMP_NUM_THREADS"] = str(given.workers)
    rows: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        everything, *shares = share_out(given.photographs, folder, given.count, given.workers)

        def keep(label: str, done: Timed, rate: float) -> None:
            rows[label] = {"wall": done.wall, "cpu": done.cpu, "whole": given.count / done.wall, "steady": rate}
            print(
                f"{label:>26} {done.wall:7.1f} s {done.cpu:7.1f} CPU s {given.count / done.wall:7.1f} /s "
                f"steady {rate:7.1f} /s, load {os.getloadavg()[0]:.1f}",
                flush=True,
            )

        outs = [folder / f"detect{n}" for n in range(given.workers)]
        words = ["--threads", "1", "--format", "json", "--device", "cpu"]
        done = Timed([["detect", str(s), "--out", str(o), *words] for s, o in zip(shares, outs, strict=True)])
        keep(f"{given.workers} x detect", done, steady([p for o in outs for p in o.glob("*.json")], given.count))
        good, first = True, folder / given.engines[0]
        for engine in given.engines:
            out = folder / engine
            words = ["--workers", str(given.workers), "--device", "cpu"]
            done = Timed([["annotate", str(everything), "--out", str(out), "--engine", engine, *words]])
            keep(f"annotate, {engine}", done, steady(list((out / "photographs").glob("part-*")), given.count))
            good &= _told(f"{engine}: every photograph once", list(range(given.count)), out)
            good &= _say(f"{engine}: rows as detect", same_as_detect(out, outs))
            good &= _say(f"{engine}: rows as {given.engines[0]}", same(first, out))
        killed, engine = folder / "killed", given.engines[-1]
        words = ["annotate", str(everything), "--out", str(killed), "--workers", str(given.workers), "--device", "cpu"]
        chunks = len(list((first / "photographs").glob("part-*")))
        Timed(
            [[*words, "--engine", engine]],
            lambda: len(list((killed / "photographs").glob("part-*"))) >= 0.4 * chunks,
        )
        left = len(list((killed / "photographs").glob("part-*")))
        print(f"{engine} killed with {left} of {chunks} parts written")
        done = Timed([words])
        print(f"{'goes on, local':>26} {done.wall:7.1f} s {done.cpu:7.1f} CPU s")
        good &= _told("killed and restarted: every photograph once", list(range(given.count)), killed)
        good &= _say("killed and restarted: rows as without", same(first, killed)) and 0 < left < chunks
    plain = rows[f"{given.workers} x detect"]
    for engine in given.engines:
        row = rows[f"annotate, {engine}"]
        row |= {"ratio": row["steady"] / plain["steady"], "whole_ratio": row["whole"] / plain["whole"]}
        row["cpu_ratio"] = plain["cpu"] / row["cpu"]
        print(
            f"{engine}: {row['ratio']:.2f} x the steady throughput of the plain processes (bar {BAR}), "
            f"{row['whole_ratio']:.2f} x with the start, {row['cpu_ratio']:.2f} x by CPU seconds"
        )
    if given.json:
        given.json.write_text(json.dumps({"count": given.count, "rows": rows, "good": bool(good)}, indent=2) + "\n")
    sys.exit(not good)


def _told(what: str, positions: list[int], out: Path) -> bool:
    return _say(what, table(out, "photographs")["position"].to_pylist() == positions)


def _say(what: str, good: bool) -> bool:
    print(f"{what}: {'yes' if good else 'NO'}", flush=True)
    return good


if __name__ == "__main__":
    main()
