"""What passes between the parts: a face on disk, a sample, a batch, an output, a result.

Dimension key for the whole project: B batch, V views, K points, C channels, H W crop pixels, h w heatmap cells.
The coordinate convention is in :mod:`fiducia.geometry`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from .geometry import five_point_roll
from .schemes.sets import Scheme

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = [
    "Batch",
    "Detection",
    "Detector",
    "ModelOutput",
    "Prediction",
    "Record",
    "Runtime",
    "Sample",
]


@dataclass(frozen=True, kw_only=True, eq=False)
class Record:
    """One annotated face on disk.

    Attributes:
        image: path of the image.
        xy: float64 ``(K, 2)`` in pixels of the image, 0-based; nan = not labelled.
        visible: int8 ``(K,)``: 2 visible, 1 occluded but located, 0 unlabelled (the COCO keypoint code).
        box: float64 ``(4,)`` the data set's own box of the face, or None.
        scheme: the landmark set's name, e.g. ``"ibug68"``.
        tags: any facts, such as ``{"part": "lfpw/testset", "pose": True}``; subsets are chosen by them.

    Example:
        >>> xy = np.array([[30.0, 40.0], [70.0, 40.0], [50.0, 60.0], [35.0, 80.0], [np.nan, np.nan]])
        >>> visible = np.array([2, 2, 2, 1, 0], np.int8)  # the fourth point is occluded, the last one is not labelled
        >>> Record(image=Path("photo.jpg"), xy=xy, visible=visible, scheme="five").id
        'photo.jpg'
    """

    image: Path
    xy: npt.NDArray[np.float64]
    visible: npt.NDArray[np.int8]
    scheme: str
    box: npt.NDArray[np.float64] | None = None
    tags: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """A name for this face that is unique in its data set: ``tags["id"]`` or the path of its image."""
        return str(self.tags.get("id", self.image.as_posix()))


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """One face, cropped.

    Attributes:
        image: uint8 ``(3, H, W)`` RGB in [0, 255].
        xy_crop: float32 ``(K, 2)`` crop pixels; nan = not labelled.
        visible: int8 ``(K,)`` as in :class:`Record`.
        to_image: float64 ``(2, 3)`` crop → photograph.
        index: the face's place in its data set.
        mirrored: whether the crop is a mirror image; its points are renamed already.
        tags: of the :class:`Record`.
    """

    image: npt.NDArray[np.uint8]
    xy_crop: npt.NDArray[np.float32]
    visible: npt.NDArray[np.int8]
    to_image: npt.NDArray[np.float64]
    index: int
    mirrored: bool = False
    tags: Mapping[str, Any] = field(default_factory=dict)


@dataclass(kw_only=True)
class Batch:
    """Samples stacked for the network. V = 2 is Siamese training, V = 1 is not.

    Attributes:
        images: uint8 ``(B, V, 3, H, W)`` RGB; the network normalises them.
        xy: float32 ``(B, V, K, 2)`` crop pixels; nan = not labelled.
        visible: int8 ``(B, V, K)`` as in :class:`Record`: 2 visible, 1 occluded but located, 0 unlabelled.
        mask: bool ``(B, V, K)``: labelled and inside the crop, so that a loss can use it.
        to_image: float64 ``(B, V, 2, 3)`` crop → image: the geometric parameters of each view.
        mirrored: bool ``(B, V)``: the view is a mirror image.
        tags: B mappings, the faces' own tags, for losses that ask for them (pose, occlusion).
        index: int64 ``(B,)`` places in the data set.

    Example:
        >>> import torch
        >>> b, v, k = 8, 2, 68
        >>> batch = Batch(
        ...     images=torch.zeros(b, v, 3, 128, 128, dtype=torch.uint8),
        ...     xy=torch.zeros(b, v, k, 2),
        ...     visible=torch.full((b, v, k), 2, dtype=torch.int8),
        ...     mask=torch.ones(b, v, k, dtype=torch.bool),
        ...     to_image=torch.eye(2, 3, dtype=torch.float64).expand(b, v, 2, 3),
        ...     mirrored=torch.zeros(b, v, dtype=torch.bool),
        ...     index=torch.arange(b),
        ... )
        >>> batch.views
        2
    """

    images: Tensor
    xy: Tensor
    visible: Tensor
    mask: Tensor
    to_image: Tensor
    mirrored: Tensor
    index: Tensor
    tags: Sequence[Mapping[str, Any]] = ()

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        """Return the batch on ``device``; ``to_image`` stays where it is (float64 is not everywhere)."""
        moved = {
            name: getattr(self, name).to(device, non_blocking=non_blocking)
            for name in ("images", "xy", "visible", "mask", "mirrored", "index")
        }
        return replace(self, **moved)

    @property
    def views(self) -> int:
        """V, the number of views of every face."""
        return int(self.images.shape[1])


@dataclass(kw_only=True)
class ModelOutput:
    """What a network gives for ``B`` crops. Unused fields stay empty. Only ``decode`` and the losses read it.

    Attributes:
        heatmaps: stages of ``(B, K, h, w)``, the last one final; stages may differ in side.
        linear: False = the heatmaps are logits, to be passed through a sigmoid; True = they are values, as in HRNet and
            FAN: 0 is background, 1 a peak.
        points: stages of ``(B, K, 2)`` crop pixels, the last one final.
        maps: any other named outputs, each a list of stages: ``edges``, ``boundary``, ``offsets``, ``visibility``, ...
        features: ``(B, C, h, w)`` before the head, for the similarity losses; or None.
        parts: the outputs of an ensemble's members.

    Example:
        >>> import torch
        >>> output = ModelOutput(heatmaps=[torch.zeros(2, 68, 64, 64)], features=torch.zeros(2, 32, 64, 64))
        >>> sorted(output.gives())
        ['features', 'heatmaps', 'logits']
    """

    heatmaps: list[Tensor] = field(default_factory=list)
    linear: bool = False
    points: list[Tensor] = field(default_factory=list)
    maps: dict[str, list[Tensor]] = field(default_factory=dict)
    features: Tensor | None = None
    parts: list[ModelOutput] = field(default_factory=list)

    def gives(self) -> frozenset[str]:
        """Return the names of what is here: ``heatmaps`` with ``logits`` or ``linear``, ``points``, ``features``, ``maps.NAME``."""
        found = {f"maps.{name}" for name, stages in self.maps.items() if stages}
        if self.heatmaps:
            found |= {"heatmaps", "linear" if self.linear else "logits"}
        if self.points:
            found.add("points")
        if self.features is not None:
            found.add("features")
        return frozenset(found)


class Prediction:
    """The landmarks of ``B`` crops. The rest of the package reads a network's output only in this form.

    Attributes:
        points: float32 ``(B, K, 2)`` crop pixels.
        confidence: float32 ``(B, K)`` in [0, 1]; 1 for networks without a confidence.
        spread: float32 ``(B, K, 2, 2)`` covariance of each point in squared crop pixels, or None. It may be given as a
            function, which is called when the spread is first read: few who decode need it.

    Example:
        >>> import torch, fiducia
        >>> model = fiducia.create_model("fifa_tiny", num_points=5).eval()
        >>> with torch.inference_mode():
        ...     prediction = model.decode(model(torch.zeros(2, 3, model.size, model.size)))
        >>> prediction.points.shape, prediction.confidence.shape
        (torch.Size([2, 5, 2]), torch.Size([2, 5]))
    """

    def __init__(
        self, *, points: Tensor, confidence: Tensor, spread: Tensor | Callable[[], Tensor] | None = None
    ) -> None:
        self.points = points
        self.confidence = confidence
        self._spread = spread

    @property
    def spread(self) -> Tensor | None:
        """The covariance of each point, or None where the network has no maps."""
        if callable(self._spread):
            self._spread = self._spread()
        return self._spread

    def with_points(self, points: Tensor) -> Prediction:
        """Return the prediction with other points."""
        return Prediction(points=points, confidence=self.confidence, spread=self._spread)


@dataclass(frozen=True, kw_only=True, eq=False)
class Detection:
    """A face's box, before there are landmarks.

    Attributes:
        box: float64 ``(4,)`` x1 y1 x2 y2 in photograph pixels, near the tight box of the face's landmarks.
        score: higher = surer. The detectors of this package give the probability that the box holds a face.
        points: float64 ``(5, 2)`` in photograph pixels, in the order of the scheme ``five`` (right eye, left eye, nose
            tip, right and left corner of the mouth, of the person), or None where the detector gives none.
        own_box: float64 ``(4,)`` in photograph pixels: the same box in the face's own frame. It covers the landmarks
            when it is turned by :attr:`roll` about its centre. None = no other than ``box``.
        given: the box is the user's, not a detector's.

    Example:
        >>> Detection(box=np.array([10.0, 20.0, 110.0, 130.0]), score=0.9).score
        0.9
    """

    box: npt.NDArray[np.float64]
    score: float = 1.0
    points: npt.NDArray[np.float64] | None = None
    own_box: npt.NDArray[np.float64] | None = None
    given: bool = False

    @property
    def roll(self) -> float:
        """Angle of the face in the photograph, in radians: 0 = upright, positive = turned clockwise as seen; 0 without points."""
        return 0.0 if self.points is None else float(five_point_roll(self.points))

    @property
    def crop_box(self) -> npt.NDArray[np.float64]:
        """The box to crop by, together with :attr:`roll`: ``own_box`` where there is one, else ``box``."""
        return self.box if self.own_box is None else self.own_box


@runtime_checkable
class Detector(Protocol):
    """Finds faces: any callable object of this shape with a name."""

    name: str

    def __call__(self, image: npt.NDArray[np.uint8]) -> Sequence[Detection]:
        """Return the faces of an RGB uint8 ``(H, W, 3)`` image, best first; an empty sequence if there is none."""
        ...


@runtime_checkable
class Runtime(Protocol):
    """Maps crops to points; torch, onnxruntime and OpenVINO each have one. ``method`` names its decoder, "" = none."""

    size: int
    scheme: Scheme
    method: str

    def __call__(self, crops: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Map uint8 ``(N, 3, S, S)`` RGB crops to points ``(N, K, 2)`` in crop pixels and confidence ``(N, K)`` in [0, 1]."""
        ...
