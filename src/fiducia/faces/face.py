"""One face: its points by name, its measures, its crops and masks."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import UsageError
from ..images.crop import Image
from ..measures.align import Aligned, align_crop, align_matrix
from ..measures.eyes import blink, eye_aspect, eye_centres, inter_ocular, mouth_open
from ..measures.masks import region_mask
from ..measures.pose import HeadPose, head_pose
from ..measures.table import measure_table
from ..schemes.sets import Scheme, UnknownName, conversion, convert, get_scheme
from .photo import PhotoRef
from .plain import face_table

__all__ = ["Face", "NamedPoints"]

Floats = npt.NDArray[np.float32]


class NamedPoints(Mapping[str, Floats]):
    """Points by name, read only: ``points["nose_tip"]`` is ``(2,)``; ``dict(points)``, ``points.items()`` give all.

    ``numpy.asarray(points)`` is the array ``(K, 2)`` of all.
    """

    def __init__(self, xy: Floats, scheme: Scheme) -> None:
        self._xy, self._scheme = xy, scheme

    def __getitem__(self, name: str) -> Floats:
        if not isinstance(name, str):
            raise UsageError(f"points are looked up by name, found {name!r}; the array (K, 2) of all points is face.xy")
        return self._xy[self._scheme.point(name)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """Return all points, a copy of their array unless ``copy`` is False."""
        return np.array(self._xy, dtype=dtype) if copy is not False else np.asarray(self._xy, dtype=dtype)

    def __contains__(self, name: object) -> bool:
        return name in self._scheme.names

    def __iter__(self) -> Iterator[str]:
        return iter(self._scheme.names)

    def __len__(self) -> int:
        return len(self._scheme.names)

    def __repr__(self) -> str:
        return f"NamedPoints({len(self)} points of {self._scheme.name}: {', '.join(self._scheme.names[:3])}, …)"


@dataclass(frozen=True, kw_only=True, eq=False)
class Face:
    """One face in an image.

    Attributes:
        xy: float32 ``(K, 2)`` in pixels of the image.
        confidence: float32 ``(K,)`` in [0, 1].
        box: float32 ``(4,)`` x1 y1 x2 y2, as the detector (or the user) gave it; in a video, the tight box of the points.
        scheme: the landmark set, with names, regions and edges.
        score: the detector's own score; 1 for a box that the user gave.
        id: the face's number in the image, best face first; a track's number in a video.
        photo: the image's name and size, or None. It holds no pixels.
        quality: probability that the mean error of the points is at most 8 % of the inter-ocular distance (of a face of this
            size seen from the front); None where the weights are not calibrated.
        sigma: float32 ``(K,)`` expected distance of each point from the truth, in pixels of the image; None likewise.
        sigma_percent: float32 ``(K,)`` the same in percent of that inter-ocular distance; None likewise.
        visible: float32 ``(K,)`` probability that each point is visible, not covered by anything or turned away; None likewise.

    Example:
        >>> from fiducia import get_scheme
        >>> xy, confidence = np.zeros((68, 2), np.float32), np.ones(68, np.float32)
        >>> face = Face(xy=xy, confidence=confidence, box=np.array([0, 0, 9, 9], np.float32), scheme=get_scheme("ibug68"))
        >>> face["left_eye"].shape, face["nose_tip"].shape, face.points["nose_tip"].shape
        ((6, 2), (2,), (2,))
    """

    xy: Floats
    confidence: Floats
    box: Floats
    scheme: Scheme
    score: float = 1.0
    id: int = 0
    photo: PhotoRef | None = None
    quality: float | None = None
    sigma: Floats | None = None
    sigma_percent: Floats | None = None
    visible: Floats | None = None

    @property
    def points(self) -> NamedPoints:
        """The points by name: ``face.points["nose_tip"]``. The array of all is :attr:`xy`."""
        return NamedPoints(self.xy, self.scheme)

    def region(self, name: str) -> Floats:
        """Return the points ``(R, 2)`` of a region, or of ``eyes``, ``brows`` or ``mouth``."""
        return self.xy[list(self.scheme.region(name))]

    def __getitem__(self, name: str) -> Floats:
        """Return the points ``(R, 2)`` of a region, or the point ``(2,)`` of that name. A region goes before a point.

        Raises:
            SchemeError: there is neither.
        """
        try:
            return self.region(name)
        except UnknownName:
            if name in self.scheme.names:
                return self.xy[self.scheme.point(name)]
        known = [*self.scheme.regions, *self.scheme.names]
        near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.6)
        hint = f"did you mean {near[0]!r}?" if near else f"regions: {', '.join(self.scheme.regions)}"
        raise UnknownName(f"{self.scheme.name} has no region or point {str(name)[:60]!r}; {hint}")

    def to(self, scheme: str | Scheme) -> Face:
        """Return the face in another landmark set, such as ``five``; docs/schemes.md lists the conversions.

        A point that is the mean of several has the mean of their confidence, expected error and visibility.

        Raises:
            SchemeError: the set has points that this one lacks; none is guessed.
        """
        target = get_scheme(scheme) if isinstance(scheme, str) else scheme
        groups = [list(group) for group in conversion(self.scheme, target)]
        told = {
            name: None if values is None else np.array([values[group].mean() for group in groups], np.float32)
            for name, values in (
                ("confidence", self.confidence),
                ("sigma", self.sigma),
                ("sigma_percent", self.sigma_percent),
                ("visible", self.visible),
            )
        }
        xy = convert(self.xy, self.scheme, target).astype(np.float32)
        return replace(self, xy=xy, scheme=target, **told)  # type: ignore[arg-type]

    @property
    def inter_ocular(self) -> float:
        """The distance of the outer eye corners in pixels."""
        return inter_ocular(self.xy, self.scheme)

    @property
    def eye_centres(self) -> npt.NDArray[np.float64]:
        """The centres ``(2, 2)`` of the right and the left eye, wherever they look."""
        return eye_centres(self.xy, self.scheme)

    @property
    def eye_aspect(self) -> tuple[float, float]:
        """The eye aspect ratio of the right and the left eye: about 0.3 for an open eye, below 0.1 for a closed one."""
        return eye_aspect(self.xy, self.scheme)

    @property
    def blink(self) -> tuple[float, float]:
        """How far the right and the left eye are closed, in [0, 1]."""
        return blink(self.xy, self.scheme)

    @property
    def mouth_open(self) -> float:
        """The gap between the lips over the mouth's width: 0 = closed, about 0.5 = wide open."""
        return mouth_open(self.xy, self.scheme)

    def pose(self) -> HeadPose:
        """Return yaw, pitch and roll of the head in degrees; see :mod:`fiducia.measures.pose` for the signs."""
        return head_pose(self.xy, self.scheme)

    def measures(self) -> dict[str, float | list[float]]:
        """Return all measures that the landmark set allows as plain values; see :func:`fiducia.measures.table.measure_table`."""
        return measure_table(self.xy, self.scheme)

    def align(self, size: int = 112, *, points: str = "five", image: Image | None = None) -> Aligned:
        """Return an aligned crop ``(size, size, 3)`` and the matrix ``(2, 3)`` image -> crop.

        Args:
            size: side of the crop in pixels.
            points: ``five`` = the five-point similarity that face recognition networks expect; ``all`` = the same places,
                fitted to all points but the contour.
            image: uint8 ``(H, W, 3)`` RGB; None = the image that the face was found in. An image that was read from a file
                is read again, so pass it where you have it.

        Raises:
            FiduciaError: there is no image, or no two points to align by.
            SchemeError: the landmark set does not convert to ``five``.
        """
        matrix = align_matrix(self.xy, self.scheme, size, points)
        return align_crop(self._photo("align").read() if image is None else image, matrix, size)

    def mask(
        self, region: str = "face", *, antialias: bool = False, shape: tuple[int, int] | None = None
    ) -> npt.NDArray[Any]:
        """Return the mask of the face (the convex hull of its points) or of a region, in the size of the image.

        Args:
            region: ``face``, a region such as ``left_eye``, ``eyes``, ``brows``, ``mouth``, or ``lips``.
            antialias: give float32 in [0, 1], the covered share of each pixel, in place of bool.
            shape: (height, width); None = that of the image that the face was found in.
        """
        if shape is None:
            photo = self._photo("mask")
            shape = (photo.height, photo.width)
        return region_mask(self.xy, self.scheme, shape, region, antialias=antialias)

    def to_dict(self) -> dict[str, Any]:
        """Return the face as plain values, as ``--format json`` writes it."""
        return face_table(self)

    def _photo(self, what: str) -> PhotoRef:
        if self.photo is None:
            cure = "image=..." if what == "align" else "shape=(height, width)"
            raise UsageError(f"this face does not know its image; call face.{what} with {cure}")
        return self.photo

    def __repr__(self) -> str:
        box = [round(float(v), 1) for v in self.box]
        sizes = f"xy {self.xy.shape}, confidence {self.confidence.shape}"
        return f"Face({sizes}, box={box}, scheme={self.scheme.name!r}, score={self.score:.3g}, id={self.id})"
