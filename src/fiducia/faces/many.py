"""The faces of one image, as a list that knows the image and what made its points."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, SupportsIndex, overload

import numpy as np
import numpy.typing as npt

from .._version import __version__
from ..errors import UsageError
from ..schemes.sets import Scheme
from ..structures import Record
from .face import Face
from .photo import PhotoRef
from .plain import Origin, coco_table, face_row, point_rows
from .supervision import key_points

__all__ = ["Faces"]


class Faces(list[Face]):
    """The faces of one image: a list, with what other programs want.

    Args:
        faces: best first.
        scheme: the landmark set of all of them.
        photo: the image's name and size, or None.
        origin: the weights that made the points.

    Attributes:
        scheme, photo, origin: as above. An image without faces has them too.

    Example:
        >>> from fiducia import get_scheme
        >>> faces = Faces([], scheme=get_scheme("ibug68"))
        >>> len(faces), faces.to_numpy().shape, faces.to_records()
        (0, (0, 68, 2), [])
    """

    def __init__(
        self,
        faces: Iterable[Face] = (),
        *,
        scheme: Scheme,
        photo: PhotoRef | None = None,
        origin: Origin | None = None,
    ) -> None:
        super().__init__(faces)
        self.scheme = scheme
        self.photo = photo
        self.origin = origin or Origin()

    @overload
    def __getitem__(self, index: SupportsIndex) -> Face: ...
    @overload
    def __getitem__(self, index: slice) -> Faces: ...
    def __getitem__(self, index: SupportsIndex | slice) -> Face | Faces:
        """Return a face, or some of them with the same image and origin."""
        if isinstance(index, slice):
            return self._with(super().__getitem__(index))
        return super().__getitem__(index)

    def to(self, scheme: str | Scheme) -> Faces:
        """Return the faces in another landmark set; see :meth:`Face.to`."""
        from ..schemes.sets import get_scheme

        target = get_scheme(scheme) if isinstance(scheme, str) else scheme
        return Faces([face.to(target) for face in self], scheme=target, photo=self.photo, origin=self.origin)

    def to_numpy(self) -> npt.NDArray[np.float32]:
        """Return all points, float32 ``(N, K, 2)`` in pixels of the image."""
        if not self:
            return np.empty((0, self.scheme.num_points, 2), np.float32)
        return np.stack([face.xy for face in self])

    def to_dict(self, *, measures: bool = False) -> dict[str, Any]:
        """Return plain values as ``--format json`` writes them: image, width, height, faces, and what made the points.

        Args:
            measures: add each face's measures under ``measures``.
        """
        facts = self._facts()
        faces = [{**face.to_dict(), **({"measures": face.measures()} if measures else {})} for face in self]
        return {**facts, "faces": faces, **self.origin.facts()}

    def to_records(self, per: str = "face", *, measures: bool = False) -> list[dict[str, Any]]:
        """Return rows for a table: ``pandas.DataFrame(faces.to_records())``.

        Args:
            per: ``face`` = a row a face, with ``nose_tip_x``, ``nose_tip_y``, ``nose_tip_confidence`` and so on; ``point`` = a
                row a point, with ``id`` (the face), ``index``, ``point`` (its name), ``x``, ``y``, ``confidence``.
            measures: add each face's measures to the rows of faces.
        """
        if per not in ("face", "point"):
            raise UsageError(f"per = {per!r}; expected 'face' or 'point'")
        table = self.to_dict(measures=measures)
        facts = {key: table[key] for key in ("image", "width", "height")}
        if per == "point":
            return [row for face in table["faces"] for row in point_rows(face, self.scheme.names, facts)]
        return [face_row(face, self.scheme.names, facts) for face in table["faces"]]

    def to_coco(self) -> dict[str, Any]:
        """Return COCO keypoints of this image; machine-made labels are marked by ``source``, ``weights``, ``weights_sha256``."""
        info = {"description": "faces found by fiducia", "version": __version__, **self.origin.marks()}
        return coco_table([self.to_dict()], self.scheme, info)

    def to_labels(self) -> list[Record]:
        """Return annotated faces for the label writers, ``fiducia.label_writers["cvat"](path, faces.to_labels())``.

        They are pre-annotations: the tags say that a machine made them, and which weights.

        Raises:
            UsageError: the faces do not know their image.
        """
        if self.photo is None:
            raise UsageError("these faces do not know their image; detect from a file, or set faces.photo")
        path = Path(self.photo.name)
        return [
            Record(
                image=path,
                xy=face.xy.astype(np.float64),
                visible=np.where(np.isfinite(face.xy).all(axis=1), 2, 0).astype(np.int8),
                scheme=self.scheme.name,
                box=face.box.astype(np.float64),
                tags={"id": path.stem if face.id == 0 else f"{path.stem}_{face.id}", **self.origin.marks()},
            )
            for face in self
        ]

    def to_supervision(self) -> Any:
        """Return ``supervision.KeyPoints`` of all faces; the package is in the extra ``interop``.

        Raises:
            UsageError: supervision is not installed.
        """
        return key_points(self, self.scheme)

    def _facts(self) -> dict[str, Any]:
        photo = self.photo
        if photo is None:
            return {"image": "", "width": 0, "height": 0}
        return {"image": photo.name, "width": photo.width, "height": photo.height}

    def _with(self, faces: Iterable[Face]) -> Faces:
        return Faces(faces, scheme=self.scheme, photo=self.photo, origin=self.origin)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (list(self), self.scheme, self.photo, self.origin)


def _rebuilt(faces: list[Face], scheme: Scheme, photo: PhotoRef | None, origin: Origin) -> Faces:
    return Faces(faces, scheme=scheme, photo=photo, origin=origin)
