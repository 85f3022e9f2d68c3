"""The model card of a training run's weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..models.registry import find_preset
from ..recipes.merge import merge_tables
from ..recipes.sections import Recipe
from ..schemes.sets import Scheme
from ..weights.card import WeightCard
from ..weights.info import load_card
from ..weights.pretrained import origin_of

__all__ = ["run_card", "start_of"]


def run_card(
    recipe: Recipe,
    scheme: Scheme,
    *,
    which: str,
    numbers: list[dict[str, Any]],
    command: str,
    date: str,
    legs: Sequence[Recipe] = (),
    start: Mapping[str, str] = MappingProxyType({}),
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
        start: the weights that the run started from, in words (:func:`start_of`).
    """
    data = recipe.data
    preset, encoder = find_preset(recipe.model.name), recipe.model.backbone_weights
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
            **({"encoder": origin_of(encoder)} if encoder is not None else {}),
            **start,
        },
        numbers=numbers,
        plugins=[Path(path).name for path in recipe.plugins],
        command=command,
        date=date,
    )


def start_of(name: str) -> dict[str, str]:
    """Return what the card of a run says of the trained weights that it started from.

    They bring their encoder's origin and their faces with them, whose terms hold for what is trained from them too.

    Args:
        name: of the weights, as in :func:`fiducia.weights.places.find_weights`.

    Raises:
        UsageError: no such weights.
        FiduciaError: a damaged file.
    """
    card = load_card(name)
    faces = card.training.get("data", "not named by its card")
    told = f"{card.name}, sha256 {card.sha256[:12]}, faces: {faces}"
    encoder = card.training.get("encoder")
    return {"init": f"{told}; {card.licence}", **({"encoder": str(encoder)} if encoder else {})}
