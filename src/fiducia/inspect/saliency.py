"""Where a network looks, with and without FiFA's squares: the paper's Fig. 1, by Grad-CAM of the last layer.

Grad-CAM (Selvaraju et al., ICCV 2017) weights each channel of the features before the head by the mean gradient of what
is asked for, here the logit at the peak of one landmark's heatmap, and keeps what is positive; this for every landmark,
and the picture shows the largest. (Of the sum of all logits it would show nothing: where one is, the 67 others are not.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..augment.fiducial import FiFA
from ..device import pick_device
from ..draw.pictures import contact_sheet, draw_heatmaps
from ..errors import UsageError
from ..evaluation.locate import annotated_box
from ..geometry import affine_apply, box_to_crop
from ..images import crop, read_image
from ..models.base import LandmarkModel
from ..recipes.sections import Recipe
from ..recipes.stages import stage_recipes
from ..schemes.sets import get_scheme
from ..weights.card import card_scheme
from ..weights.store import load_weights
from .faces import some_faces, stage_at

__all__ = ["SaliencySheet", "focus", "grad_cam", "saliency"]

_TILE = 256
_NEAR = 0.05


@dataclass(frozen=True, eq=False)
class SaliencySheet:
    """The picture, and what it says in numbers.

    Attributes:
        image: uint8 ``(H, W, 3)``: a row a face; for every network the crop's saliency without and with squares.
        faces: rows.
        focus: for each network's name, the mean :func:`focus`, without and with squares.
        side: of the squares, in crop pixels, for each network.
    """

    image: npt.NDArray[np.uint8]
    faces: int
    focus: dict[str, tuple[float, float]]
    side: dict[str, int]


def grad_cam(model: LandmarkModel, images: Tensor) -> npt.NDArray[np.float32]:
    """Return every landmark's saliency ``(B, K, h, w)``, each scaled to a largest value of 1 (0 where none is positive).

    Args:
        model: in evaluation mode; of a network without heatmaps the sum of a landmark's coordinates is what is asked for.
        images: uint8 ``(B, 3, S, S)`` on the model's device.
    """
    with torch.enable_grad():
        output = model(images)
        if output.features is None:
            raise UsageError("this network gives no feature maps, which saliency is drawn on")
        found = model.decode(output)
        # A heatmap's peak, where there is one; else the point itself.
        asked = found.confidence if found.confidence.requires_grad else found.points.sum(-1)
        cams = []
        for k in range(asked.shape[1]):
            (gradient,) = torch.autograd.grad(asked[:, k].sum(), output.features, retain_graph=True)
            weights = gradient.mean(dim=(-2, -1), keepdim=True)
            cams.append((weights * output.features).sum(dim=1).clamp(min=0).detach().float())
    cam = torch.stack(cams, dim=1)
    top = cam.amax(dim=(-2, -1), keepdim=True)
    return torch.where(top > 0, cam / top.clamp(min=1e-30), torch.zeros_like(cam)).cpu().numpy()


def focus(cam: npt.ArrayLike, xy_crop: npt.ArrayLike, size: int, near: float = _NEAR) -> float:
    """Return the share of each landmark's saliency near that landmark, mean over those that are labelled; nan of none.

    Args:
        cam: ``(K, h, w)``, not negative; a landmark without saliency counts as 0.
        xy_crop: ``(K, 2)`` crop pixels; nan = not labelled.
        size: S, the crop's side in pixels.
        near: a cell is near where its centre is within this many S of the landmark.
    """
    values, points = np.asarray(cam, dtype=np.float64), np.asarray(xy_crop, dtype=np.float64)
    known = np.isfinite(points).all(axis=1)
    if not known.any():
        return float("nan")
    h, w = values.shape[1:]
    x, y = (np.arange(w) + 0.5) * size / w - 0.5, (np.arange(h) + 0.5) * size / h - 0.5
    across, down = x[None, None] - points[known, 0, None, None], y[None, :, None] - points[known, 1, None, None]
    close = np.hypot(across, down) <= near * size
    total = values[known].sum(axis=(1, 2))
    return float(np.mean((values[known] * close).sum(axis=(1, 2)) / np.where(total > 0, total, 1.0)))


def saliency(
    recipe: Recipe,
    weights: Sequence[str],
    *,
    epoch: int = 1,
    faces: int = 6,
    seed: int = 0,
    device: str = "auto",
) -> SaliencySheet:
    """Draw where networks look in some faces of a recipe's data.

    Args:
        recipe: its ``data`` names the faces; ``augment.fifa`` and ``train.epochs`` say how large the squares are.
        weights: one or several; each brings its own crop.
        epoch: of the squares' schedule, from 1: the first has the largest.
        faces: rows; drawn by ``seed``.
        seed: of the choice.
        device: where the networks run.

    Raises:
        UsageError: unknown weights, weights of another landmark set, or an epoch without squares.
        FiduciaError: no face, or one that cannot be read.
    """
    data = recipe.data
    legs = stage_recipes(recipe)
    lengths = [leg.train.epochs for leg in legs]
    fifa = FiFA.from_config(legs[stage_at(lengths, epoch)].augment.fifa, sum(lengths))
    shown = some_faces(data, faces, seed)
    scheme = get_scheme(shown[0].scheme)
    rows: list[list[npt.NDArray[np.uint8]]] = [[] for _ in shown]
    captions: list[list[str]] = [[] for _ in shown]
    means: dict[str, tuple[float, float]] = {}
    sides: dict[str, int] = {}
    for name in weights:
        model, card = load_weights(name, device=pick_device(device))
        own = card_scheme(card)
        if (own.name, own.num_points) != (scheme.name, scheme.num_points):
            raise UsageError(
                f"--weights {name}: they give {own.name} ({own.num_points} points) and the data has {scheme.name} "
                f"({scheme.num_points}); give weights of this landmark set, or set data.scheme"
            )
        side = fifa.side(epoch, card.size)
        if side == 0:
            raise UsageError(f"epoch {epoch}: the squares have ended; choose an earlier one with --epochs")
        title = card.name if card.name not in means else f"{card.name} ({len(means) + 1})"
        shares = []
        for row, record in enumerate(shown):
            to_crop = box_to_crop(annotated_box(record, card.box_source), card.size, card.scale)
            plain = crop(read_image(record.image), to_crop, card.size)
            xy = affine_apply(to_crop, record.xy)
            pair = [plain, fifa(plain, xy, epoch)]
            images = (
                torch.from_numpy(np.stack(pair).transpose(0, 3, 1, 2)).contiguous().to(next(model.parameters()).device)
            )
            cams = grad_cam(model, images)
            share = [focus(cam, xy, card.size) for cam in cams]
            shares.append(share)
            if not rows[row]:
                rows[row].append(_enlarge(pair[1]))
                captions[row].append(record.id)
            for picture, cam, value, what in zip(pair, cams, share, (title, f"+ {side} px squares"), strict=True):
                rows[row].append(draw_heatmaps(_enlarge(picture), cam**2))
                captions[row].append(f"{what}: {100 * value:.0f} %")
        mean = np.nanmean(np.array(shares), axis=0) if np.isfinite(shares).any() else np.full(2, np.nan)
        means[title], sides[title] = (float(mean[0]), float(mean[1])), side
    sheet = contact_sheet(
        [tile for row in rows for tile in row], captions=[c for row in captions for c in row], columns=len(rows[0])
    )
    return SaliencySheet(sheet, len(shown), means, sides)


def _enlarge(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Repeat pixels up to at least the tile's side, so that squares of one pixel keep their edges."""
    factor = max(1, -(-_TILE // picture.shape[0]))
    return np.repeat(np.repeat(picture, factor, axis=0), factor, axis=1)
