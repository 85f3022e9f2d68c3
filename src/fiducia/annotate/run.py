"""A whole run: what there is to do, what is done already, an engine for the rest, and the summary."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from .._version import __version__
from ..errors import UsageError
from ..locks import held
from ..weights.card import WeightCard
from ..weights.info import load_card
from .attempts import FOLDER
from .folder import DIGEST, settle
from .job import Job
from .parts import done_chunks, remove_unfinished
from .reports import ChunkReport
from .schema import require_pyarrow
from .sources import collect
from .units import Chunk, Unit, chunk_size, cut, digest

__all__ = ["Engine", "Listener", "annotate", "read_card"]

FORM = 2
"""Raised when what is written changes."""

Engine = Callable[[Job, Sequence[Chunk]], Iterator[ChunkReport]]
"""Works off chunks and yields what became of each."""


class Listener(Protocol):
    """Hears how far a run is."""

    def planned(self, total: int, done: int) -> None:
        """``total`` photographs are to be annotated, of which an earlier run has done ``done``."""

    def chunk(self, report: ChunkReport) -> None:
        """A chunk is written."""


def annotate(
    inputs: Sequence[str], job: Job, engine: Engine, listener: Listener, chunk: int | None = None
) -> dict[str, Any]:
    """Annotate all photographs; what an earlier run into the same folder has done is left as it is.

    Args:
        inputs: as :func:`fiducia.annotate.sources.collect` takes them.
        job: where to write, the weights and the options.
        engine: what works off the chunks.
        listener: hears how far it is.
        chunk: photographs a chunk; None = by their number.

    Returns:
        what the folder says of its run: weights, options, number of photographs.

    Raises:
        UsageError: wrong use, or the folder holds another run.
        PlaceLost: the disk is full; the parts that are written are whole.
        FiduciaError: nothing can be used, or another run writes into the folder.
    """
    require_pyarrow()
    card = read_card(job.weights)
    units = collect(inputs, job.folder, job.column)
    facts = _facts(job, card, units, chunk or chunk_size(len(units)))
    chunks = cut(units, facts["chunk"])
    with held(job.folder, "fiducia annotate"):
        settle(job.folder, facts)
        remove_unfinished(job.folder)
        done = done_chunks(job.folder)
        todo = [one for one in chunks if one.number not in done]
        listener.planned(len(units), sum(len(one.units) for one in chunks if one.number in done))
        if todo:
            try:
                for report in engine(replace(job, run=secrets.token_hex(8)), todo):
                    listener.chunk(report)
            finally:
                remove_unfinished(job.folder)
        left = {one.number for one in chunks} - done_chunks(job.folder)
        if left:
            raise UsageError(
                f"--out {job.out}: {len(left)} parts are missing; were they removed while they were written?"
            )
        _tidy(job.folder)
    return facts


def read_card(weights: str) -> WeightCard:
    """Return the model card of weights or of an exported file, without loading them and without torch.

    Raises:
        UsageError: no such weights.
        FiduciaError: a damaged file.
    """
    from ..exporting.sealed import is_export

    if is_export(weights):
        from ..runtimes import opening

        return opening.read_card(weights)
    return load_card(weights)


def _facts(job: Job, card: WeightCard, units: Sequence[Unit], chunk: int) -> dict[str, Any]:
    """Return what must be the same in a run that goes on."""
    return {
        "form": FORM,
        "version": __version__,
        "photographs": len(units),
        DIGEST: digest(units),
        "chunk": chunk,
        "weights": card.name,
        "weights_sha256": card.sha256,
        "scheme": card.scheme,
        **job.facts(),
    }


def _tidy(out: Path) -> None:
    """Remove the marks of chunks in work: there are none, but for those of actors that outlive a killed run by seconds."""
    folder = out / FOLDER
    with contextlib.suppress(OSError):
        for path in folder.glob("*.json"):
            path.unlink(missing_ok=True)
        folder.rmdir()
