"""``[[stage]]``: a run of several legs, each a recipe of its own.

A leg is the run's recipe with the stage's tables laid over it. It starts from the averaged weights of the leg before, with a
new optimiser and its own warm-up and schedule; epochs are counted through the whole run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import UsageError
from .merge import merge_tables
from .sections import Recipe

__all__ = ["stage_recipes", "stage_tables"]

_OF_THE_RUN = {
    "data": ("source", "split", "scheme", "exclude", "val_fraction", "val_seed", "together", "box_source", "limit"),
    "train": ("seed", "device", "devices", "num_nodes", "workers", "threads", "deterministic"),
}
"""Keys that all legs share: with another choice of faces, validation faces of one leg would be trained on in the next."""


def stage_recipes(recipe: Recipe) -> tuple[Recipe, ...]:
    """Return the recipe of each leg, in order; a recipe without stages is its own only leg.

    Raises:
        UsageError: a stage changes what belongs to the whole run.
    """
    if not recipe.stage:
        return (recipe,)
    base = recipe.model_dump(exclude_unset=True)
    tables = [stage.model_dump(exclude_unset=True) for stage in recipe.stage]
    return tuple(Recipe.model_validate(table) for table in stage_tables(base, tables))


def stage_tables(base: Mapping[str, Any], stages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the nested tables of each leg: the run's, with a stage's laid over them.

    Raises:
        UsageError: as :func:`stage_recipes`.
    """
    for number, stage in enumerate(stages, start=1):
        for section, keys in _OF_THE_RUN.items():
            for key in keys:
                if key in stage.get(section, {}):
                    raise UsageError(
                        f"stage {number}: {section}.{key} is the same in all stages; put it into [{section}]"
                    )
    rest = {key: value for key, value in base.items() if key != "stage"}
    return [merge_tables(rest, stage) for stage in stages]
