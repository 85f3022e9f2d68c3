"""A recipe → the parts of a run, each checked before anything is read: the resolved recipe, network, losses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ..augment.registry import extras
from ..data.source import find_dataset
from ..errors import UsageError
from ..losses.base import LossContext
from ..losses.objective import Objective
from ..losses.registry import losses
from ..losses.targets import HeatmapTargets
from ..models.base import LandmarkModel
from ..models.bounded import TooLargeError, without_memory
from ..models.build import build_model
from ..models.registry import find_preset
from ..recipes.sections import LossConfig, Recipe
from ..recipes.stages import stage_recipes
from ..registry import did_you_mean
from ..schemes.sets import Scheme, SchemeError, get_scheme
from ..structures import ModelOutput
from .optim import build_optimizer, schedules

__all__ = ["build_network", "build_objective", "completed", "loss_tables", "probe", "resolve"]


def resolve(recipe: Recipe) -> Recipe:
    """Return the recipe with the network's own size filled in.

    Raises:
        UsageError: an unknown network.
    """
    size = recipe.data.size or find_preset(recipe.model.name).size
    return recipe.model_copy(update={"data": recipe.data.model_copy(update={"size": size})})


def build_network(recipe: Recipe, scheme: Scheme) -> LandmarkModel:
    """Build the recipe's network.

    Args:
        recipe: the run.
        scheme: the landmark set.

    Raises:
        UsageError: an unknown network or option, sizes that do not divide, or a decoder that the network lacks.
    """
    cfg = recipe.model
    model = build_model(cfg.name, scheme.num_points, recipe.data.size, options=cfg.options, scheme=scheme)
    try:
        model.check_method(recipe.heatmap.decode)
    except UsageError as error:
        raise UsageError(f"heatmap.decode: {error}") from error
    return model


@torch.no_grad()
def probe(model: LandmarkModel) -> ModelOutput:
    """Return what a network gives for one black crop; its state is as before."""
    training = model.training
    try:
        return model.eval()(torch.zeros(1, 3, model.size, model.size, device=next(model.parameters()).device))
    finally:
        model.train(training)


def loss_tables(recipe: Recipe, default: Mapping[str, Mapping[str, Any]]) -> dict[str, LossConfig]:
    """Return the losses of a run, those of weight 0 too.

    Where the recipe names a loss of a single view by its kind, its tables are the whole sum. Otherwise they change, and add
    to, the loss that the network was published with.

    Args:
        recipe: the run.
        default: the network's published loss, as tables.

    Raises:
        UsageError: an unknown kind, or a table without a kind that changes nothing.
    """
    whole = False
    for name, table in recipe.loss.items():
        if table.kind:
            whole |= losses.get(table.kind, f"loss.{name}.kind: ").views == 1 and table.weight > 0
    tables: dict[str, dict[str, Any]] = {} if whole else {name: dict(table) for name, table in default.items()}
    for name, table in recipe.loss.items():
        given = table.model_dump(exclude_unset=True)
        published = default.get(name, {})
        if not table.kind and not published:
            if table.weight == 0:
                continue
            raise UsageError(
                f'loss.{name}: has no kind{did_you_mean(name, list(default))}; set loss.{name}.kind = "..."'
            )
        same = not table.kind or table.kind == published.get("kind")
        tables[name] = {**published, **given} if same else given
    return {name: LossConfig.model_validate(table) for name, table in tables.items()}


def completed(recipe: Recipe) -> Recipe:
    """Return a recipe as its run will see it: the network's size and losses filled in, and every name checked.

    Nothing is read: names of data, landmark sets, networks, losses, optimisers, schedules and decoders are looked up, and
    the network is built on a device that takes no memory.

    Raises:
        UsageError: a name or a value that cannot be used.
    """
    recipe = resolve(recipe)
    for source in recipe.data.sources:
        spec, _ = find_dataset(source)
        if spec.splits and recipe.data.split not in spec.splits:
            near = did_you_mean(recipe.data.split, list(spec.splits))
            raise UsageError(f"data.split: {source} has no split {recipe.data.split!r}{near}")
    try:
        names = [recipe.data.scheme] if recipe.data.scheme else [*spec.schemes, "ibug68"]
        scheme = get_scheme(names[0])
    except SchemeError as error:
        raise UsageError(f"data.scheme: {error}") from error
    schedules.get(recipe.optim.schedule, "optim.schedule: ")
    extras(recipe.augment.extra)
    try:
        with without_memory():
            model = build_network(recipe, scheme)
            objective = build_objective(recipe, scheme, model)
    except TooLargeError as error:
        raise UsageError(f"model: {recipe.model.name} cannot be built as the recipe says: {error}") from error
    build_optimizer(model, objective.parameters(), recipe.optim)
    whole = recipe.model_copy(update={"loss": dict(objective.given)})
    for number, leg in enumerate(stage_recipes(whole) if whole.stage else (), start=1):
        try:
            completed(leg)
        except UsageError as error:
            raise UsageError(f"stage {number}: {error}") from error
    return whole


def build_objective(recipe: Recipe, scheme: Scheme, model: LandmarkModel) -> Objective:
    """Build the run's losses for a network.

    Raises:
        UsageError: a loss that does not exist, that needs what the network does not give, or that needs two views.
    """
    try:
        default = model.default_loss()
    except NotImplementedError as error:
        if not recipe.loss:
            raise UsageError(str(error)) from error
        default = {}
    tables = loss_tables(recipe, default)
    views = recipe.augment.views
    for name, table in tables.items():
        if table.weight > 0 and losses.get(table.kind, f"loss.{name}.kind: ").views > views:
            raise UsageError(
                f"loss.{name}: {table.kind!r} compares two views of a face: set augment.views = 2, or loss.{name}.weight = 0"
            )
    heatmap = recipe.heatmap
    drawing = HeatmapTargets(
        sigma=heatmap.sigma, radius=heatmap.radius, quantize=heatmap.quantize_centers, norm=heatmap.heatmap_norm
    )
    context = LossContext.of(probe(model), scheme, model.size)
    return Objective(tables, context, drawing=drawing, supervise=recipe.augment.supervise)
