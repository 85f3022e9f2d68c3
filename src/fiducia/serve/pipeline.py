"""One photograph's way: header, decoding and detection in a thread pool, landmarks in the network's thread."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from ..cpu import available_cpus
from ..faces import Face, Faces
from ..predict.batches import Found
from ..predict.inputs import Photo
from .batching import Batcher
from .bodies import Upload
from .engine import Engine, header_of
from .gate import Budget
from .observe import Metrics

T = TypeVar("T")

__all__ = ["Outcome", "Pipeline"]

_SMALL = 256 << 10
"""Bytes that are looked through in well below a millisecond."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of a photograph.

    Attributes:
        photo: decoded.
        faces: with landmarks, in its pixels.
        remarks: what to know of the file.
        stages: seconds by stage.
    """

    photo: Photo
    faces: Sequence[Face]
    remarks: tuple[str, ...]
    stages: dict[str, float]


class Pipeline:
    """Runs photographs through an engine: any number at a time, in bounded memory.

    Args:
        engine: what computes.
        metrics: what is told of each stage.
        workers: threads that decode and detect; None = the CPUs of this process, at least two.
    """

    def __init__(self, engine: Engine, metrics: Metrics, workers: int | None = None) -> None:
        self.engine = engine
        self.metrics = metrics
        self._pool = ThreadPoolExecutor(workers or max(2, available_cpus()), thread_name_prefix="photograph")
        self._decoded = Budget(engine.limits.max_decoded)
        self.batcher: Batcher[Found, tuple[Faces, float, float]] = Batcher(
            self._compute, on_batch=metrics.batches.observe
        )
        metrics.waiting.set_function(lambda: self.batcher.waiting)

    async def run(self, work: Callable[[], T], size: int = _SMALL + 1) -> T:
        """Run a function in the pool, or at once where it works on few bytes: passing it on would take longer."""
        if size <= _SMALL:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def photograph(self, upload: Upload, weights: str, detector: str) -> Outcome:
        """Return the faces of a photograph. When the caller is cancelled, what has not begun is left out.

        Raises:
            Problem: the photograph or its boxes cannot be used.
        """
        header = await self.run(lambda: header_of(upload, self.engine.limits), len(upload.data))
        async with self._decoded.lend(header.width * header.height * max(1, header.bits // 8)):
            start = time.monotonic()
            found, remarks, future, middle = await self.run(lambda: self._find(upload, weights, detector))
            stages = {"find": middle - start}
            faces: Sequence[Face] = []
            if future is not None:
                computed, begun, ended = await asyncio.wrap_future(future)
                faces = computed
                stages |= {"wait": begun - middle, "network": ended - begun}
        for stage, seconds in stages.items():
            self.metrics.stages.labels(stage).observe(seconds)
        self.metrics.photographs.inc()
        self.metrics.faces.inc(len(faces))
        return Outcome(found[0], faces, remarks, stages)

    def _find(
        self, upload: Upload, weights: str, detector: str
    ) -> tuple[Found, tuple[str, ...], Future[tuple[Faces, float, float]] | None, float]:
        """Decode and detect, and hand the faces in at once: the network need not wait for the event loop."""
        with self.batcher.coming() as submit:
            found, remarks = self.engine.find(detector, upload)
            ended = time.monotonic()
            future = submit(weights, found, len(found[1])) if found[1] else None
        return found, remarks, future, ended

    def _compute(self, weights: str, found: Sequence[Found]) -> list[tuple[Faces, float, float]]:
        begun = time.monotonic()
        faces = self.engine.landmarks(weights, found)
        ended = time.monotonic()
        return [(one, begun, ended) for one in faces]

    def close(self) -> None:
        """Finish what has begun, then end all threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self.batcher.close()
