"""A worker of the local engine: a process that is told what to do on its standard input, a line of JSON at a time."""

from __future__ import annotations

import json
import os
import queue
import threading
from typing import Any, BinaryIO

from ..cpu import use_threads
from ..errors import FiduciaError, PlaceLost, UsageError
from ..plugins import load_entry_points
from .job import Job
from .units import Chunk

__all__ = ["main"]


def main() -> None:
    """Load the weights, then annotate the chunks that come; end at once when the driver is gone."""
    # Libraries get other streams: what they print on standard output would be taken for an answer, and a process that one
    # of them forks closes its standard input, for which it would wait where a thread of its parent reads from it.
    orders, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", buffering=0)
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.dup2(2, 1)
    words: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(orders, words), daemon=True).start()
    job = Job.from_json(json.loads(words.get()))
    try:
        _work(job, words, answers)
    except FiduciaError as error:
        kind = "usage" if isinstance(error, UsageError) else "lost" if isinstance(error, PlaceLost) else "error"
        _say(answers, {"kind": kind, "error": str(error)})
    except MemoryError:
        _say(answers, {"kind": "error", "error": "a worker has not enough memory; use fewer --workers"})


def _work(job: Job, words: queue.SimpleQueue[bytes], answers: BinaryIO) -> None:
    use_threads(job.threads)
    load_entry_points()
    from .annotator import Annotator

    annotate = Annotator(job)
    _say(answers, {"kind": "ready"})
    while True:
        report = annotate(Chunk.from_json(json.loads(words.get())))
        _say(answers, {"kind": "done", "report": report.to_json()})


def _listen(orders: BinaryIO, words: queue.SimpleQueue[bytes]) -> None:
    """Pass the driver's lines on. Where there are no more, the driver has no use for this process, or was killed."""
    for line in orders:
        words.put(line)
    os._exit(0)


def _say(answers: BinaryIO, table: dict[str, Any]) -> None:
    answers.write(json.dumps(table).encode() + b"\n")
