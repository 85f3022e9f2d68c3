"""Finding faces: detectors that ship offline, and the step from any box to one like the training crop's.

Networks are trained on the tight box of the landmarks, so each detector's box is moved and scaled towards it by
:data:`TO_LANDMARK_BOX` before it leaves here. ``benchmarks/detectors.py`` measures these figures, and the choice of the
default; ``docs/detect.md`` shows them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import numpy.typing as npt

from ..errors import FiduciaError, UsageError
from ..geometry import box_iou, box_to_crop
from ..images import crop
from ..registry import Registry, did_you_mean
from ..structures import Detection, Detector
from .boxes import BoxesFile

Image = npt.NDArray[np.uint8]

__all__ = [
    "DEFAULT",
    "TO_LANDMARK_BOX",
    "DlibDetector",
    "HaarDetector",
    "WholeImage",
    "YuNetDetector",
    "describe_detectors",
    "detectors",
    "get_detector",
    "suppress",
    "to_landmark_box",
]

DEFAULT = "dlib"
"""What ``auto`` means: the best recall and precision of those that need no file, and the quickest."""

TO_LANDMARK_BOX: dict[str, tuple[float, float, float, float]] = {
    "dlib": (0.019, 0.083, 0.964, 0.939),
    "haar": (0.007, 0.150, 0.850, 0.832),
    "haar_alt2": (0.005, 0.156, 0.867, 0.849),
}
"""Detector → median (shift of the centre in x and y as a share of the box's width and height, factor on its width and
on its height) that turns its box into the tight box of the 68 landmarks, on training photographs of 300-W."""

detectors: Registry[Callable[[str], Detector]] = Registry("detector", "fiducia.detectors")
"""Name → builder, called with what follows the colon in ``NAME:FILE`` (an empty string where nothing does)."""


def to_landmark_box(box: npt.ArrayLike, relation: Sequence[float]) -> npt.NDArray[np.float64]:
    """Move and scale a detector's box ``(4,)`` by one entry of :data:`TO_LANDMARK_BOX`; the same frame comes back."""
    x1, y1, x2, y2 = np.asarray(box, dtype=np.float64)
    dx, dy, fw, fh = relation
    w, h = x2 - x1, y2 - y1
    cx, cy = (x1 + x2) / 2 + dx * w, (y1 + y2) / 2 + dy * h
    return np.array([cx - fw * w / 2, cy - fh * h / 2, cx + fw * w / 2, cy + fh * h / 2])


def suppress(found: Sequence[Detection], overlap: float = 0.45) -> list[Detection]:
    """Drop every box that overlaps a surer one by an IoU above ``overlap``; the rest comes back surest first."""
    order = sorted(found, key=lambda d: -d.score)
    ious = box_iou([d.box for d in order], [d.box for d in order])
    kept: list[int] = []
    for i in range(len(order)):
        if all(ious[i, j] <= overlap for j in kept):
            kept.append(i)
    return [order[i] for i in kept]


