"""The two views of a face, I' and I'' (eqs 3-4), and the plain one of validation and tests.

A view is drawn from a generator that the data set seeds by (seed, epoch, face), so it is the same whatever the number
of workers, of processes, or of interruptions.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import FiduciaError
from ..geometry import affine_apply, affine_compose, affine_invert, box_to_crop, square_box, tight_box
from ..images import Patch, crop_patch, reduction
from ..recipes.sections import AugmentConfig, DataConfig
from ..schemes.sets import Scheme, require_mirror
from ..structures import Record, Sample
from .fiducial import FiFA
from .geometric import draw_warp, reach, refit
from .photometric import photometric
from .registry import extras

Array = npt.NDArray[np.float64]
Image = npt.NDArray[np.uint8]

__all__ = ["EvalViews", "TrainViews", "plain_crop"]


def plain_crop(record: Record, data: DataConfig) -> Array:
    """Return the ``(2, 3)`` affine photograph → crop of a face without augmentation.

    The box is the tight one round the labelled points, or the data set's own (``data.box_source``).

    Raises:
        FiduciaError: the face has no such box, or one without area.
    """
    try:
        if data.box_source == "dataset":
            if record.box is None:
                raise ValueError('the data set gives no box; set data.box_source = "landmarks"')
            return box_to_crop(record.box, data.side, data.scale)
        return box_to_crop(tight_box(record.xy), data.side, data.scale)
    except ValueError as error:
        raise FiduciaError(f"{record.image}: face {record.id} cannot be cropped: {error}") from None


class EvalViews:
    """One plain crop of every face: no warp, no photometric change, never a FiFA square."""

    def __init__(self, data: DataConfig) -> None:
        self.data = data

    def reach(self, record: Record) -> tuple[Array, int]:
        """Return the box of the photograph that the crop covers, and its :func:`~fiducia.images.reduction`."""
        to_crop = plain_crop(record, self.data)
        return _covered(to_crop, self.data.side, 1.0), reduction(to_crop)

    def __call__(
        self, record: Record, patch: Patch, *, rng: np.random.Generator, epoch: int, index: int
    ) -> list[Sample]:
        """Return the one sample; the generator and the epoch are for other views."""
        to_crop = plain_crop(record, self.data)
        image = crop_patch(patch, to_crop, self.data.side)
        xy = affine_apply(to_crop, record.xy).astype(np.float32)
        return [_sample(_Crop(image, xy, record.visible, to_crop), record, index)]


class TrainViews:
    """I' and I'' of every face: f_A1 twice (its geometry shared or not), and FiFA on the second.

    What is drawn comes in the order warp, photometric I'', warp I' (``indep_all``), photometric I', so that a run of
    one view sees exactly the I'' of a run of two.

    Args:
        data: crop size, scale and box.
        augment: f_A1, the number of views and FiFA.
        scheme: the landmark set, for mirroring.
        epochs: length of the run, which sets FiFA's automatic interval.

    Raises:
        UsageError: an augmentation that could shrink a face to nothing, an extra one that does not exist, or mirroring in a
            landmark set that does not allow it.
    """

    def __init__(self, data: DataConfig, augment: AugmentConfig, scheme: Scheme, epochs: int) -> None:
        if augment.mirror > 0:
            require_mirror(scheme, f"augment.mirror = {augment.mirror:g}")
        self.data = data
        self.augment = augment
        self.fifa = FiFA.from_config(augment.fifa, epochs) if augment.fifa.enabled else None
        self._extra = extras(augment.extra)
        self._mirror = np.asarray(scheme.mirror, dtype=np.intp)
        self._reach = reach(augment, data.scale)

    def reach(self, record: Record) -> tuple[Array, int]:
        """Return the box of the photograph that the largest draw covers, and the *plain* crop's reduction.

        The reduction ignores the drawn scale, so that training sees the anti-aliasing of evaluation and detection.
        """
        to_crop = plain_crop(record, self.data)
        return _covered(to_crop, self.data.side, self._reach), reduction(to_crop)

    def __call__(
        self, record: Record, patch: Patch, *, rng: np.random.Generator, epoch: int, index: int
    ) -> list[Sample]:
        """Return ``[I', I'']``, or ``[I'']`` with ``views = 1``.

        Args:
            record: the face.
            patch: the photograph, or the part of it that :meth:`reach` names, reduced as it says.
            rng: the face's generator for this epoch.
            epoch: counted from 1.
            index: the face's place in its data set.
        """
        config = self.augment
        plain = plain_crop(record, self.data)
        second = self._warp(record, patch, plain, rng)
        changed = self._change(second, rng)
        views: list[Sample] = []
        if config.views == 2:
            first = self._warp(record, patch, plain, rng) if config.siamese_views == "indep_all" else second
            clean = changed if config.siamese_views == "shared_aug" else self._change(first, rng)
            views.append(_sample(clean, record, index))
        image = changed.image
        if self.fifa is not None:
            image = self.fifa(image, changed.xy, epoch)
        return [*views, _sample(changed._replace(image=image), record, index)]

    def _change(self, crop: _Crop, rng: np.random.Generator) -> _Crop:
        """Draw the photometric f_A1 of one view, and the recipe's extra augmentations after it."""
        image, xy = photometric(crop.image, rng, self.augment), crop.xy
        for extra in self._extra:
            image, xy = extra(image, xy, rng)
        return crop._replace(image=image, xy=xy)

    def _warp(self, record: Record, patch: Patch, plain: Array, rng: np.random.Generator) -> _Crop:
        """Draw one geometric f_A1 and resample the photograph by it, once."""
        warp = draw_warp(rng, self.augment, self.data.scale, self.data.side)
        to_crop = affine_compose(warp.matrix, plain)
        points, visible = record.xy, record.visible
        if warp.mirrored and self.augment.mirror_bias:
            left, _, right, _ = square_box(tight_box(points))
            points = points - [2 * self.augment.mirror_bias * (right - left), 0.0]
        if warp.exact and self.data.box_source == "landmarks":
            to_crop = refit(to_crop, points, self.data.side, self.data.scale)
        xy = affine_apply(to_crop, points).astype(np.float32)
        if warp.mirrored:
            xy, visible = xy[self._mirror], visible[self._mirror]
        by = self.augment.interpolation
        image = crop_patch(patch, to_crop, self.data.side, interpolation=by)
        return _Crop(image, xy, visible, to_crop, warp.mirrored)


class _Crop(NamedTuple):
    """A sample in the making: image ``(S, S, 3)``, points, visibility, photograph → crop, mirrored."""

    image: Image
    xy: npt.NDArray[np.float32]
    visible: npt.NDArray[np.int8]
    to_crop: Array
    mirrored: bool = False


def _covered(to_crop: Array, size: int, reach: float) -> Array:
    """Return the box ``(4,)`` in the photograph of an upright crop, grown ``reach`` times about its centre."""
    half = reach * size / 2
    centre = (size - 1) / 2
    corners = [[centre - half, centre - half], [centre + half, centre + half]]
    return affine_apply(affine_invert(to_crop), corners).reshape(4)


def _sample(crop: _Crop, record: Record, index: int) -> Sample:
    """Pack one crop the way the model takes it."""
    return Sample(
        image=np.ascontiguousarray(crop.image.transpose(2, 0, 1)),
        xy_crop=crop.xy,
        visible=crop.visible,
        to_image=affine_invert(crop.to_crop),
        index=index,
        mirrored=crop.mirrored,
        tags=record.tags,
    )
