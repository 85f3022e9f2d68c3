"""Image in, faces out: detect, crop, predict, then a second pass on a tighter crop."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from ..calibration import Calibration, judge
from ..detectors.base import suppress
from ..detectors.boxes import BoxesFile, check_detections, given_boxes, inside
from ..detectors.foreign import boxes_from, is_foreign
from ..detectors.registry import get_detector
from ..device import pick_device
from ..errors import FiduciaError, UsageError
from ..faces.face import Face
from ..faces.many import Faces
from ..faces.photo import PhotoRef
from ..faces.plain import Origin
from ..geometry import affine_apply, affine_invert, box_to_crop, tight_box
from ..images import MAX_PIXELS, crop
from ..runtimes.auto import describe
from ..runtimes.flip import FlipTest
from ..runtimes.opening import open_runtime
from ..runtimes.registry import get_runtime
from ..structures import Detection, Detector, Runtime
from ..weights.card import WeightCard
from ..weights.places import load_saved_plugins
from .batches import Found, enough, one_each, paired
from .following import Following
from .inputs import Photo, open_still

__all__ = ["Predictor", "load"]


class Predictor(Following):
    """Detects faces and their landmarks. :func:`load` returns one; it can also be built from parts.

    Args:
        runtime: maps crops to points.
        detector: finds faces; None = every call gives boxes.
        scale: the box's share of the crop (``data.scale`` of the training recipe).
        passes: 1 = crop by the detector's box; 2 = a second pass on the tight box of the first points, as in training;
            more = further passes. None = two, but one for a face whose detector was fitted to landmark boxes
            (:attr:`Detection.own_box`). The points of such a face are the mean of its passes, which is 1 % better than one
            and takes twice the network's time; other faces have the points of the last pass.
        batch_size: crops per batch.
        min_face: minimum face size in pixels (longer side of the box); smaller faces are skipped.
        max_pixels: larger images are refused before memory is taken; pixels of 16 bits count double.
        calibration: of the weights: what turns confidence into quality and expected errors; None = faces have none.
        min_quality: detected faces of lower quality are left out; faces in boxes of the user's are all kept.
        origin: the weights' name and hash, for the mark that labels are machine-made.
        model_card: the model card of the weights; None = unknown.

    Example:
        >>> from fiducia.data.synthetic.source import synthetic_face
        >>> image, truth, _ = synthetic_face(7)
        >>> predictor = load(detector=None, device="cpu")
        >>> (face,) = predictor(image, boxes=[[*truth.min(0), *truth.max(0)]])
        >>> face.region("left_eye").shape
        (6, 2)
    """

    def __init__(
        self,
        runtime: Runtime,
        detector: Detector | BoxesFile | None = None,
        *,
        scale: float = 0.8,
        passes: int | None = None,
        batch_size: int = 32,
        min_face: float = 0.0,
        max_pixels: int = MAX_PIXELS,
        calibration: Calibration | None = None,
        min_quality: float = 0.0,
        origin: Origin | None = None,
        model_card: WeightCard | None = None,
    ) -> None:
        if (passes is not None and passes < 1) or batch_size < 1:
            raise UsageError(f"passes = {passes}, batch_size = {batch_size}; both must be at least 1")
        if not 0 <= min_face < math.inf:
            raise UsageError(f"min_face = {min_face}; expected pixels, 0 or more")
        if not 0 <= min_quality <= 1:
            raise UsageError(f"min_quality = {min_quality}; expected a probability from 0 to 1")
        if min_quality > 0 and calibration is None:
            raise UsageError(
                f"min_quality = {min_quality}: these weights have no calibration; run: fiducia weights calibrate"
            )
        self.runtime = runtime
        self.detector = detector
        self.scale = scale
        self.passes = passes
        self.batch_size = batch_size
        self.min_face = min_face
        self.max_pixels = max_pixels
        self.calibration = calibration
        self.min_quality = min_quality
        self.origin = origin or Origin()
        self.model_card = model_card

    @overload
    def __call__(self, image: list[Any] | tuple[Any, ...], boxes: Sequence[Any] | None = None) -> list[Faces]: ...
    @overload
    def __call__(self, image: str | Path | bytes | npt.NDArray[Any], boxes: npt.ArrayLike | None = None) -> Faces: ...
    @overload
    def __call__(self, image: Any, boxes: Any = None) -> Any: ...

    def __call__(self, image: Any, boxes: Any = None) -> Any:
        """Return the faces of an image, or of each image in a list.

        Args:
            image: a path, the bytes of a file, a uint8 ``(H, W, 3)`` RGB array or a PIL image; or a list of these.
            boxes: rows x1 y1 x2 y2 in pixels of the image, to use in place of the detector; or detections of this package; or the
                result of supervision, ultralytics, insightface, mediapipe or dlib (:func:`fiducia.boxes_from`). For a list of
                images, one of these per image.

        Returns:
            :class:`~fiducia.faces.many.Faces`, a list, best first as the detector ranks them; with ``boxes`` one face per box,
            in their order. For a list of images, one of them per image.

        Raises:
            FiduciaError: an image or a box cannot be used; the message names it.
        """
        if not isinstance(image, (list, tuple)):
            return self.predict([self.find(image, boxes)])[0]
        return list(self.stream(image, one_each(boxes, len(image))))

    def stream(self, images: Iterable[Any], boxes: Iterable[Any] | None = None) -> Iterator[Faces]:
        """Yield the faces of one image after another. They are computed in full batches, with few images in memory."""
        waiting: list[Found] = []
        for image, table in paired(images, boxes):
            waiting.append(self.find(image, table))
            if enough(waiting, self.batch_size):
                yield from self.predict(waiting)
                waiting = []
        yield from self.predict(waiting)

    def find(self, image: Any, boxes: Any = None) -> Found:
        """Read an image and detect (or check) its face boxes, without landmarks."""
        photo = image if isinstance(image, Photo) else open_still(image, max_pixels=self.max_pixels)
        if boxes is not None or isinstance(self.detector, BoxesFile):
            found = self._given(boxes, photo) if boxes is not None else self.detector.lookup(photo.name)  # type: ignore[union-attr]
            inside(found, photo.image, photo.name)
            return photo, found
        if self.detector is None:
            raise UsageError("this predictor has no detector: pass boxes=[[x1, y1, x2, y2], ...] in the call")
        origin = f"{photo.name}: detector {self.detector.name}"
        given = check_detections(list(self.detector(photo.image)), origin)
        checked = given_boxes([d.box for d in given], origin, [d.score for d in given])
        found = [replace(own, box=one.box, score=one.score) for own, one in zip(given, checked, strict=True)]
        return photo, suppress([d for d in found if max(d.box[2:] - d.box[:2]) >= self.min_face])

    def _given(self, boxes: Any, photo: Photo) -> list[Detection]:
        """Return the boxes of a call as detections; those of this package keep their score and their roll."""
        if isinstance(boxes, Sequence) and len(boxes) and all(isinstance(box, Detection) for box in boxes):
            return [replace(one, given=True) for one in check_detections(boxes, photo.name)]
        if is_foreign(boxes):
            boxes = boxes_from(boxes, (photo.image.shape[1], photo.image.shape[0]))
        return given_boxes(boxes, photo.name)

    def predict(self, photos: Sequence[Found]) -> list[Faces]:
        """Return the faces of photographs that :meth:`find` gave, one list each; they are computed in full batches."""
        owners = [i for i, (_, found) in enumerate(photos) for _ in found]
        detections = [d for _, found in photos for d in found]
        scheme = self.runtime.scheme
        refs = [PhotoRef.of(photo) for photo, _ in photos]
        results = [Faces(scheme=scheme, photo=ref, origin=self.origin) for ref in refs]
        for start in range(0, len(detections), self.batch_size):
            part = slice(start, start + self.batch_size)
            names = [photos[i][0].name for i in owners[part]]
            images = [photos[i][0].image for i in owners[part]]
            xy, confidence = self._points(images, detections[part], names, self.passes)
            faces = self._faces(xy, np.clip(confidence, 0.0, 1.0), detections[part], [refs[i] for i in owners[part]])
            for i, face, detection in zip(owners[part], faces, detections[part], strict=True):
                if face.quality is None or face.quality >= self.min_quality or detection.given:
                    results[i].append(replace(face, id=len(results[i])))
        return results

    def _faces(
        self,
        xy: npt.NDArray[np.float64],
        confidence: npt.NDArray[np.float32],
        found: Sequence[Detection],
        photos: Sequence[PhotoRef],
    ) -> list[Face]:
        """Return faces with their quality and expected errors, where the weights are calibrated."""
        scheme = self.runtime.scheme
        faces = [
            Face(
                xy=points.astype(np.float32),
                confidence=sure.astype(np.float32),
                box=detection.box.astype(np.float32),
                scheme=scheme,
                score=detection.score,
                photo=photo,
            )
            for points, sure, detection, photo in zip(xy, confidence, found, photos, strict=True)
        ]
        if self.calibration is None:
            return faces
        told = judge(self.calibration, xy, confidence, np.stack([detection.box for detection in found]))
        return [
            replace(
                face,
                quality=float(told.quality[i]),
                sigma=told.sigma[i].astype(np.float32),
                sigma_percent=told.relative[i].astype(np.float32),
                visible=None if told.visible is None else told.visible[i].astype(np.float32),
            )
            for i, face in enumerate(faces)
        ]

    def _points(
        self,
        images: Sequence[npt.NDArray[np.uint8]],
        faces: Sequence[Detection],
        names: Sequence[str],
        wanted: int | None,
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float32]]:
        """Return points ``(N, K, 2)`` in each face's photograph, and confidence ``(N, K)``: see ``passes``.

        A face that leans is cropped upright. Its second crop keeps that angle, round the box of the first points.
        """
        xy, confidence = self._pass(images, [face.crop_box for face in faces], faces, names)
        regions = [face.crop_box for face in faces]
        passes = [wanted or (1 if face.own_box is not None else 2) for face in faces]
        for number in range(2, max(passes) + 1):
            again = [i for i, count in enumerate(passes) if count >= number]
            for i in again:
                regions[i] = _refined(xy[i], regions[i], faces[i].roll)
            points, sure = self._pass(
                [images[i] for i in again],
                [regions[i] for i in again],
                [faces[i] for i in again],
                [names[i] for i in again],
            )
            # A box that was fitted to landmarks is nearly right, and so are the points of its pass; another may be far off.
            new = np.array([1 / number if faces[i].own_box is not None else 1.0 for i in again])
            xy[again] += new[:, None, None] * (points - xy[again])
            confidence[again] += new[:, None].astype(np.float32) * (sure - confidence[again])
        return xy, confidence

    def _pass(
        self,
        images: Sequence[npt.NDArray[np.uint8]],
        regions: Sequence[npt.NDArray[np.float64]],
        faces: Sequence[Detection],
        names: Sequence[str],
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float32]]:
        """Crop each face by a region in its own frame, and return points in its photograph, and confidence."""
        size = self.runtime.size
        to_crop = np.stack(
            [box_to_crop(region, size, self.scale, face.roll) for region, face in zip(regions, faces, strict=True)]
        )
        batch = np.empty((len(images), 3, size, size), np.uint8)
        for place, image, affine in zip(batch, images, to_crop, strict=True):
            place[:] = crop(image, affine, size).transpose(2, 0, 1)
        xy_crop, confidence = self.runtime(batch)
        xy = affine_apply(affine_invert(to_crop), xy_crop)
        for name, points in zip(names, xy, strict=True):
            if not np.isfinite(points).all():
                raise FiduciaError(f"{name}: the network gave points that are not finite; are its weights damaged?")
        return xy, np.array(confidence)


def _refined(points: npt.NDArray[np.float64], region: npt.NDArray[np.float64], angle: float) -> npt.NDArray[np.float64]:
    """Return the tight box of the points in the face's own frame, or the old region where the points lie in one spot.

    The points lie in one spot where there is no face: 5 % of the old side would enlarge noise twenty times.
    """
    box = tight_box(points, angle)
    return box if min(box[2:] - box[:2]) >= 0.05 * max(region[2:] - region[:2]) else region


def load(
    weights: str | Path = "fifa_tiny",
    *,
    detector: str | Detector | None = "auto",
    device: str = "auto",
    runtime: str = "auto",
    second_pass: bool | None = None,
    batch_size: int = 32,
    min_face: float = 0.0,
    min_score: float | None = None,
    max_pixels: int = MAX_PIXELS,
    flip: bool | None = None,
    decode: str | None = None,
    min_quality: float = 0.0,
) -> Predictor:
    """Return a predictor with trained weights. Nothing is downloaded.

    Args:
        weights: a shipped name (``fiducia list weights``), a safetensors file, a run's directory, or an
            exported file with a runtime that reads it.
        detector: ``auto``, a name of ``fiducia list detectors``, ``yunet:FILE.onnx``, a JSON file of boxes, any object of
            the :class:`fiducia.structures.Detector` shape, or None if every call gives boxes.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        runtime: ``auto``, ``torch``, ``onnx``, ``openvino``, or another registered runtime. ``auto`` is the fastest one
            that is installed and gives torch's points for these weights; it prepares them once, which takes a few seconds.
        second_pass: run a second pass on a tighter crop; None = only for boxes that are not fitted to landmarks, such as
            your own.
        batch_size: crops per batch.
        min_face: minimum face size in pixels (longer side of the box); smaller faces are skipped.
        min_score: faces that the detector scores lower are skipped; None = the detector's own limit.
        max_pixels: larger images are refused before memory is taken; pixels of 16 bits count double.
        flip: flip test-time augmentation (about 2x slower); None = as the model card says.
        decode: heatmap decoder; None = as the model card says.
        min_quality: detected faces whose points are less likely to be right are left out, 0 to 1.

    Raises:
        UsageError: an unknown name, or ``min_quality`` with weights that are not calibrated.
        FiduciaError: damaged weights.

    Example:
        >>> import numpy as np
        >>> predictor = load("fifa_tiny", device="cpu")
        >>> predictor(np.zeros((120, 160, 3), np.uint8))  # an array, bytes, a PIL image or a path; here without a face
        []
    """
    load_saved_plugins(weights)
    get_runtime(runtime)
    if runtime != "auto":
        pick_device(device)
    finder = None if detector is None else get_detector(detector, min_score=min_score)
    points, card = open_runtime(weights, runtime, device, decode=decode)
    return Predictor(
        FlipTest.of(points, card) if (card.flip if flip is None else flip) else points,
        finder,
        scale=card.scale,
        passes=None if second_pass is None else 2 if second_pass else 1,
        batch_size=batch_size,
        min_face=min_face,
        max_pixels=max_pixels,
        # Another decoder gives another confidence than the one that was calibrated.
        calibration=card.calibration if decode in (None, card.decode) else None,
        min_quality=min_quality,
        origin=Origin(card.name, card.sha256, describe(points)[0]),
        model_card=card,
    )