def _resized(image: Image, longest: float) -> tuple[Image, float]:
    """Return the picture with its longer side at ``longest`` pixels, and the factor that was applied."""
    height, width = image.shape[:2]
    factor = longest / max(height, width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return cv2.resize(image, size, interpolation=how), factor  # type: ignore[return-value]


class DlibDetector:
    """The frontal HOG detector of dlib; it sees faces from 80 pixels of what it is shown.

    A photograph is looked at in grey with a longest side of at most ``longest``. A doubtful box is looked at twice more,
    mirrored and in colour at other sizes, and its score is the mean of the three: folds and shadows that pass for a face
    once seldom do so three times.

    Where nothing is found, it looks again: a large photograph at twice that side (small faces); any other with half its
    side of margin added (a face that fills it, or touches its border) and then, where it is small, at twice its size.

    Args:
        longest: pixels of the first look.
        threshold: least score; 0 is dlib's own margin.
    """

    name = "dlib"
    _CANDIDATE, _SURE, _UNSEEN = -0.4, 1.0, -0.9

    def __init__(self, longest: int = 1600, threshold: float = 0.0) -> None:
        try:
            import dlib
        except ImportError as error:
            raise UsageError("the dlib detector needs dlib: pip install dlib-bin, or use --detector haar") from error
        self._detector: Any = dlib.get_frontal_face_detector()
        self.longest = longest
        self.threshold = threshold

    def __call__(self, image: Image) -> list[Detection]:
        """Return the faces of an RGB uint8 ``(H, W, 3)`` photograph, best first."""
        side = max(image.shape[:2])
        found = self._look(image, min(side, self.longest))
        if found:
            return found
        if side > self.longest:
            return self._look(image, min(side, 2 * self.longest))
        margin = side // 2
        wide: Any = cv2.copyMakeBorder(image, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
        found = [_moved(d, -margin) for d in self._look(wide, min(2 * side, 640))]
        return found or (self._look(image, 2 * side) if 2 * side <= self.longest else [])

    def _look(self, image: Image, longest: float) -> list[Detection]:
        shown, factor = (image, 1.0) if longest == max(image.shape[:2]) else _resized(image, longest)
        found = []
        for edges, score in self._run(cv2.cvtColor(shown, cv2.COLOR_RGB2GRAY), self._CANDIDATE):
            box = edges / factor - 0.5
            sure = (
                score if score >= self._SURE else (score + self._mirrored(image, box) + self._coloured(image, box)) / 3
            )
            if sure >= self.threshold:
                found.append(Detection(box=to_landmark_box(box, TO_LANDMARK_BOX["dlib"]), score=sure))
        return sorted(found, key=lambda d: -d.score)

    def _mirrored(self, image: Image, box: npt.NDArray[np.float64]) -> float:
        near = cv2.cvtColor(crop(image, box_to_crop(box, 220, 0.5), 220), cv2.COLOR_RGB2GRAY)
        return self._again(near[:, ::-1])

    def _coloured(self, image: Image, box: npt.NDArray[np.float64]) -> float:
        return self._again(crop(image, box_to_crop(box, 190, 0.5), 190))

    def _again(self, near: Any) -> float:
        """Return the best score of a box in the middle half of a square picture."""
        n = near.shape[0]
        middle = [n / 4, n / 4, 3 * n / 4, 3 * n / 4]
        scores = [score for edges, score in self._run(near, self._UNSEEN) if box_iou([edges], [middle])[0, 0] > 0.4]
        return max(scores, default=self._UNSEEN)

    def _run(self, picture: Any, threshold: float) -> list[tuple[npt.NDArray[np.float64], float]]:
        """Return (edges of the box, counted from the picture's corner; score), of a grey or RGB picture."""
        rectangles, scores, _ = self._detector.run(np.ascontiguousarray(picture), 0, threshold)
        return [
            (np.array([r.left(), r.top(), r.right() + 1, r.bottom() + 1], dtype=np.float64), float(score))
            for r, score in zip(rectangles, scores, strict=True)
        ]


def _moved(found: Detection, by: float) -> Detection:
    return Detection(box=found.box + by, score=found.score)


class HaarDetector:
    """One of OpenCV's frontal cascades; its score is the number of windows that agreed, less the least one, over 10.

    Args:
        name: ``"haar"`` (default) or ``"haar_alt2"``.
        longest: pixels of the longest side that it is shown; faces from 24 pixels of that are found.
        neighbours: windows that must agree.
    """

    _FILES: ClassVar = {"haar": "haarcascade_frontalface_default.xml", "haar_alt2": "haarcascade_frontalface_alt2.xml"}

    def __init__(self, name: str = "haar", longest: int = 1024, neighbours: int = 5) -> None:
        self.name = name
        self.longest = longest
        self.neighbours = neighbours
        folder = getattr(getattr(cv2, "data", None), "haarcascades", "")
        file = Path(folder) / self._FILES[name]
        if not hasattr(cv2, "CascadeClassifier") or not file.is_file():
            raise UsageError(
                f"the {name} detector needs OpenCV 4 and its cascades: pip install 'opencv-python-headless<5'"
            )
        self._cascade: Any = cv2.CascadeClassifier(str(file))

    def __call__(self, image: Image) -> list[Detection]:
        """Return the faces of an RGB uint8 ``(H, W, 3)`` photograph, best first."""
        grey: Any = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        factor = 1.0
        if max(grey.shape) > self.longest:
            grey, factor = _resized(grey, self.longest)
        boxes, agreed = self._cascade.detectMultiScale2(grey, 1.1, self.neighbours, minSize=(24, 24))
        found = []
        for (x, y, w, h), count in zip(boxes, agreed, strict=True):
            box = np.array([x, y, x + w, y + h], dtype=np.float64) / factor - 0.5
            score = (float(count) - self.neighbours) / 10
            found.append(Detection(box=to_landmark_box(box, TO_LANDMARK_BOX[self.name]), score=score))
        return sorted(found, key=lambda d: -d.score)


class WholeImage:
    """Takes the whole picture for one face: for pictures that are cut to a face already."""

    name = "whole"

    def __call__(self, image: Image) -> list[Detection]:
        """Return one box, the picture's edges, with score 1."""
        height, width = image.shape[:2]
        return [Detection(box=np.array([-0.5, -0.5, width - 0.5, height - 0.5]))]


class YuNetDetector:
    """YuNet by OpenCV's ``FaceDetectorYN``, from an ONNX file that the user has; its boxes are taken as they are.

    Args:
        path: ``face_detection_yunet_*.onnx`` of the OpenCV model zoo.
        longest: pixels of the longest side that it is shown; faces from about 10 pixels of that are found.
        threshold: least score in [0, 1].

    Raises:
        FiduciaError: no such file, or OpenCV cannot read it as YuNet.
    """

    name = "yunet"

    def __init__(self, path: str | Path, longest: int = 1600, threshold: float = 0.6) -> None:
        self.path = Path(path)
        self.longest = longest
        if not self.path.is_file():
            raise UsageError(f"--detector yunet:{path}: no such file; download face_detection_yunet_2023mar.onnx first")
        level = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        try:
            self._net: Any = cv2.FaceDetectorYN.create(str(self.path), "", (320, 320), threshold)
        except (cv2.error, SystemError) as error:
            raise UsageError(
                f"--detector yunet:{path}: OpenCV cannot read this file as ONNX; download it again"
            ) from error
        finally:
            cv2.utils.logging.setLogLevel(level)

    def __call__(self, image: Image) -> list[Detection]:
        """Return the faces of an RGB uint8 ``(H, W, 3)`` photograph, best first."""
        bgr: Any = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        factor = 1.0
        if max(bgr.shape[:2]) > self.longest:
            bgr, factor = _resized(bgr, self.longest)
        self._net.setInputSize((bgr.shape[1], bgr.shape[0]))
        try:
            _, rows = self._net.detect(bgr)
        except cv2.error as error:
            raise FiduciaError(
                f"{self.path}: an ONNX file, but not YuNet's; use face_detection_yunet_2023mar.onnx"
            ) from error
        found = []
        for row in [] if rows is None else rows:
            x, y, w, h = (float(v) for v in row[:4])
            box = np.array([x, y, x + w, y + h]) / factor - 0.5
            found.append(Detection(box=box, score=float(row[-1])))
        return sorted(found, key=lambda d: -d.score)


@detectors.register("dlib")
def _dlib(_: str) -> Detector:
    """Histograms of gradients, dlib's frontal detector; offline, no file needed."""
    return DlibDetector()


@detectors.register("haar")
def _haar(_: str) -> Detector:
    """OpenCV's default frontal cascade; offline, no file needed."""
    return HaarDetector("haar")


@detectors.register("haar_alt2")
def _haar_alt2(_: str) -> Detector:
    """OpenCV's alt2 frontal cascade; offline, fewer false faces than haar, and fewer faces."""
    return HaarDetector("haar_alt2")


@detectors.register("whole")
def _whole(_: str) -> Detector:
    """The whole picture is one face."""
    return WholeImage()


@detectors.register("yunet")
def _yunet(file: str) -> Detector:
    """YuNet from a file of yours: yunet:FILE.onnx."""
    if not file:
        raise UsageError("--detector yunet needs its model file: yunet:face_detection_yunet_2023mar.onnx")
    return YuNetDetector(file)


def get_detector(name: str | Detector) -> Detector | BoxesFile:
    """Return a detector by name: ``auto``, a registered name, ``NAME:FILE``, or a JSON file of boxes.

    Anything that is a detector already comes back as it is.

    Raises:
        UsageError: no such name, or what it needs is missing or damaged.
    """
    if not isinstance(name, str):
        return name
    head, _, rest = name.partition(":")
    if name == "auto":
        return detectors[DEFAULT]("")
    if head in detectors:
        if rest and head != "yunet":
            raise UsageError(f"--detector {name}: {head} takes no file; use --detector {head}")
        return detectors[head](rest)
    if name.lower().endswith(".json"):
        return BoxesFile(name)
    if name.lower().endswith(".onnx"):
        raise UsageError(f"--detector {name}: say whose file it is: yunet:{name}")
    known = ["auto", *detectors]
    raise UsageError(
        f"--detector {name}: no such detector{did_you_mean(name, known)}; a JSON file of boxes also serves"
    )


def describe_detectors() -> list[dict[str, Any]]:
    """Return a row for every registered detector: name, whether it is the default, what it is."""
    return [
        {"name": name, "default": name == DEFAULT, "what": (detectors[name].__doc__ or "").strip()}
        for name in detectors
    ]
