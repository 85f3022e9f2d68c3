"""Label errors: faces whose labels disagree most with a network that never saw them.

The faces are parted into folds by photograph; a small network is trained on all folds but one and asked about that one.
What it says is compared with the label point by point, in units of what is usual at that point, so that a swapped pair
in an easy face outranks a hard face of which every point is a little off.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..data.shapes import oddness
from ..data.source import pattern_of
from ..draw.pictures import contact_sheet, draw_errors
from ..errors import UsageError
from ..evaluation.locate import find_points
from ..files import text_bytes, write_atomic
from ..geometry import affine_apply, box_to_crop, tight_box
from ..images import crop, read_image, write_image
from ..predict.predictor import Predictor, load
from ..recipes.files import load_recipe
from ..recipes.sections import Recipe
from ..schemes.sets import SchemeError, convert, get_scheme
from ..structures import Record
from ..training.run import train
from ..training.setup import completed
from ..training.state import differences
from ..training.stop import Stop
from ..weights.store import read_card
from .faces import every_face

Array = npt.NDArray[np.float64]

__all__ = ["Suspect", "find_suspects", "fold_of", "rank_suspects", "write_suspects"]

_TILE = 320


@dataclass(frozen=True, eq=False)
class Suspect:
    """A face and how much its label is doubted.

    Attributes:
        record: the face.
        found: ``(K, 2)`` what the network says, in photograph pixels.
        fold: the fold that held it out, from 1; 0 = given weights.
        score: mean of its two largest point errors, each divided by the median error at that point; 1 = as usual.
        error: mean point error in percent of the face's box (root of its area).
        points: names of its two worst points, worst first.
        errors: their errors in percent of the box.
    """

    record: Record
    found: Array
    fold: int
    score: float
    error: float
    points: tuple[str, ...]
    errors: tuple[float, ...]


def fold_of(records: Sequence[Record], folds: int, seed: int = 0) -> npt.NDArray[np.intp]:
    """Return each face's fold ``(N,)`` in 0 … folds - 1, all faces of a photograph in one, photographs dealt out evenly.

    Raises:
        UsageError: fewer photographs than folds, or fewer than two folds.
    """
    photos = [str(record.tags.get("photo", record.image.as_posix())) for record in records]
    order = sorted(set(photos), key=lambda photo: hashlib.sha256(f"{seed}\n{photo}".encode()).digest())
    if not 2 <= folds <= len(order):
        raise UsageError(f"--folds {folds}: expected 2 to {len(order)}, the number of photographs")
    place = {photo: i % folds for i, photo in enumerate(order)}
    return np.array([place[photo] for photo in photos], dtype=np.intp)


def find_suspects(
    recipe: Recipe,
    out: Path,
    *,
    folds: int = 5,
    weights: str | None = None,
    device: str = "auto",
    stop: Stop | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> list[Suspect]:
    """Doubt every training face of a recipe's data; the most doubtful come first.

    Args:
        recipe: its ``data`` names the faces; the rest is how a fold's network is trained.
        out: holds one run's directory a fold. Finished folds are kept, and one that was cut off goes on.
        folds: networks to train.
        weights: ask these instead and train nothing; they must not have been trained on these faces.
        device: where the networks are asked.
        stop: looked at by the training of each fold, which saves its state first.
        tell: takes lines for the user, such as how many faces were skipped and why.

    Raises:
        Interrupted: a signal stopped a training; its state is saved.
        UsageError: folds that cannot be, runs of another recipe in ``out``, or weights of a foreign landmark set.
        FiduciaError: no face, or one that cannot be read.
    """
    data = recipe.data
    records, remarks = every_face(data)
    for line in remarks:
        tell(line)
    found = np.full((len(records), *records[0].xy.shape), np.nan)
    if weights is not None:
        predictor = load(weights, detector=None, device=device, runtime="torch", second_pass=False)
        return rank_suspects(records, _ask(predictor, records, weights), np.zeros(len(records), dtype=np.intp))
    fold = fold_of(records, folds, data.val_seed)
    for number in range(folds):
        held = np.flatnonzero(fold == number)
        names = tuple(pattern_of(records[int(i)].id) for i in held)
        update = {"exclude": (*data.exclude, *names), "val_fraction": 0.0}
        own = recipe.model_copy(
            update={"name": f"fold{number + 1}", "data": data.model_copy(update=update)},
        )
        run = out / f"fold{number + 1}"
        _train(own, run, stop)
        trained = run / "weights" / "ema.safetensors"
        predictor = load(trained, detector=None, device=device, runtime="torch", second_pass=False)
        found[held] = _ask(predictor, [records[int(i)] for i in held], trained)
    return rank_suspects(records, found, fold + 1)


def rank_suspects(records: Sequence[Record], found: Array, fold: npt.NDArray[np.intp]) -> list[Suspect]:
    """Rank faces by how much their labels and ``found (N, K, 2)`` disagree; a fold has its own idea of what is usual.

    Folds share one scale only where each is measured by itself: one network may be worse than the others.
    """
    names = get_scheme(records[0].scheme).names
    truth = np.stack([record.xy for record in records])
    low, high = np.nanmin(truth, axis=1), np.nanmax(truth, axis=1)
    size = np.sqrt((high - low).prod(axis=1))
    errors = np.linalg.norm(found - truth, axis=2) / np.maximum(size, 1e-9)[:, None]
    suspects = []
    for number in np.unique(fold):
        mine = np.flatnonzero(fold == number)
        scores, worst = oddness(errors[mine])
        for i, score, pair in zip(mine, scores, worst, strict=True):
            known = [k for k in pair if np.isfinite(errors[i, k])]
            suspects.append(
                Suspect(
                    record=records[int(i)],
                    found=found[i],
                    fold=int(number),
                    score=float(score),
                    error=100 * float(np.nanmean(errors[i])),
                    points=tuple(names[k] for k in known),
                    errors=tuple(100 * float(errors[i, k]) for k in known),
                )
            )
    return sorted(suspects, key=lambda s: (-s.score, s.record.id))


def write_suspects(out: Path, suspects: Sequence[Suspect], most: int = 24) -> list[Path]:
    """Write ``suspects.csv`` (every face) and ``suspects.png`` (the first ``most``: label green, network red)."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["rank", "id", "image", "fold", "score", "error", "point1", "error1", "point2", "error2"])
    for rank, s in enumerate(suspects, start=1):
        pairs = [value for name, e in zip(s.points, s.errors, strict=True) for value in (name, f"{e:.3f}")]
        pairs += [""] * (4 - len(pairs))
        rows.writerow(
            [rank, s.record.id, s.record.image.as_posix(), s.fold, f"{s.score:.3f}", f"{s.error:.3f}", *pairs]
        )
    table, sheet = out / "suspects.csv", out / "suspects.png"
    write_atomic(table, text_bytes(text.getvalue()))
    tiles, captions = [], []
    for rank, s in enumerate(suspects[:most], start=1):
        to_crop = box_to_crop(tight_box(np.concatenate([s.record.xy, s.found])), _TILE)
        tile = crop(read_image(s.record.image), to_crop, _TILE)
        tiles.append(draw_errors(tile, affine_apply(to_crop, s.record.xy), affine_apply(to_crop, s.found)))
        captions.append(f"{rank}: {s.score:.0f}x {s.record.id}")
    write_image(sheet, contact_sheet(tiles, captions=captions, columns=6))
    return [table, sheet]


def _train(recipe: Recipe, run: Path, stop: Stop | None) -> None:
    """Train a fold, go on with it, or leave it as it is where it is finished."""
    if (run / "metrics.json").is_file():
        changed = differences(load_recipe(run / "recipe.toml"), completed(recipe))
        if changed:
            told = ", ".join(changed)
            raise UsageError(f"{run}: was trained by another recipe or on other faces ({told}); give another --out")
        return
    train(recipe, run, resume=(run / "checkpoints" / "last.ckpt").is_file(), stop=stop)


def _ask(predictor: Predictor, records: Sequence[Record], weights: str | Path) -> Array:
    """Return points ``(N, K, 2)`` in the records' landmark set, of crops as these weights know them."""
    own, wanted = predictor.runtime.scheme, get_scheme(records[0].scheme)
    found = find_points(predictor, records, read_card(weights).box_source)
    if own == wanted or (own.name == wanted.name and own.num_points == wanted.num_points):
        return found
    try:
        return convert(found, own, wanted)
    except SchemeError:
        raise UsageError(
            f"--weights: they give {own.name} ({own.num_points} points) and the data has {wanted.name} "
            f"({wanted.num_points}); leave --weights out, and a network is trained for each fold"
        ) from None
