"""Looking at what a run sees: augmented faces, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..augment.fiducial import FiFA, resolve_interval
from ..augment.views import TrainViews
from ..data.dataset import FaceDataset
from ..data.source import exclude, load_records
from ..data.usable import usable
from ..draw.pictures import contact_sheet
from ..errors import FiduciaError, UsageError
from ..recipes.sections import DataConfig, Recipe
from ..schemes.sets import get_scheme
from ..structures import Record
from ..training.setup import resolve

__all__ = ["Sheet", "croppable", "preview", "turning_epochs"]


@dataclass(frozen=True, eq=False)
class Sheet:
    """A contact sheet, uint8 ``(H, W, 3)`` RGB: ``faces`` rows, one column (or two) for each of ``epochs``."""

    image: npt.NDArray[np.uint8]
    faces: int
    epochs: list[int]


def croppable(data: DataConfig) -> list[Record]:
    """Return the faces of a recipe that can be cropped, which training takes.

    Raises:
        FiduciaError: there is none.
    """
    found = exclude(load_records(data.source, data.split, data.scheme), data.exclude)
    records, skipped = usable(found, data.box_source)
    if skipped and not records:
        raise FiduciaError(f"{data.shown}: no face can be cropped: {skipped[0]}")
    if not records:
        raise FiduciaError(f"{data.shown}: no face in split {data.split!r}; run: fiducia data check {data.shown}")
    return records


def turning_epochs(recipe: Recipe) -> list[int]:
    """Return the epochs at which FiFA's squares take another size, the last being the first without them.

    At the paper's 250 epochs these are 1, 6, 11, 16, 21 and 26. Epochs beyond the run's end are left out.
    """
    config, total = recipe.augment.fifa, recipe.train.epochs
    if not config.enabled:
        return [1]
    interval = resolve_interval(config.epoch_interval, total)
    return [epoch for epoch in range(1, config.n * interval + 2, interval) if epoch <= total]


def preview(
    recipe: Recipe, *, epochs: Sequence[int] | None = None, faces: int = 6, both_views: bool = False, seed: int = 0
) -> Sheet:
    """Draw some faces of a recipe's data as its training would see them.

    Args:
        recipe: its ``data``, ``augment`` and ``train.epochs`` count; without ``data.size``, the network's own size.
        epochs: the columns, from 1; None = :func:`turning_epochs`.
        faces: the rows; the faces are drawn by ``seed``.
        both_views: I' and I'' side by side at every epoch, instead of I'' alone.
        seed: of the choice and of every augmentation.

    Raises:
        UsageError: an epoch outside the run, or both views of a recipe that has one.
        FiduciaError: no face, or one that cannot be read.
    """
    recipe = resolve(recipe)
    recipe = resolve(recipe)
    data, total = recipe.data, recipe.train.epochs
    columns = list(epochs) if epochs is not None else turning_epochs(recipe)
    wrong = [epoch for epoch in columns if not 1 <= epoch <= total]
    if wrong or not columns:
        raise UsageError(f"epoch {wrong[0] if wrong else 'none'}: the run has epochs 1 to {total}; set train.epochs")
    if both_views and recipe.augment.views == 1:
        raise UsageError("the recipe has one view, I''; set augment.views = 2 to see I' beside it")
    records = croppable(data)
    chosen = np.random.default_rng(seed).permutation(len(records))[:faces]
    shown = [records[i] for i in sorted(chosen)]
    views = TrainViews(data, recipe.augment, get_scheme(shown[0].scheme), total)
    dataset = FaceDataset(shown, views, seed=seed)
    fifa = FiFA.from_config(recipe.augment.fifa, total) if recipe.augment.fifa.enabled else None
    tiles: list[npt.NDArray[np.uint8]] = []
    captions: list[str] = []
    for row in range(len(shown)):
        for epoch in columns:
            dataset.set_epoch(epoch)
            samples = dataset[row] if both_views else dataset[row][-1:]
            tiles += [sample.image.transpose(1, 2, 0) for sample in samples]
            side = fifa.side(epoch, data.side) if fifa is not None else 0
            # Only the squares' side (0 = none): a longer caption is cut under tiles of 128 pixels.
            captions += [*(["I'"] if both_views else []), f"epoch {epoch}, {side} px"]
    sheet = contact_sheet(tiles, captions=captions, columns=len(tiles) // len(shown))
    return Sheet(sheet, len(shown), columns)
