"""The faces that a calibration is fitted to: held-out faces of a recipe, and whole data sets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...data.source import load_records
from ...data.usable import usable
from ...errors import UsageError
from ...recipes.files import load_recipe
from ...structures import Record
from ...training.faces import split_records
from ...weights.store import read_card

__all__ = ["calibration_faces"]


def calibration_faces(
    weights: str | Path,
    data: Sequence[str],
    recipe: str | None = None,
    sets: Sequence[str] = (),
    *,
    split: str = "train",
    limit: int | None = None,
) -> dict[str, list[Record]]:
    """Return faces by the name of what they come from.

    Args:
        weights: their landmark set is the faces'.
        data: ``NAME:ROOT`` of whole data sets.
        recipe: its validation faces are used too; None = no recipe.
        sets: ``key=value`` for the recipe.
        split: of ``data``.
        limit: so many faces of each at most, evenly spread; None = all.

    Raises:
        UsageError: unknown names, a landmark set that does not fit, or no face.
        FiduciaError: files that cannot be read.
    """
    scheme = read_card(weights).scheme
    groups: dict[str, list[Record]] = {}
    if recipe is not None:
        groups[f"validation faces of {Path(recipe).stem}"] = split_records(
            load_recipe(recipe, list(sets)).data
        ).validation
    for source in data:
        groups[f"{source.partition(':')[0]} {split}"] = usable(load_records(source, split, scheme))[0]
    for name, records in groups.items():
        if not records:
            raise UsageError(f"{name}: no face to calibrate by")
        if records[0].scheme != scheme:
            raise UsageError(f"{name}: its faces have {records[0].scheme}, the weights give {scheme}")
        if limit is not None and len(records) > limit:
            groups[name] = [records[i * len(records) // limit] for i in range(limit)]
    return groups
