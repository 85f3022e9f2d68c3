"""What was found of annotated faces: points, confidence, quality and expected errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..faces import Face

__all__ = ["Found"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Found:
    """What was found of N faces.

    Attributes:
        xy: ``(N, K, 2)`` points in photograph pixels; nan = not found.
        confidence: ``(N, K)`` in [0, 1]; nan = not found.
        quality: ``(N,)`` of the faces; nan = not found, or weights that are not calibrated.
        sigma: ``(N, K)`` expected errors in photograph pixels; nan likewise.
    """

    xy: Array
    confidence: Array
    quality: Array
    sigma: Array

    @classmethod
    def nothing(cls, faces: int, points: int) -> Found:
        """Return what stands for ``faces`` that were not found."""
        empty = np.full((faces, points), np.nan)
        return cls(np.full((faces, points, 2), np.nan), empty, np.full(faces, np.nan), empty.copy())

    @classmethod
    def of(cls, faces: Sequence[Face]) -> Found:
        """Return what a predictor gave, at least one face."""
        nan = np.full(len(faces[0].xy), np.nan)
        return cls(
            np.stack([face.xy for face in faces]).astype(np.float64),
            np.stack([face.confidence for face in faces]).astype(np.float64),
            np.array([np.nan if face.quality is None else face.quality for face in faces]),
            np.stack([nan if face.sigma is None else face.sigma for face in faces]).astype(np.float64),
        )

    def put(self, rows: int | slice, other: Found) -> None:
        """Set some of the faces: the one of ``rows`` to the first of ``other``, or a slice to all of it."""
        for mine, theirs in zip(self._arrays(), other._arrays(), strict=True):
            mine[rows] = theirs[0] if isinstance(rows, int) else theirs

    def _arrays(self) -> tuple[Array, ...]:
        return self.xy, self.confidence, self.quality, self.sigma

    def save(self, path: Path) -> None:
        """Write the arrays to a file, for another process."""
        np.savez(path, xy=self.xy, confidence=self.confidence, quality=self.quality, sigma=self.sigma)

    @classmethod
    def load(cls, path: Path) -> Found:
        """Read what :meth:`save` wrote."""
        with np.load(path) as file:
            return cls(file["xy"], file["confidence"], file["quality"], file["sigma"])
