"""``--engine local``: worker processes of this machine. One that dies is replaced, and its chunk is done again."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..cpu import thread_variables
from ..errors import FiduciaError, PlaceLost, UsageError
from .job import Job
from .reports import ChunkReport
from .units import Chunk

__all__ = ["run_local"]

_FALSE_STARTS = 3
"""Workers in a row that may end before they have loaded the weights."""
_PATIENCE = 5.0
"""Seconds that a worker may take to end."""
_LAST_WORDS = 1.0
"""Seconds in which the answers of a worker that has ended are read to their end."""
_KINDS: dict[str, type[FiduciaError]] = {"usage": UsageError, "lost": PlaceLost, "error": FiduciaError}
_START = "from fiducia.annotate.process import main; main()"


def run_local(job: Job, chunks: Sequence[Chunk], workers: int) -> Iterator[ChunkReport]:
    """Annotate chunks in processes, and yield what became of each, in the order in which they are done.

    Args:
        job: what to do.
        chunks: that are not done yet.
        workers: number of processes, each with ``job.threads`` threads.

    Raises:
        PlaceLost: the disk is full.
        FiduciaError: the workers cannot do their work at all.
    """
    pool = _Pool(job, chunks)
    try:
        for _ in range(min(workers, len(chunks))):
            pool.start()
        yield from pool.reports()
    finally:
        pool.stop()


class _Worker:
    """A process and the chunk that it is at."""

    def __init__(self, job: Job, told: queue.SimpleQueue[tuple[_Worker, bytes]]) -> None:
        self.chunk: Chunk | None = None
        self.ready = False
        package = str(Path(__file__).resolve().parents[2])
        paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", _START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **thread_variables(job.threads), "PYTHONPATH": os.pathsep.join(paths)},
            start_new_session=True,  # Ctrl-C reaches the driver alone
        )
        self.tell(job.to_json())
        self._listener = threading.Thread(target=self._listen, args=(told,), daemon=True)
        self._listener.start()
        threading.Thread(target=self._watch, args=(told,), daemon=True).start()

    def tell(self, table: dict[str, Any]) -> None:
        """Send a line; a worker that is gone is noticed where it is listened to."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.write(json.dumps(table).encode() + b"\n")
            self.process.stdin.flush()

    def _listen(self, told: queue.SimpleQueue[tuple[_Worker, bytes]]) -> None:
        """Pass its answers on."""
        assert self.process.stdout is not None
        with self.process.stdout as answers:
            for line in answers:
                told.put((self, line))

    def _watch(self, told: queue.SimpleQueue[tuple[_Worker, bytes]]) -> None:
        """Tell when it has ended. A process that one of its libraries forked may live on and hold the pipe open."""
        self.process.wait()
        self._listener.join(_LAST_WORDS)
        told.put((self, b""))

    def dismiss(self) -> None:
        """Tell it nothing more: it ends at once, whatever it is at."""
        with contextlib.suppress(OSError):
            self.process.stdin.close()  # type: ignore[union-attr]

    def wait(self) -> int:
        """Return its exit status once it has ended; one that does not end by itself is killed."""
        self.dismiss()
        try:
            status = self.process.wait(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self._listener.join(_LAST_WORDS / 5)
        return status


class _Pool:
    def __init__(self, job: Job, chunks: Sequence[Chunk]) -> None:
        self.job = job
        self.waiting = collections.deque(chunks)
        self.workers: set[_Worker] = set()
        self.told: queue.SimpleQueue[tuple[_Worker, bytes]] = queue.SimpleQueue()
        self.false_starts = 0

    def start(self) -> None:
        self.workers.add(_Worker(self.job, self.told))

    def reports(self) -> Iterator[ChunkReport]:
        """Hand out chunks until all are done."""
        while self.waiting or any(worker.chunk is not None for worker in self.workers):
            worker, line = self.told.get()
            if not line:
                self._ended(worker)
                continue
            answer = json.loads(line)
            if answer["kind"] in _KINDS:
                raise _KINDS[answer["kind"]](answer["error"])
            worker.ready, self.false_starts, worker.chunk = True, 0, None
            if self.waiting:
                worker.chunk = self.waiting.popleft()
                worker.tell(worker.chunk.to_json())
            if answer["kind"] == "done":
                yield ChunkReport.from_json(answer["report"])

    def _ended(self, worker: _Worker) -> None:
        """Replace a worker that died, and put its chunk back."""
        self.workers.discard(worker)
        status = worker.wait()
        if not worker.ready:
            self.false_starts += 1
            if self.false_starts >= _FALSE_STARTS:
                why = f"signal {-status}" if status < 0 else f"status {status}"
                raise FiduciaError(f"workers end before they have loaded the weights ({why}); use fewer --workers")
        if worker.chunk is not None:
            self.waiting.appendleft(worker.chunk)
        if len(self.workers) < len(self.waiting) + sum(w.chunk is not None for w in self.workers):
            self.start()

    def stop(self) -> None:
        """End all workers."""
        for worker in self.workers:
            worker.dismiss()
        for worker in self.workers:
            worker.wait()
