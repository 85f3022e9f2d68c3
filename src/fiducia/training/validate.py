"""Validation inside a run: NME on held-out faces of the last and of the averaged weights, and a picture of some faces."""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.utils.data import DataLoader

from ..data.dataset import FaceDataset, collate
from ..draw.pictures import contact_sheet, draw_points
from ..images import write_image
from ..metrics.errors import nme, normalizer, point_errors
from ..models.base import LandmarkModel
from ..recipes.sections import Recipe
from ..schemes.sets import Scheme
from ..weights.store import save_weights
from .cards import run_card
from .collections import collections_of
from .ema import EMA

__all__ = ["save_run_weights", "validate"]


def validate(
    fabric: Fabric,
    model: LandmarkModel,
    ema: EMA,
    held_out: FaceDataset,
    recipe: Recipe,
    scheme: Scheme,
    picture: Path | None,
) -> dict[str, float]:
    """Return ``val_nme`` and ``val_nme_ema`` in percent, and draw the first faces into ``picture``.

    Crops are upright and scaled alike in x and y, so an NME in crop pixels is the NME in the photograph's pixels. The
    normaliser is :func:`~fiducia.training.collections.collections_of`'s. A run with several sources has the averaged
    weights' ``val_nme_ema_NAME`` of each collection beside them, and its ``val_nme`` is the mean over the collections, else
    over the faces. Every process holds all the answers. Where no face can be measured, such as with points that are not
    finite, the figure is nan, which is never the best.
    """
    averaged = copy.deepcopy(model)
    averaged.load_state_dict(ema.state_dict())
    networks = {"val_nme": model, "val_nme_ema": averaged} if ema.decay > 0 else {"val_nme": model}
    collections = collections_of(held_out.records, scheme)
    kinds = {place: group.kind for group in collections for place in group.faces}
    training = model.training
    errors = {name: np.full(len(held_out), np.nan) for name in networks}
    shown: list[np.ndarray] = []
    mine = list(range(fabric.global_rank, len(held_out), fabric.world_size))
    loader = DataLoader(held_out, batch_size=32, sampler=mine, collate_fn=collate, generator=torch.Generator())
    for network in networks.values():
        network.eval()
    for batch in loader:
        truth = batch.xy[:, 0].double().numpy()
        images, places = batch.images[:, 0], batch.index.numpy()
        for name, network in networks.items():
            with torch.inference_mode():
                prediction = network.decode(network(images.to(fabric.device)), recipe.heatmap.decode)
            found = prediction.points.double().cpu().numpy()
            wrong = point_errors(found, truth)
            for kind in sorted(set(kinds.values())):
                of = np.array([kinds[place] == kind for place in places.tolist()])
                if of.any():
                    errors[name][places[of]] = nme(wrong[of], normalizer(kind, truth[of], scheme))
            if picture is not None and name == list(networks)[-1] and len(shown) < 16:
                shown += [
                    draw_points(draw_points(image, t, (90, 220, 90)), p, (255, 80, 60))
                    for image, t, p in zip(images.permute(0, 2, 3, 1).numpy(), truth, found, strict=True)
                ][: 16 - len(shown)]
    model.train(training)
    if picture is not None:
        write_image(picture, contact_sheet(shown, columns=4))
    result: dict[str, float] = {}
    several = len(recipe.data.sources) > 1
    for name, values in errors.items():
        by_name = {group.name: values[list(group.faces)] for group in collections}
        means = {key: _mean(fabric, part) for key, part in by_name.items()} if several else {}
        if name == list(networks)[-1]:
            result |= {f"{name}_{key}": value for key, value in means.items()}
        told = [value for value in means.values() if np.isfinite(value)]
        result[name] = float(np.mean(told or [np.nan])) if several else _mean(fabric, values)
    return result


def _mean(fabric: Fabric, errors: np.ndarray) -> float:
    """Return the mean in percent of the faces of all processes that have an error; nan where none has."""
    finite = errors[np.isfinite(errors)]
    totals = torch.tensor([finite.sum(), float(len(finite))], dtype=torch.float64)
    if fabric.world_size > 1:
        totals = torch.as_tensor(fabric.all_reduce(totals, reduce_op="sum"))
    return 100.0 * float(totals[0] / totals[1])


def save_run_weights(
    path: Path,
    model: LandmarkModel,
    ema: EMA,
    recipe: Recipe,
    scheme: Scheme,
    history: list[dict[str, float]],
    which: str,
    legs: Sequence[Recipe] = (),
    *,
    metric: str,
    start: Mapping[str, str],
) -> None:
    """Write ``last`` (the weights as they stand), or ``ema`` or ``best`` (the averaged ones) with their card.

    ``metric`` says what the validation figure is (:func:`~fiducia.training.collections.measure_of`), ``start`` which weights
    the run started from.
    """
    averaged = which != "last" and ema.decay > 0
    tensors: dict[str, Tensor] = ema.state_dict() if averaged else model.state_dict()
    rows: list[dict[str, Any]] = []
    if history:
        key = "val_nme_ema" if averaged else "val_nme"
        if np.isfinite(history[-1].get(key, np.nan)):
            rows.append(
                {
                    "data": " + ".join(source.partition(":")[0] for source in recipe.data.sources),
                    "split": f"{recipe.data.val_fraction:g} of {recipe.data.split}, by photograph, seed {recipe.data.val_seed}",
                    "metric": metric,
                    "value": history[-1][key],
                    "epoch": int(history[-1]["epoch"]),
                }
            )
    card = run_card(
        recipe,
        scheme,
        which=which,
        numbers=rows,
        command=" ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        date=datetime.now(UTC).date().isoformat(),
        legs=legs,
        start=start,
    )
    save_weights(path, {k: v.detach().cpu() for k, v in tensors.items()}, card)
