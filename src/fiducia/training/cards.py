"""The model card of a training run's weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..models.registry import find_preset
from ..recipes.merge import merge_tables
from ..recipes.sections import Recipe
from ..schemes.sets import Scheme
from ..weights.card import WeightCard
from ..weights.pretrained import origin_of

__all__ = ["run_card"]


def run_card(
    recipe: Recipe,
    scheme: Scheme,
    *,
    which: str,
    numbers: list[dict[str, Any]],
    command: str,
    date: str,
    legs: Sequence[Recipe] = (),
) -> WeightCard:
    """Return the card of a run's weights.

    Args:
        recipe: the run, its size filled in.
        scheme: the landmark set.
        which: ``ema``, ``last`` or ``best``.
        numbers: rows of data, split, metric and value.
        command: what started the run.
        date: ISO date.
        legs: the recipes of the stages up to this one, where the run has several.
    """
    data = recipe.data
    preset, start = find_preset(recipe.model.name), recipe.model.backbone_weights
    return WeightCard(
        name=recipe.name,
        model=recipe.model.name,
        options=merge_tables(preset.options, recipe.model.options),
        scheme=scheme.name,
        scheme_table=scheme.to_table(),
        num_points=scheme.num_points,
        size=data.size or preset.size,
        scale=data.scale,
        box_source=data.box_source,
        decode=recipe.heatmap.decode,
        mirror_bias=recipe.augment.mirror_bias,
        which=which,
        training={
            "data": " + ".join(source.partition(":")[0] for source in data.sources),
            "split": data.split,
            "exclude": list(data.exclude),
            **({"only": list(data.only)} if data.only else {}),
            "val_fraction": data.val_fraction,
            "epochs": recipe.train.epochs,
            "batch_size": recipe.train.batch_size,
            "views": recipe.augment.views,
            "losses": {name: [table.kind, table.weight] for name, table in recipe.loss.items()},
            "seed": recipe.train.seed,
            **({"stages": [{"size": leg.data.size, "epochs": leg.train.epochs} for leg in legs]} if legs else {}),
            **({"encoder": origin_of(start)} if start is not None else {}),
        },
        numbers=numbers,
        plugins=[Path(path).name for path in recipe.plugins],
        command=command,
        date=date,
    )
