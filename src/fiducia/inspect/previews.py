"""Looking at what a run sees: augmented faces, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..augment.fiducial import resolve_interval
from ..augment.views import TrainViews
from ..data.dataset import FaceDataset
from ..draw.pictures import contact_sheet
from ..errors import UsageError
from ..recipes.sections import Recipe
from ..recipes.stages import stage_recipes
from ..schemes.sets import get_scheme
from ..training.setup import resolve
from .faces import some_faces, stage_at

__all__ = ["Sheet", "preview", "turning_epochs"]


@dataclass(frozen=True, eq=False)
class Sheet:
    """A contact sheet, uint8 ``(H, W, 3)`` RGB: ``faces`` rows, one column (or two) for each of ``epochs``."""

    image: npt.NDArray[np.uint8]
    faces: int
    epochs: list[int]


def turning_epochs(recipe: Recipe) -> list[int]:
    """Return the epochs at which FiFA's squares take another size, the last being the first without them.

    At the paper's 250 epochs these are 1, 6, 11, 16, 21 and 26. Epochs beyond the run's end are left out. Of a run in stages the
    first epoch of each is among them.
    """
    legs = stage_recipes(recipe)
    total = sum(leg.train.epochs for leg in legs)
    turns: set[int] = set()
    before = 0
    for leg in legs:
        config, last = leg.augment.fifa, before + leg.train.epochs
        turns.add(before + 1)
        if config.enabled:
            interval = resolve_interval(config.epoch_interval, total)
            turns |= {epoch for epoch in range(1, config.n * interval + 2, interval) if before < epoch <= last}
        before = last
    return sorted(turns)


def preview(
    recipe: Recipe, *, epochs: Sequence[int] | None = None, faces: int = 6, both_views: bool = False, seed: int = 0
) -> Sheet:
    """Draw some faces of a recipe's data as its training would see them.

    Args:
        recipe: its ``data``, ``augment`` and ``train.epochs`` count, at each epoch those of its stage; without ``data.size``, the
            network's own size.
        epochs: the columns, from 1; None = :func:`turning_epochs`.
        faces: the rows; the faces are drawn by ``seed``.
        both_views: I' and I'' side by side at every epoch, instead of I'' alone.
        seed: of the choice and of every augmentation.

    Raises:
        UsageError: an epoch outside the run, or both views of a recipe that has one.
        FiduciaError: no face, or one that cannot be read.
    """
    legs = [resolve(leg) for leg in stage_recipes(recipe)]
    lengths = [leg.train.epochs for leg in legs]
    total = sum(lengths)
    columns = list(epochs) if epochs is not None else turning_epochs(recipe)
    wrong = [epoch for epoch in columns if not 1 <= epoch <= total]
    if wrong or not columns:
        raise UsageError(f"epoch {wrong[0] if wrong else 'none'}: the run has epochs 1 to {total}; set train.epochs")
    stages = [stage_at(lengths, epoch) for epoch in columns]
    if both_views and any(legs[stage].augment.views == 1 for stage in stages):
        raise UsageError("the recipe has one view, I''; set augment.views = 2 to see I' beside it")
    shown = some_faces(recipe.data, faces, seed)
    scheme = get_scheme(shown[0].scheme)
    views = [TrainViews(leg.data, leg.augment, scheme, total) for leg in legs]
    datasets = [FaceDataset(shown, one, seed=seed) for one in views]
    tiles: list[npt.NDArray[np.uint8]] = []
    captions: list[str] = []
    for row in range(len(shown)):
        for epoch, stage in zip(columns, stages, strict=True):
            datasets[stage].set_epoch(epoch)
            samples = datasets[stage][row] if both_views else datasets[stage][row][-1:]
            tiles += [sample.image.transpose(1, 2, 0) for sample in samples]
            fifa = views[stage].fifa
            side = fifa.side(epoch, legs[stage].data.side) if fifa is not None else 0
            # Only the squares' side (0 = none): a longer caption is cut under tiles of 128 pixels.
            captions += [*(["I'"] if both_views else []), f"epoch {epoch}, {side} px"]
    sheet = contact_sheet(tiles, captions=captions, columns=len(tiles) // len(shown))
    return Sheet(sheet, len(shown), columns)
