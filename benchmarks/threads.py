"""One predictor shared by many threads: are its answers those of one thread, bit for bit?

    python benchmarks/threads.py [--threads 8] [--photographs 200] [--only NAME...] [--json FILE]

For every registered detector: one detector, shared, each thread all photographs in an order of its own. For every runtime:
one ``Predictor`` with boxes given, shared, each thread all faces in an order of its own. Answers are compared with those
that one thread gave before: boxes, scores, points and confidence, every bit. A mismatch or an error is counted; there must
be none. Photographs are small crops of ``assets/astronaut.jpg`` so that threads meet often.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

ASTRONAUT = Path(__file__).parents[1] / "assets" / "astronaut.jpg"


def draw(count: int) -> list[Any]:
    """Return RGB pictures of 20 sizes, most with a face, some flat or with none."""
    rng = np.random.default_rng(0)
    image = cv2.cvtColor(cv2.imread(str(ASTRONAUT)), cv2.COLOR_BGR2RGB)
    pictures = []
    for number in range(count):
        side = int(rng.integers(110, 200))
        x, y = (rng.integers(120, 180), rng.integers(20, 60)) if number % 8 else (20, 300)
        size = 72 + 4 * (number % 20)
        pictures.append(cv2.resize(image[y : y + side, x : x + side], (size, size), interpolation=cv2.INTER_AREA))
    return pictures


def compare(work: Callable[[Any], bytes], pictures: list[Any], threads: int) -> dict[str, Any]:
    """Run ``work`` on every picture in one thread, then in many at once."""
    started = time.perf_counter()
    truth = [work(picture) for picture in pictures]
    serial = time.perf_counter() - started
    wrong = errors = 0
    lock, together = threading.Lock(), threading.Barrier(threads)

    def run(seed: int) -> None:
        nonlocal wrong, errors
        order = list(range(len(pictures)))
        random.Random(seed).shuffle(order)
        together.wait()
        for number in order:
            try:
                differs, failed = work(pictures[number]) != truth[number], False
            except Exception as error:  # whatever it is, it is counted
                print(f"    {type(error).__name__}: {error}", file=sys.stderr)
                differs, failed = False, True
            with lock:
                wrong += differs
                errors += failed

    started = time.perf_counter()
    workers = [threading.Thread(target=run, args=(seed,)) for seed in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return {
        "answers": threads * len(pictures),
        "distinct": len(set(truth)),
        "mismatches": wrong,
        "errors": errors,
        "serial_s": round(serial, 1),
        "threads_s": round(time.perf_counter() - started, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--photographs", type=int, default=200)
    parser.add_argument("--only", nargs="+", help="names of detectors and runtimes")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    import fiducia
    from fiducia.detectors.registry import detectors, get_detector
    from fiducia.runtimes.registry import runtimes

    pictures = draw(given.photographs)
    rows: dict[str, dict[str, Any]] = {}
    print(
        f"{'':>10} {'answers':>8} {'distinct':>8} {'mismatches':>10} {'errors':>7} {'serial s':>9} {'threads s':>9}",
        flush=True,
    )

    def row(name: str, work: Callable[[Any], bytes]) -> None:
        rows[name] = compare(work, pictures, given.threads)
        print(
            f"{name:>10} {rows[name]['answers']:8} {rows[name]['distinct']:8} {rows[name]['mismatches']:10} "
            f"{rows[name]['errors']:7} {rows[name]['serial_s']:9} {rows[name]['threads_s']:9}",
            flush=True,
        )

    for name in detectors:
        if given.only and name not in given.only:
            continue
        try:
            detector: Any = get_detector(name)
        except fiducia.UsageError as error:
            print(f"{name:>10}: {error}")
            continue

        def detect(picture: Any, detector: Any = detector) -> bytes:
            return b"".join(
                np.array([*one.box, one.score, one.roll], np.float64).tobytes() for one in detector(picture)
            )

        row(name, detect)
    for name in runtimes:
        if given.only and name not in given.only:
            continue
        if not runtimes[name].installed:
            print(f"{name:>10}: not installed")
            continue
        predictor = fiducia.load("fifa_tiny", detector=None, device="cpu", runtime=name, second_pass=False)

        def predict(picture: Any, predictor: Any = predictor) -> bytes:
            side = picture.shape[0]
            (face,) = predictor(picture, boxes=[[0.2 * side, 0.2 * side, 0.8 * side, 0.8 * side]])
            return bytes(face.xy.tobytes() + face.confidence.tobytes())

        row(name, predict)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=2) + "\n")
    good = bool(rows) and not any(one["mismatches"] or one["errors"] for one in rows.values())
    print("all identical" if good else "NOT identical")
    sys.exit(not good)


if __name__ == "__main__":
    main()
