"""Which part of a data set is the test set, whether it is all there, and the subsets that papers report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..data.readers.w300 import PARTS, SPLITS
from ..data.source import DatasetSpec
from ..errors import FiduciaError, UsageError
from ..structures import Record

__all__ = ["default_split", "is_partial", "require_parts", "subsets"]


def default_split(spec: DatasetSpec) -> str:
    """Return the test split of a data set: ``full``, or ``test``.

    Raises:
        UsageError: it has neither.
    """
    for name in ("full", "test"):
        if name in spec.splits:
            return name
    known = ", ".join(spec.splits) or "all, or a name of your own"
    raise UsageError(f"{spec.name} has no test split of its own; choose one with --split: {known}")


def is_partial(official: int | None, faces: int) -> bool:
    """Whether faces are absent, lost or left out, that a split officially has; False where no official number is known.

    Readers refuse a benchmark of which a list or a part is absent; of a split that is merely short the figures are
    computed, and this is stamped on them.
    """
    return official is not None and faces < official


def require_parts(data: str, root: str, split: str, records: Sequence[Record]) -> None:
    """Refuse a split of 300-W of which a whole part is absent: its figures would pass for the full ones.

    Raises:
        FiduciaError: the message tells which parts are there.
    """
    if data != "300w":
        return
    there = {record.tags.get("part") for record in records}
    absent = [part for part in SPLITS[split] if part not in there]
    if absent:
        present = [part for part in PARTS if (Path(root).expanduser() / part).is_dir()]
        raise FiduciaError(
            f"{data}:{root}: split {split!r} is not all there: no {' and no '.join(absent)}; found {', '.join(present)}; "
            f"add what is absent, or choose a part with --split {next((p for p in present if p in there), present[0])}"
        )


def subsets(data: str, records: Sequence[Record]) -> dict[str, npt.NDArray[np.bool_]]:
    """Return the named subsets of some faces as masks ``(N,)``, without the set of all and without empty ones.

    They are the parts where there are several, 300-W's common and challenge, and every tag that is true or false
    (WFLW's pose, expression …; AFLW's frontal).
    """
    parts = np.array([str(record.tags.get("part", "")) for record in records])
    masks: dict[str, npt.NDArray[np.bool_]] = {}
    if data == "300w":
        masks |= {name: np.isin(parts, SPLITS[name]) for name in ("common", "challenge")}
    masks |= {str(part): parts == part for part in dict.fromkeys(parts.tolist()) if part}
    flags = dict.fromkeys(key for record in records for key, value in record.tags.items() if isinstance(value, bool))
    masks |= {key: np.array([record.tags.get(key) is True for record in records]) for key in flags}
    return {name: mask for name, mask in masks.items() if 0 < mask.sum() < len(records)}
