"""What tests read of a folder of results, and a listener that keeps what it hears."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from light_predictor import LightPredictor

from fiducia.annotate.annotator import Annotator
from fiducia.annotate.job import Job
from fiducia.annotate.parts import done_chunks, read_part
from fiducia.annotate.reports import ChunkReport
from fiducia.annotate.units import Chunk

__all__ = ["Heard", "here", "rows"]


class Heard:
    """Keeps what a run tells."""

    def __init__(self) -> None:
        self.total = self.before = 0
        self.reports: list[ChunkReport] = []

    def planned(self, total: int, done: int) -> None:
        self.total, self.before = total, done

    def chunk(self, report: ChunkReport) -> None:
        self.reports.append(report)


def here(job: Job, chunks: Sequence[Chunk]) -> Iterator[ChunkReport]:
    """An engine that works in this process."""
    yield from map(Annotator(job, LightPredictor()), chunks)


def only(count: int) -> Callable[[Job, Sequence[Chunk]], Iterator[ChunkReport]]:
    """An engine that ends after so many chunks."""

    def engine(job: Job, chunks: Sequence[Chunk]) -> Iterator[ChunkReport]:
        yield from here(job, chunks[:count])
        raise KeyboardInterrupt

    return engine


def rows(out: Path | str, table: str) -> list[dict[str, Any]]:
    """Return all rows of a table, in the order of the photographs."""
    out = Path(out)
    return [row for number in sorted(done_chunks(out)) for row in read_part(out, table, number).to_pylist()]
