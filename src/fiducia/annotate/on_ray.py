"""``--engine ray``: Ray Data's ``map_batches`` over chunks, with a pool of actors on this machine or a cluster.

The actors write the same parts as the local engine's workers, so the rows are the same. Ray starts an actor that died again and
repeats its chunk; :mod:`fiducia.annotate.attempts` narrows down a chunk that kills every actor.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from ..cpu import available_cpus, use_threads
from ..errors import FiduciaError, PlaceLost, UsageError
from ..plugins import load_entry_points
from .job import Job
from .reports import ChunkReport
from .units import Chunk

__all__ = ["ChunkActor", "require_ray", "run_ray"]

_STORE = 100 << 20
"""Bytes of the object store of a Ray that is started here; only the names of photographs pass through it."""


class ChunkActor:
    """What an actor does; the weights are loaded once.

    Args:
        job: plain values of a :class:`~fiducia.annotate.job.Job`.
    """

    def __init__(self, job: dict[str, Any]) -> None:
        self.job = Job.from_json(job)
        use_threads(self.job.threads)
        self._annotate: Any = None

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Annotate the chunks of a batch; what ends the run is told in place of a report."""
        return {"answer": [json.dumps(self._answer(text)) for text in batch["chunk"]]}

    def _answer(self, text: str) -> dict[str, Any]:
        try:
            if self._annotate is None:
                load_entry_points()
                from .annotator import Annotator

                self._annotate = Annotator(self.job)
            return {"kind": "done", "report": self._annotate(Chunk.from_json(json.loads(str(text)))).to_json()}
        except UsageError as error:
            return {"kind": "usage", "error": str(error)}
        except PlaceLost as error:
            return {"kind": "lost", "error": str(error)}
        except FiduciaError as error:
            return {"kind": "error", "error": str(error)}


def require_ray() -> None:
    """Raise where Ray Data cannot be imported.

    Raises:
        UsageError: the extra is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # an actor that died is no news: it is started again
    try:
        import ray.data  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"--engine ray needs Ray Data ({error}); install the extra: pip install 'fiducia[ray]'"
        ) from None


def run_ray(
    job: Job, chunks: Sequence[Chunk], workers: int | None, address: str | None = None, gpus: float = 0.0
) -> Iterator[ChunkReport]:
    """Annotate chunks on Ray, and yield what became of each, in the order in which they are done.

    Args:
        job: what to do; its folder and the photographs must be seen by every node under the same path.
        chunks: that are not done yet.
        workers: number of actors; None = as many as the CPUs (or GPUs) of the cluster allow.
        address: of a running cluster, such as ``auto`` or ``ray://HOST:10001``; None = start Ray on this machine.
        gpus: of each actor; 0 = it computes on the CPU.

    Raises:
        PlaceLost: the disk is full.
        UsageError: Ray is not installed, or there is no cluster at the address.
        FiduciaError: the actors cannot do their work at all.
    """
    require_ray()
    import ray

    ours = not ray.is_initialized()
    if ours:
        _connect(ray, address)
    try:
        yield from _reports(ray, job, chunks, workers, gpus)
    finally:
        if ours:
            ray.shutdown()


def _connect(ray: Any, address: str | None) -> None:
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False, "configure_logging": True}
    if not address:
        # Not the cluster of an earlier "ray start": the user did not ask for it.
        quiet |= {"address": "local", "num_cpus": available_cpus(), "include_dashboard": False}
        quiet |= {"object_store_memory": _STORE}
    try:
        with _silent(), _same_signals():
            ray.init(**({"address": address} if address else {}), **quiet)
    except (ConnectionError, ValueError, RuntimeError, TimeoutError, OSError) as error:
        where = f"--address {address}" if address else "--engine ray"
        raise UsageError(f"{where}: Ray does not start ({' '.join(str(error).split())[:200]})") from None


@contextlib.contextmanager
def _same_signals() -> Iterator[None]:
    """Keep this program's handlers of Ctrl-C and SIGTERM: Ray puts its own in their place when it starts."""
    numbers = (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keep Ray's libraries from writing about their log level to standard error; what goes wrong is raised."""
    try:
        kept = os.dup(2)
    except OSError:
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _reports(ray: Any, job: Job, chunks: Sequence[Chunk], workers: int | None, gpus: float) -> Iterator[ChunkReport]:
    from ray.data import ActorPoolStrategy, DataContext, from_items

    context = DataContext.get_current()
    context.enable_progress_bars = False
    for name in ("ray.data", "ray"):
        logging.getLogger(name).setLevel(logging.ERROR)
    cluster = ray.cluster_resources()
    most = int(cluster.get("CPU", 0.0) // job.threads)
    most = min(most, int(cluster.get("GPU", 0.0) // gpus)) if gpus else most
    if most < 1:
        # Ray would wait for such a machine without a word.
        raise UsageError(
            f"--engine ray: an actor needs {job.threads} CPUs and {gpus:g} GPUs; Ray has {cluster.get('CPU', 0):g} CPUs and "
            f"{cluster.get('GPU', 0):g} GPUs; use other --threads or --device"
        )
    count = min(len(chunks), workers or most, most)
    rows = [{"chunk": json.dumps(chunk.to_json())} for chunk in chunks]
    data = from_items(rows, override_num_blocks=len(rows)).map_batches(
        ChunkActor,
        fn_constructor_args=(job.to_json(),),
        batch_size=1,
        compute=ActorPoolStrategy(size=count, max_tasks_in_flight_per_actor=1),
        num_cpus=job.threads,
        **({"num_gpus": gpus} if gpus else {}),
    )
    kinds: dict[str, type[FiduciaError]] = {"usage": UsageError, "lost": PlaceLost, "error": FiduciaError}
    answers = iter(data.iter_rows())
    while True:
        try:
            row = next(answers)
        except StopIteration:
            return
        except ray.exceptions.RayError as error:
            raise FiduciaError(f"--engine ray: {' '.join(str(error).split())[-300:]}") from None
        answer = json.loads(row["answer"])
        if answer["kind"] in kinds:
            with contextlib.suppress(Exception):
                answers.close()
            raise kinds[answer["kind"]](answer["error"])
        yield ChunkReport.from_json(answer["report"])
