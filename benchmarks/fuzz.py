"""Hostile and damaged inputs, drawn by code: ``python benchmarks/fuzz.py SEED N [KIND ...] [--seconds S]``.

Every module ``fuzz_NAME.py`` beside this one holds a :class:`Kind`: how an input is drawn, how it is read, and what is
wrong with what was read. Each input is tried in a child process that has 2.5 GB of memory and 10 seconds of the processor
(or 60 in which it waits). The report counts tracebacks, crashes, hangs, memory excess, and damaged inputs that were read
as if they were whole; the exit status is 1 where there is any. An input is drawn again by its number: ``python
benchmarks/fuzz.py SEED 1 KIND --first NUMBER``.
"""

from __future__ import annotations

import argparse
import collections
import importlib
import json
import os
import random
import resource
import select
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MEMORY = 2_500_000_000
SECONDS = 10.0
PATIENCE = 60.0
WRONG = ("traceback", "crash", "hang", "memory", "read as whole")


@dataclass(frozen=True)
class Kind:
    """One kind of input.

    Attributes:
        draw: a random generator → (what it is, in a word or two; the input).
        read: reads the input and returns what it holds; a FiduciaError is a right answer, any other error is not.
        judge: the input and what was read → what is wrong with it, or nothing.
    """

    draw: Callable[[random.Random], tuple[str, Any]]
    read: Callable[[Any], Any]
    judge: Callable[[Any, Any], str]


def kinds() -> list[str]:
    """Return the names of the kinds that lie beside this file."""
    return sorted(path.stem.removeprefix("fuzz_") for path in Path(__file__).parent.glob("fuzz_*.py"))


def try_one(kind: Kind, seed: str) -> dict[str, str]:
    """Draw, read and judge one input."""
    from fiducia.errors import FiduciaError

    name, given = kind.draw(random.Random(seed))
    try:
        found = kind.read(given)
    except FiduciaError as error:
        text = str(error)
        if "\n" in text:
            return {"name": name, "outcome": "traceback", "text": f"more than one line: {text!r}"}
        return {"name": name, "outcome": "memory" if "not enough memory" in text else "refused", "text": text[:200]}
    except MemoryError:
        return {"name": name, "outcome": "memory", "text": "MemoryError"}
    except Exception:
        return {"name": name, "outcome": "traceback", "text": traceback.format_exc()[-600:]}
    wrong = kind.judge(given, found)
    return {"name": name, "outcome": "read as whole" if wrong else "read", "text": wrong[:200]}


def child(name: str, seed: str, first: int, last: int) -> None:
    """Try inputs one after the other, and say a line of JSON for each."""
    sys.path.insert(0, str(Path(__file__).parent))
    kind: Kind = importlib.import_module(f"fuzz_{name}").KIND
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    out = os.fdopen(os.dup(1), "w")
    for number in range(first, last):
        answer = try_one(kind, f"{seed} {name} {number}")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        out.write(json.dumps({"number": number, "peak": round(peak, 3), **answer}) + "\n")
        out.flush()


def run(name: str, seed: str, first: int, last: int, until: float = float("inf")) -> list[dict[str, Any]]:
    """Try inputs in child processes; one that hangs or crashes is ended, and the next goes on behind it.

    Args:
        name: the kind.
        seed: as on the command line.
        first: number of the first input.
        last: the number behind that of the last one.
        until: the time of ``time.monotonic`` at which no more are tried; the start of a process is added to it.
    """
    answers: list[dict[str, Any]] = []
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    started = False
    while first < last and (time.monotonic() < until or not started):
        command = [sys.executable, __file__, seed, "0", "--child", name, str(first), str(last)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
        assert process.stdout is not None
        assert process.stderr is not None
        errors, line, over, ended, answered = b"", b"", False, False, False
        since, used = time.monotonic(), 0.0
        began, asleep = since, 0.0
        while first < last and (time.monotonic() < until or not started):
            ready = select.select([process.stdout, process.stderr], [], [], 0.5)[0]
            if not ready:
                # A process that is only short of the processor is not asleep.
                asleep += 0.5 * is_asleep(process.pid)
                waited = time.monotonic() - since
                if asleep > PATIENCE or (waited > SECONDS and processor_time(process.pid) - used > SECONDS):
                    over = True
                    break
                continue
            if process.stderr in ready:
                errors = (errors + os.read(process.stderr.fileno(), 65536))[-2000:]
            if process.stdout not in ready:
                if process.poll() is not None:
                    ended = True
                    break
                continue
            part = os.read(process.stdout.fileno(), 65536)
            if not part:
                ended = True
                break
            *done, line = (line + part).split(b"\n")
            if done and not answered:
                # What the inputs are made from, and what reads them, is loaded: that does not count.
                until, answered, started = until + time.monotonic() - began, True, True
            answers += [json.loads(text) for text in done]
            first += len(done)
            since, used, asleep = time.monotonic(), processor_time(process.pid), 0.0
        process.kill()
        process.wait()
        if first < last and (over or ended):
            started = True
            outcome = "hang" if over else "crash"
            text = (
                f"over {SECONDS:g} s"
                if over
                else f"status {process.returncode}: {errors.decode(errors='replace')[-300:]}"
            )
            answers.append({"number": first, "name": "?", "outcome": outcome, "text": text, "peak": 0})
            first += 1
        process.stdout.close()
        process.stderr.close()
    return answers


def is_asleep(process: int) -> bool:
    """Tell whether a process waits for something else than the processor or a disk; True where that is not known."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in ("R", "D")
    except OSError:
        return True


def processor_time(process: int) -> float:
    """Return the seconds that a process has computed, or by the clock where that is not known."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return time.monotonic()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def report(name: str, seed: str, answers: list[dict[str, Any]], seconds: float) -> int:
    """Print the counts, and each wrong answer once for each name and text; return how many there were."""
    counts = collections.Counter(answer["outcome"] for answer in answers)
    peak = max((answer["peak"] for answer in answers), default=0.0)
    row = ", ".join(f"{counts[key]} {key}" for key in ("read", "refused", *WRONG))
    print(f"{name}: {len(answers)} inputs in {seconds:.0f} s: {row}; largest process {peak:.2f} GB")
    wrong = [answer for answer in answers if answer["outcome"] in WRONG]
    shown: set[str] = set()
    for answer in wrong:
        key = answer["name"] + answer["text"][-80:]
        if key not in shown and len(shown) < 40:
            shown.add(key)
            print(
                f"  {seed} 1 {name} --first {answer['number']}: {answer['outcome']}: {answer['name']}: {answer['text']}"
            )
    return len(wrong)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seed")
    parser.add_argument("number", type=int)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"any of {', '.join(kinds())} [default: all]")
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop a kind after so long, done or not")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        child(chosen.child[0], chosen.seed, int(chosen.child[1]), int(chosen.child[2]))
        return
    wrong = 0
    for name in chosen.kinds or kinds():
        start = time.monotonic()
        answers = run(name, chosen.seed, chosen.first, chosen.first + chosen.number, start + chosen.seconds)
        wrong += report(name, chosen.seed, answers, time.monotonic() - start)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
