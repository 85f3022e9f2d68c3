"""Photograph in, faces out: detect, crop, compute, crop again round the first points, compute again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from ..detectors.boxes import BoxesFile, given_boxes, inside
from ..detectors.builtin import get_detector, suppress
from ..device import pick_device
from ..errors import FiduciaError, UsageError
from ..geometry import affine_apply, affine_invert, box_to_crop, tight_box
from ..images import crop
from ..runtimes.flip import FlipTest
from ..runtimes.opening import open_runtime
from ..runtimes.registry import get_runtime
from ..structures import Detection, Detector, Face, Runtime
from ..weights.places import load_saved_plugins
from .inputs import Photo, open_photo

__all__ = ["Predictor", "load"]

_MAX_PENDING = 64_000_000
"""Pixels of photographs that wait for a full batch, at most: 0.2 GB."""

Found = tuple[Photo, Sequence[Detection]]


class Predictor:
    """Finds faces and their landmarks. Get one from :func:`load`, or put one together from parts.

    Args:
        runtime: crops → points.
        detector: finds faces; None = boxes are given in every call.
        scale: the box's share of the crop (the training recipe's ``data.scale``).
        passes: 1 = points of the detector's box; 2 = cropped again round the tight box of the first points, which is how
            the network was trained to see a face; more = again.
        batch_size: crops that are computed together.
        min_face: faces whose box has a longer side below this, in photograph pixels, are passed over.

    Example:
        >>> predictor = load()  # doctest: +SKIP
        >>> for face in predictor("photo.jpg"):  # doctest: +SKIP
        ...     print(face.box, face.region("left_eye"))
    """

    def __init__(
        self,
        runtime: Runtime,
        detector: Detector | BoxesFile | None = None,
        *,
        scale: float = 0.8,
        passes: int = 2,
        batch_size: int = 32,
        min_face: float = 0.0,
    ) -> None:
        if passes < 1 or batch_size < 1:
            raise UsageError(f"passes = {passes}, batch_size = {batch_size}; both must be at least 1")
        if not min_face >= 0:
            raise UsageError(f"min_face = {min_face}; expected pixels, 0 or more")
        self.runtime = runtime
        self.detector = detector
        self.scale = scale
        self.passes = passes
        self.batch_size = batch_size
        self.min_face = min_face

    @overload
    def __call__(self, image: list[Any] | tuple[Any, ...], boxes: Sequence[Any] | None = None) -> list[list[Face]]: ...
    @overload
    def __call__(
        self, image: str | Path | bytes | npt.NDArray[Any], boxes: npt.ArrayLike | None = None
    ) -> list[Face]: ...
    @overload
    def __call__(self, image: Any, boxes: Any = None) -> Any: ...

    def __call__(self, image: Any, boxes: Any = None) -> Any:
        """Return the faces of a photograph, or of each in a list.

        Args:
            image: a path, a file's bytes, a uint8 ``(H, W, 3)`` RGB array, a PIL image; or a list of these.
            boxes: rows x1 y1 x2 y2 in photograph pixels, instead of the detector's; for a list, one such table each.

        Returns:
            Faces, largest box first; with given boxes one face a box, in their order. For a list, a list of such lists.

        Raises:
            FiduciaError: a photograph or a box cannot be used; the message names it.
        """
        if not isinstance(image, (list, tuple)):
            return self._predict([self.find(image, boxes)])[0]
        if boxes is not None and len(boxes) != len(image):
            raise UsageError(f"{len(image)} photographs, but boxes for {len(boxes)}; give one table of boxes each")
        return list(self.stream(image, boxes))

    def stream(self, images: Iterable[Any], boxes: Iterable[Any] | None = None) -> Iterator[list[Face]]:
        """Yield the faces of one photograph after another, computed in full batches; few photographs are held at once."""
        waiting: list[Found] = []
        tables = iter(boxes) if boxes is not None else None
        for image in images:
            waiting.append(self.find(image, next(tables) if tables is not None else None))
            faces = sum(len(found) for _, found in waiting)
            if faces >= self.batch_size or sum(photo.image[..., 0].size for photo, _ in waiting) > _MAX_PENDING:
                yield from self._predict(waiting)
                waiting = []
        yield from self._predict(waiting)

    def find(self, image: Any, boxes: Any = None) -> Found:
        """Read a photograph and find (or check) its boxes, without computing any point."""
        photo = image if isinstance(image, Photo) else open_photo(image)
        if boxes is not None or isinstance(self.detector, BoxesFile):
            found = (
                given_boxes(boxes, photo.name) if boxes is not None else self.detector.lookup(photo.name)  # type: ignore[union-attr]
            )
            inside(found, photo.image, photo.name)
            return photo, found
        if self.detector is None:
            raise UsageError("this predictor has no detector: pass boxes=[[x1, y1, x2, y2], ...] in the call")
        given = list(self.detector(photo.image))
        origin = f"{photo.name}: detector {self.detector.name}"
        found = given_boxes([d.box for d in given], origin, [d.score for d in given])
        found = [d for d in found if max(d.box[2:] - d.box[:2]) >= self.min_face]
        return photo, sorted(suppress(found), key=lambda d: -float(np.prod(d.box[2:] - d.box[:2])))

    def _predict(self, photos: Sequence[Found]) -> list[list[Face]]:
        """Compute all faces of some photographs, batch by batch."""
        owners = [i for i, (_, found) in enumerate(photos) for _ in found]
        boxes = [d.box for _, found in photos for d in found]
        results: list[list[Face]] = [[] for _ in photos]
        for start in range(0, len(boxes), self.batch_size):
            part = slice(start, start + self.batch_size)
            names = [photos[i][0].name for i in owners[part]]
            images = [photos[i][0].image for i in owners[part]]
            xy, confidence = self._points(images, boxes[part], names)
            for i, points, sure in zip(owners[part], xy, confidence, strict=True):
                number = len(results[i])
                detection = photos[i][1][number]
                results[i].append(
                    Face(
                        xy=points.astype(np.float32),
                        confidence=np.clip(sure, 0.0, 1.0).astype(np.float32),
                        box=detection.box.astype(np.float32),
                        scheme=self.runtime.scheme,
                        score=detection.score,
                        id=number,
                    )
                )
        return results

    def _points(
        self, images: Sequence[npt.NDArray[np.uint8]], boxes: Sequence[npt.NDArray[np.float64]], names: Sequence[str]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float32]]:
        """Return points ``(N, K, 2)`` in each face's photograph, and confidence ``(N, K)`` of the last pass."""
        size = self.runtime.size
        regions = list(boxes)
        for last in range(1, self.passes + 1):
            to_crop = np.stack([box_to_crop(region, size, self.scale) for region in regions])
            crops = [crop(image, affine, size) for image, affine in zip(images, to_crop, strict=True)]
            batch = np.ascontiguousarray(np.stack(crops).transpose(0, 3, 1, 2))
            xy_crop, confidence = self.runtime(batch)
            xy = affine_apply(affine_invert(to_crop), xy_crop)
            for name, points in zip(names, xy, strict=True):
                if not np.isfinite(points).all():
                    raise FiduciaError(f"{name}: the network gave points that are not finite; are its weights damaged?")
            if last < self.passes:
                regions = [_refined(points, region) for points, region in zip(xy, regions, strict=True)]
        return xy, confidence


