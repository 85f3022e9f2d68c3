"""The numbers of a calibration, as they stand in a weight file's card."""

from __future__ import annotations

from functools import cache
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from .features import FACE_FEATURES, POINT_FEATURES

__all__ = ["Calibration", "Curve", "Faces", "Quadratic"]

Array = npt.NDArray[np.float64]
Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e6, le=1e6)]
Positive = Annotated[float, Field(allow_inf_nan=False, gt=1e-9, le=1e6)]
_FAR = 4.0
"""A feature further than so many standard deviations from its mean counts as this far: nothing was fitted beyond."""


@cache
def _pairs(count: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the places i <= j of the products of features."""
    return np.triu_indices(count)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Quadratic(_Part):
    """A quadratic function of features: ``points[k] + weights . (z, z_i z_j)``, where ``z`` are standardised features.

    Attributes:
        mean: of each feature where it was fitted.
        scale: standard deviation of each.
        weights: of the features, then of their products ``z_i z_j`` for i <= j, row by row.
        points: constant of each point; one number where the function is of whole faces.
    """

    mean: list[Number] = Field(max_length=16)
    scale: list[Positive] = Field(max_length=16)
    weights: list[Number] = Field(max_length=160)
    points: list[Number] = Field(min_length=1, max_length=10_000)

    @model_validator(mode="after")
    def _fits(self) -> Quadratic:
        n = len(self.mean)
        if len(self.scale) != n or len(self.weights) != n + n * (n + 1) // 2:
            raise ValueError(f"a quadratic of {n} features has {n + n * (n + 1) // 2} weights and {n} scales")
        return self

    def __call__(self, features: npt.ArrayLike) -> Array:
        """Return the values ``(...)`` or ``(..., K)`` of features ``(..., n)`` or ``(..., K, n)``."""
        return np.asarray(self.points) + self.terms(features) @ np.asarray(self.weights)

    def terms(self, features: npt.ArrayLike) -> Array:
        """Return ``(..., n + n (n + 1) / 2)``: what the weights are multiplied with."""
        z = (np.asarray(features, dtype=np.float64) - np.asarray(self.mean)) / np.asarray(self.scale)
        z = np.clip(z, -_FAR, _FAR)
        i, j = _pairs(z.shape[-1])
        return np.concatenate([z, z[..., i] * z[..., j]], axis=-1)


class Curve(_Part):
    """A monotone curve through knots, straight between them and beyond the outermost level."""

    x: list[Number] = Field(min_length=1, max_length=100)
    y: list[Number] = Field(min_length=1, max_length=100)

    @model_validator(mode="after")
    def _rises(self) -> Curve:
        if len(self.x) != len(self.y) or (np.diff(self.x) <= 0).any() or (np.diff(self.y) < 0).any():
            raise ValueError("a curve's knots rise")
        return self

    def __call__(self, x: npt.ArrayLike) -> Array:
        """Return the curve's values."""
        return np.interp(np.asarray(x, dtype=np.float64), self.x, self.y)


class Faces(_Part):
    """What a calibration was fitted to."""

    data: str = Field(max_length=1000)
    faces: int = Field(ge=0)
    trials: int = Field(ge=0)
    """Faces and places without one that were looked at: each face in several ways."""


class Calibration(_Part):
    """Turns a network's confidence into what a user can count on.

    Errors are in the unit ``unit * size``, where size is the square root of the area of the face's tight box: it is the
    inter-ocular distance of a face seen from the front, and does not shrink to nothing on a profile.

    Attributes:
        unit: inter-ocular distance in sizes, on faces seen from the front.
        limit: a face is good where its mean error is at most this many units, e.g. 0.08.
        quality: log-odds that a face is good.
        error: logarithm of a point's expected error in units, before ``curve``.
        curve: the same after it; fitted so that in every tenth of the points the expected error is the mean error.
        visible: log-odds that a point is visible; None where the faces did not say.
        fitted: to what.
    """

    unit: Positive
    limit: Positive
    quality: Quadratic
    error: Quadratic
    curve: Curve
    visible: Quadratic | None = None
    fitted: Faces

    @model_validator(mode="after")
    def _fits(self) -> Calibration:
        """The functions take the features that there are."""
        if len(self.quality.mean) != len(FACE_FEATURES) or len(self.quality.points) != 1:
            raise ValueError(f"the quality is a function of {len(FACE_FEATURES)} features of a face")
        for function in (self.error, self.visible):
            if function is not None and len(function.mean) != len(POINT_FEATURES):
                raise ValueError(f"a point's error is a function of {len(POINT_FEATURES)} features")
        return self

    def check_points(self, num_points: int) -> None:
        """Refuse a calibration of another number of points.

        Raises:
            ValueError: it does not fit.
        """
        for function in (self.error, self.visible):
            if function is not None and len(function.points) != num_points:
                raise ValueError(f"the calibration is of {len(function.points)} points, the weights give {num_points}")
