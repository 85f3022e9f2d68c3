"""The end of a run: count what the parts hold, and write the summary and, where it is wanted, the COCO file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import FiduciaError
from ..faces.plain import Origin
from ..files import text_bytes, write_atomic
from .figures import Figures, count
from .parts import done_chunks
from .summary import summary_page

__all__ = ["SUMMARY", "finish"]

SUMMARY = "summary.html"


def finish(out: Path, facts: Mapping[str, Any], coco: str | None = None) -> Figures:
    """Write ``summary.html`` and, if asked for, ``coco.json``; return what was found.

    Args:
        out: folder of a run that is done.
        facts: of the run, as :func:`fiducia.annotate.run.annotate` returns them.
        coco: write the COCO file too; the weights, whose model card has the landmark set.

    Raises:
        PlaceLost: the disk is full.
        FiduciaError: a part is missing or damaged, or not every photograph has its row.
    """
    chunks = sorted(done_chunks(out))
    found = count(out, chunks)
    if found.photographs != facts["photographs"]:
        raise FiduciaError(
            f"{out}: {found.photographs:,} photographs in the parts, {facts['photographs']:,} expected; "
            "parts were added or removed by hand; annotate into another folder"
        )
    if coco is not None:
        from ..weights.card import card_scheme
        from .coco import write_coco
        from .run import read_card

        scheme = card_scheme(read_card(coco))
        write_coco(out, chunks, scheme, Origin(facts["weights"], facts["weights_sha256"]))
    write_atomic(out / SUMMARY, text_bytes(summary_page(found, facts)))
    return found