def _refined(points: npt.NDArray[np.float64], region: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the tight box of the points, or the old region where they have all but fallen together.

    That happens where there is no face: 5 % of the old side would enlarge noise twenty times.
    """
    box = tight_box(points)
    return box if min(box[2:] - box[:2]) >= 0.05 * max(region[2:] - region[:2]) else region


def load(
    weights: str | Path = "fifa_tiny",
    *,
    detector: str | Detector | None = "auto",
    device: str = "auto",
    runtime: str = "torch",
    second_pass: bool = True,
    batch_size: int = 32,
    min_face: float = 0.0,
    flip: bool | None = None,
    decode: str | None = None,
) -> Predictor:
    """Return a predictor with trained weights; nothing is downloaded.

    Args:
        weights: a shipped name (``fiducia list weights``), a safetensors file, a run's directory, or an
            exported file with the runtime that reads it.
        detector: ``auto``, a name of ``fiducia list detectors``, ``yunet:FILE.onnx``, a JSON file of boxes, any object of
            the :class:`fiducia.structures.Detector` shape, or None where every call gives boxes.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        runtime: what computes the network.
        second_pass: crop again round the first points, and look twice.
        batch_size: crops that are computed together.
        min_face: shortest longer side of a face's box, in photograph pixels.
        flip: look at every crop mirrored too and average (:class:`fiducia.runtimes.flip.FlipTest`), in twice the time;
            None = as the weights' card says.
        decode: another decoder than the card's, for networks with heatmaps.

    Raises:
        UsageError: a name that does not exist here.
        FiduciaError: damaged weights.
    """
    load_saved_plugins(weights)
    get_runtime(runtime)
    pick_device(device)
    finder = None if detector is None else get_detector(detector)
    points, card = open_runtime(weights, runtime, device, decode=decode)
    return Predictor(
        FlipTest.of(points, card) if (card.flip if flip is None else flip) else points,
        finder,
        scale=card.scale,
        passes=2 if second_pass else 1,
        batch_size=batch_size,
        min_face=min_face,
    )
