"""Fit a shape regressor to trained weights: what their points still lack on training faces, by a linear map of the shape."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ..augment.views import EvalViews, TrainViews
from ..config import FiFAConfig, ModelConfig, Recipe
from ..data.dataset import FaceDataset, Views, collate
from ..metrics.errors import nme, normalizer, point_errors
from ..models.build import build_model
from ..models.shape import ShapeRegressor
from ..models.weights import load_weights, save_weights
from ..predict.runtime import crop_points
from ..schemes import Scheme
from ..structures import FiduciaError, Record, UsageError
from .train import split_records

__all__ = ["ShapeFit", "fit_shape"]

_UNSPOILT = {"occlusion": 0.0, "noise": 0.0, "gray": 0.0, "gamma": False, "blur": False, "random_mask": 0.0}


@dataclass(frozen=True)
class ShapeFit:
    """NME in percent on a recipe's held-out faces, without and with the regressor (nan where none are held out), and counts."""

    before: float
    after: float
    views: int
    held_out: int


def fit_shape(weights: str | Path, recipe: Recipe, out: Path, *, ridge: float = 100.0, passes: int = 2) -> ShapeFit:
    """Write weights with a :class:`~fiducia.models.shape.ShapeRegressor` fitted to a recipe's training faces.

    The faces are seen as in training as far as geometry goes (``recipe.augment``), but never spoilt: no occlusion, noise or
    FiFA squares. Choose ``ridge`` by the held-out faces that come with the result.

    Args:
        weights: named as in :func:`fiducia.models.weights.find_weights`; an older regressor of theirs is replaced.
        recipe: the data, its split, and the warps; crop side and scale must be the weights' own.
        out: the safetensors file.
        ridge: see :meth:`ShapeRegressor.fit`.
        passes: draws of warps a training face, times the recipe's views.

    Raises:
        UsageError: a network that takes no regressor, or a recipe of another crop or landmark set.
        FiduciaError: unreadable faces or weights; no training face with all its points.
    """
    old, card = load_weights(weights)
    training, validation, scheme = split_records(recipe)
    for key, ours, theirs in (
        ("data.size", recipe.data.size, card.size),
        ("data.scale", recipe.data.scale, card.scale),
        ("landmark set", scheme.name, card.scheme),
    ):
        if ours != theirs:
            raise UsageError(
                f"{weights}: its {key} is {theirs!r}, the recipe's {ours!r}; take the recipe it was trained by"
            )
    config = ModelConfig(name=card.model, options={**card.options, "shape": True})
    model = build_model(config, card.num_points, card.size, preset_options=False)
    model.load_state_dict({k: v for k, v in old.state_dict().items() if not k.startswith("shape.")}, strict=False)
    model.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    regressor = model.shape
    assert isinstance(regressor, ShapeRegressor)

    plain = recipe.augment.model_copy(update={**_UNSPOILT, "fifa": FiFAConfig(enabled=False)})
    views = TrainViews(recipe.data, plain, scheme, passes)
    points, truth = _find(model, training, views, passes, recipe)
    held = _find(model, validation, EvalViews(recipe.data), 1, recipe)
    before = _nme(*held, scheme)
    try:
        regressor.fit(points, truth, ridge)
    except ValueError as error:
        raise FiduciaError(f"{recipe.data.source}: {error}; found {len(points)} such views") from None
    with torch.no_grad():
        after = _nme(regressor(held[0]), held[1], scheme)
    note = {"ridge": ridge, "views": len(points), "data": recipe.data.source.partition(":")[0]}
    changed = {"options": config.options, "numbers": [], "training": {**card.training, "shape": note}}
    save_weights(out, model.state_dict(), card.model_copy(update=changed))
    return ShapeFit(before=before, after=after, views=len(points), held_out=len(held[0]))


def _find(model: nn.Module, records: list[Record], views: Views, passes: int, recipe: Recipe) -> tuple[Tensor, Tensor]:
    """Return found and true points ``(N, K, 2)`` in crop pixels, of views whose every point is labelled."""
    dataset = FaceDataset(records, views, seed=recipe.train.seed, cache=False)
    found: list[Tensor] = []
    truth: list[Tensor] = []
    for epoch in range(1, passes + 1):
        dataset.set_epoch(epoch)
        for batch in DataLoader(dataset, batch_size=16, collate_fn=collate):
            xy = batch.xy.flatten(0, 1)
            whole = torch.isfinite(xy).flatten(1).all(1)
            if whole.any():
                found.append(crop_points(model, batch.images.flatten(0, 1)[whole], recipe.heatmap.decode)[0])
                truth.append(xy[whole])
    empty = torch.zeros(0, int(model.num_points), 2)  # type: ignore[arg-type]
    return torch.cat([empty, *found]), torch.cat([empty, *truth])


def _nme(points: Tensor, truth: Tensor, scheme: Scheme) -> float:
    if not len(points):
        return float("nan")
    true = truth.double().numpy()
    lengths = normalizer("ic" if scheme.inter_ocular is not None else "box", true, scheme)
    return 100.0 * float(nme(point_errors(points.double().numpy(), true), lengths).mean())
