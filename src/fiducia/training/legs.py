"""The beginning of a stage: its network, losses and optimiser, from the weights of the stage before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from ..errors import UsageError
from ..models.base import LandmarkModel
from ..recipes.sections import Recipe
from ..schemes.sets import Scheme
from ..weights.backbone import load_backbone
from ..weights.transfer import init_from
from .cards import start_of
from .ema import EMA
from .faces import RunFaces, mean_face
from .loop import Leg
from .optim import build_optimizer
from .setup import build_network, build_objective
from .state import RunState

__all__ = ["check_sizes", "place_of", "start_leg"]


def place_of(legs: Sequence[Recipe], number: int) -> Leg:
    """Return the place of stage ``number``, counted from 0, among the recipes of all stages."""
    epochs = [leg.train.epochs for leg in legs]
    own = legs[number]
    return Leg(train=own.train, optim=own.optim, before=sum(epochs[:number]), total=sum(epochs))


def check_sizes(legs: Sequence[Recipe], scheme: Scheme) -> None:
    """Refuse stages whose networks cannot start from one another, before anything is trained.

    Raises:
        UsageError: tensors depend on the crop's side, and the network has no way to fit them to another.
    """
    for number, (one, other) in enumerate(pairwise(legs), start=2):
        if one.data.size != other.data.size:
            _fitted(build_network(other, scheme), build_network(one, scheme).state_dict(), number)


def start_leg(
    legs: Sequence[Recipe],
    number: int,
    faces: RunFaces,
    *,
    before: RunState | None,
    init: str | None,
    saved: dict[str, Any] | None,
) -> RunState:
    """Return the state at the beginning of a stage, or where a checkpoint left it.

    Args:
        legs: the recipes of all stages.
        number: the stage, from 0.
        faces: of the stage.
        before: the end of the stage before; None in the first one, and for a checkpoint.
        init: weights for the first stage to start from.
        saved: a checkpoint of this stage.

    Raises:
        UsageError, FiduciaError: weights that do not fit or cannot be read.
    """
    recipe, scheme = legs[number], faces.scheme
    # A number of its own for each stage, so that a run killed between two stages draws what an unbroken one does.
    torch.manual_seed(recipe.train.seed + 1_000_003 * number)
    model = build_network(recipe, scheme)
    face = mean_face(faces.training, recipe.data)
    if face is not None:
        model.prepare(face)
    fresh: list[str] = []
    start = dict(before.start) if before is not None else {}
    if saved is None and before is None:
        if recipe.model.backbone_weights is not None:
            load_backbone(model, recipe.model.backbone_weights)
        if init is not None:
            fresh = init_from(model, init, kind=recipe.model.name, twin=lambda other: build_network(recipe, other))
            start = start_of(init)
    elif before is not None:
        ended = before.ema.state_dict() if before.ema.decay > 0 else before.model.state_dict()
        model.load_state_dict(_fitted(model, {name: tensor.cpu() for name, tensor in ended.items()}, number + 1))
    objective = build_objective(recipe, scheme, model)
    optimizer = build_optimizer(model, objective.parameters(), recipe.optim)
    ema = EMA(model, recipe.optim.ema)
    state = RunState(
        model=model, objective=objective, optimizer=optimizer, ema=ema, leg=number, fresh=fresh, start=start
    )
    if before is not None:
        state.step = state.leg_step = before.step
        state.epoch, state.history = before.epoch, before.history
    if saved is not None:
        state.load(saved)
    return state


def _fitted(model: LandmarkModel, tensors: Mapping[str, Tensor], number: int) -> dict[str, Tensor]:
    """Return the tensors of the stage before for the network of stage ``number``.

    Raises:
        UsageError: they do not fit.
    """
    fitted, own = model.adapted(tensors), model.state_dict()
    for name, tensor in own.items():
        if name not in fitted or fitted[name].shape != tensor.shape:
            raise UsageError(
                f"stage {number}: data.size = {model.size} needs another {name} than the stage before, and this network "
                "cannot resize it; give all stages one size"
            )
    # Larger maps may have fewer filters (hourglass.ffp_max); what is left over stays behind.
    return {name: fitted[name] for name in own}
