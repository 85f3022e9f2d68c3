"""Fiducial Focus Augmentation, f_A2 of the paper: black squares on the landmarks that shrink away (Sect. 3.2, Alg. 1).

Training starts with faces whose landmarks are covered by black squares. Every E epochs the squares lose a pixel of their
side; after n * E epochs there are none (eq. 6). The module works alone: give :class:`FiFA` an image, its keypoints and the
epoch, in any keypoint pipeline, on numpy arrays or on torch tensors of any device.

    >>> fifa = FiFA(n=5, epoch_interval=5)
    >>> [fifa.side(epoch, size=512) for epoch in (1, 5, 6, 25, 26)]
    [5, 5, 4, 1, 0]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..errors import UsageError
from ..recipes.sections import FiFAConfig

Extent = Literal["full", "half"]
Unit = Literal["ref512_px", "crop_px"]
Picture = TypeVar("Picture", npt.NDArray[Any], Tensor)

__all__ = ["FiFA", "patch_corners", "patch_size", "resolve_interval"]

REFERENCE_SIDE = 512
"""Side of the paper's crop in pixels, in which its n is counted."""


def resolve_interval(interval: int | Literal["auto"], epochs: int | None = None) -> int:
    """Return the epoch interval E as a number.

    ``"auto"`` is max(1, round(T / 50)), halves up, of T = ``epochs``: 5 at the paper's 250 epochs, so that the squares
    fill the first tenth of a run of any length, as they do in the paper.

    Raises:
        UsageError: below 1, or ``"auto"`` without the number of epochs.
    """
    if interval == "auto":
        if epochs is None:
            raise UsageError(
                'epoch_interval "auto" needs the run\'s length: give epochs=T, or the interval as a number'
            )
        return max(1, (epochs + 25) // 50)
    if interval < 1:
        raise UsageError(f"epoch_interval counts epochs from 1; found {interval}")
    return interval


def patch_size(
    epoch: int,
    n: int = 5,
    epoch_interval: int = 5,
    *,
    size: int = REFERENCE_SIDE,
    fifa_unit: Unit = "ref512_px",
    patch_extent: Extent = "full",
) -> int:
    """Return the side of the squares in crop pixels at one epoch, 0 once they are gone (eq. 6).

    n_e = n - floor((epoch - 1) / E) while epoch <= n * E, and 0 after: a pure function of the epoch.

    Args:
        epoch: counted from 1.
        n: first side (the paper's best: 5).
        epoch_interval: E, epochs between two sizes.
        size: side of the crop in pixels; the longer side where it is not square.
        fifa_unit: ``"ref512_px"``: n_e is in pixels of a 512 crop and becomes max(1, round(n_e * size / 512)), halves
            up, which keeps the square's share of the face; ``"crop_px"``: n_e pixels whatever the size.
        patch_extent: ``"full"``: that is the side (Alg. 1, Fig. 1); ``"half"``: that is half the side (eq. 5's ±w).

    Raises:
        UsageError: an epoch, n, interval or size below 1, or an unknown unit or extent.
    """
    if min(epoch, n, epoch_interval, size) < 1:
        raise UsageError(
            f"epoch, n, epoch_interval and size count from 1; found {epoch}, {n}, {epoch_interval}, {size}"
        )
    if fifa_unit not in ("ref512_px", "crop_px") or patch_extent not in ("full", "half"):
        raise UsageError(
            f"expected unit ref512_px or crop_px and patch_extent full or half; found {fifa_unit} and {patch_extent}"
        )
    side = max(0, n - (epoch - 1) // epoch_interval)
    if side and fifa_unit == "ref512_px":
        side = max(1, (2 * side * size + REFERENCE_SIDE) // (2 * REFERENCE_SIDE))
    return 2 * side if patch_extent == "half" else side


def patch_corners(points: Picture, side: int) -> Picture:
    """Return each square's first column and row, x0 = round(cx - (side - 1) / 2), halves up; it spans [x0, x0 + side).

    The landmark is the crossing of the square's diagonals (Sect. 3.2, eq. 5) to within half a pixel. Halves go up by
    floor(. + 1/2) in float64, so that numpy and torch cannot disagree.

    Args:
        points: float ``(..., 2)`` in pixel-centre coordinates, finite.
        side: in pixels, odd or even.

    Returns:
        whole numbers ``(..., 2)``, still as floats.
    """
    if isinstance(points, Tensor):
        return torch.floor(points - (side / 2 - 1))
    return np.floor(points - (side / 2 - 1))


@dataclass(frozen=True)
class FiFA:
    """I'' = f_A2(I'): covers every labelled landmark with a black square whose side depends only on the epoch.

    Call it last, after every other augmentation and before normalisation (eqs 3-4): (0, 0, 0) means black only before mean
    and standard deviation are applied. Do not use it on validation or test images. The points do not change.

    Args:
        n: first side in pixels (Table 4: 5 is best).
        epoch_interval: E, epochs between two sizes; ``"auto"`` takes it from ``epochs`` (:func:`resolve_interval`).
        patch_extent: ``"full"`` (Alg. 1) or ``"half"`` (eq. 5); see :func:`patch_size`.
        unit: ``"ref512_px"`` or ``"crop_px"``; see :func:`patch_size`.
        epochs: T, the length of the run; only for ``"auto"``.

    Raises:
        UsageError: a value that :func:`patch_size` or :func:`resolve_interval` refuses.

    Example:
        >>> import numpy as np
        >>> image, points = np.full((512, 512, 3), 255, np.uint8), np.array([[100.0, 200.0], [np.nan, np.nan]])
        >>> int((FiFA()(image, points, epoch=1) == 0).all(axis=-1).sum())
        25
    """

    n: int = 5
    epoch_interval: int | Literal["auto"] = 5
    patch_extent: Extent = "full"
    unit: Unit = "ref512_px"
    epochs: int | None = None

    def __post_init__(self) -> None:
        """Refuse what could not be drawn, before a run starts."""
        self.side(1, REFERENCE_SIDE)

    @classmethod
    def from_config(cls, config: FiFAConfig, epochs: int) -> FiFA:
        """Return the augmentation that a recipe asks for in a run of ``epochs`` epochs; ``enabled`` is the caller's."""
        return cls(config.n, config.epoch_interval, config.patch_extent, config.fifa_unit, epochs)

    def side(self, epoch: int, size: int) -> int:
        """Return the side of the squares in pixels at an epoch (from 1) for a crop of side ``size``; 0 = none."""
        return patch_size(
            epoch,
            self.n,
            resolve_interval(self.epoch_interval, self.epochs),
            size=size,
            fifa_unit=self.unit,
            patch_extent=self.patch_extent,
        )

    def __call__(self, image: Picture, points: npt.ArrayLike | Tensor, epoch: int) -> Picture:
        """Return a copy of a picture, or of a batch, with the squares of one epoch.

        Args:
            image: numpy ``(H, W, C)`` or ``(H, W)`` of any type; or torch ``(C, H, W)`` or ``(B, C, H, W)`` on any
                device. Where it is not square the longer side counts as its size.
            points: ``(K, 2)``, or ``(B, K, 2)`` for a batch: x y in pixels, an integer being a pixel's centre. One that
                is nan or endless is skipped; a square that leaves the picture is clipped.
            epoch: counted from 1.

        Returns:
            A new picture of the same shape, type and device.

        Raises:
            UsageError: shapes that do not belong together, or an epoch below 1.
        """
        if isinstance(image, Tensor):
            return self._torch(image, points, epoch)
        return self._numpy(image, points, epoch)

    def _numpy(self, image: npt.NDArray[Any], points: Any, epoch: int) -> npt.NDArray[Any]:
        xy = np.asarray(points, dtype=np.float64)
        if image.ndim not in (2, 3) or xy.ndim != 2 or xy.shape[-1] != 2:
            raise UsageError(f"FiFA takes an image (H, W, C) with points (K, 2); found {image.shape} and {xy.shape}")
        height, width = image.shape[:2]
        side = self.side(epoch, max(height, width))
        out = image.copy()
        xy = xy[np.isfinite(xy).all(axis=-1)]
        if side == 0 or len(xy) == 0:
            return out
        # Far outside is as good as just outside, and fits an integer.
        corner = patch_corners(np.clip(xy, -2.0 * side, max(height, width) + 2.0 * side), side).astype(np.intp)
        step = np.arange(side)
        columns, rows = corner[:, :1] + step, corner[:, 1:] + step
        inside = ((columns >= 0) & (columns < width))[:, None, :] & ((rows >= 0) & (rows < height))[:, :, None]
        cells = rows[:, :, None] * width + columns[:, None, :]
        # A copy is contiguous in C order whatever its source was, so this is a view of it.
        out.reshape(height * width, -1)[cells[inside]] = 0
        return out

    def _torch(self, image: Tensor, points: Any, epoch: int) -> Tensor:
        xy = torch.as_tensor(points)
        batched = image if image.ndim == 4 else image[None]
        xy = xy if image.ndim == 4 else xy[None]
        if batched.ndim != 4 or xy.ndim != 3 or xy.shape[-1] != 2 or len(xy) != len(batched):
            raise UsageError(
                f"FiFA takes tensors (B, C, H, W) with points (B, K, 2), or (C, H, W) with (K, 2); "
                f"found {tuple(image.shape)} and {tuple(torch.as_tensor(points).shape)}"
            )
        batch, _, height, width = batched.shape
        side = self.side(epoch, max(height, width))
        if side == 0 or xy.shape[1] == 0:
            return image.clone()
        # Apple's GPUs know no float64: there the corners are found on the CPU.
        xy = xy.detach().to("cpu" if image.device.type == "mps" else image.device).double()
        finite = torch.isfinite(xy).all(dim=-1)
        xy = torch.nan_to_num(xy, nan=0.0).clamp(-2.0 * side, max(height, width) + 2.0 * side)
        corner = patch_corners(xy, side).long()
        step = torch.arange(side, device=corner.device)
        columns, rows = corner[..., :1] + step, corner[..., 1:] + step
        inside = ((columns >= 0) & (columns < width))[:, :, None, :] & ((rows >= 0) & (rows < height))[:, :, :, None]
        inside &= finite[:, :, None, None]
        face = torch.arange(batch, device=corner.device)[:, None, None, None]
        cells = (face * height + rows[:, :, :, None]) * width + columns[:, :, None, :]
        # One spare cell takes what falls outside, so that no shape depends on the values (no wait for the device).
        spare = batch * height * width
        covered = torch.zeros(spare + 1, dtype=torch.bool, device=corner.device)
        covered[torch.where(inside, cells, spare)] = True
        mask = covered[:-1].view(batch, 1, height, width).to(image.device)
        return batched.masked_fill(mask, 0).view(image.shape)
