"""YuNet's network and the reading of its outputs: in OpenVINO where that is installed, else in OpenCV, with the same faces.

OpenVINO takes a third of OpenCV's time. The network looks at cells of 8, 16 and 32 pixels; each cell tells the class score
and the objectness of a face, its box and its five points (Wu, Peng and Yu 2023, sections 3.1 and 3.2).
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import threading
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from ..cpu import compute_threads, load_openvino
from .base import Array, Image
from .yunet_file import YuNetFile

__all__ = ["YuNetNetwork", "read_outputs"]

LEAST = 0.1
"""Network scores below this are not told; it is far below any probability that matters."""
OVERLAP, MOST = 0.3, 5000
"""Boxes of an IoU above this are one face; and boxes that are compared, at most."""
BATCH = 4
"""Pictures that are computed together, at most."""
_STRIDES = (8, 16, 32)
_OUTPUTS = tuple(f"{name}_{stride}" for name in ("cls", "obj", "bbox", "kps") for stride in _STRIDES)
_lock = threading.Lock()
_compiled: dict[tuple[str, int], Any] = {}
_home = os.getpid()
"""The process whose threads OpenVINO has; it cannot start again in one that is forked from it."""


class YuNetNetwork:
    """One instance of the network; not for several threads at once.

    Args:
        file: the network. Only the shipped ones run in OpenVINO: what OpenCV makes of other files is OpenCV's to say.

    Raises:
        UsageError: OpenCV cannot read the file.
    """

    def __init__(self, file: YuNetFile) -> None:
        self.file = file
        self._opencv: Any = None
        self._request = _request(file)
        if self._request is None:
            self._opencv = self._make()

    def __call__(self, pictures: Sequence[Image]) -> list[Array]:
        """Return rows ``(N, 15)`` for each picture: x, y, width, height, five points x y, score; surest first.

        Args:
            pictures: uint8 ``(h, w, 3)`` each, BGR. Neighbours of one size are computed together.

        Raises:
            UsageError: OpenCV cannot run the file as YuNet's network.
        """
        if self._request is None or os.getpid() != _home:
            return [self._by_opencv(bgr) for bgr in pictures]
        found: list[Array] = []
        for _, alike in itertools.groupby(pictures, lambda bgr: bgr.shape):
            same = list(alike)
            for start in range(0, len(same), BATCH):
                found += self._by_openvino(same[start : start + BATCH])
        return found

    def _by_openvino(self, pictures: Sequence[Image]) -> list[Array]:
        height, width = pictures[0].shape[:2]
        # Each new shape takes OpenVINO six milliseconds once, so a batch has one picture or all.
        count = 1 if len(pictures) == 1 else BATCH
        batch = np.zeros((count, height + -height % 32, width + -width % 32, 3), np.uint8)
        for place, bgr in zip(batch, pictures, strict=False):
            place[:height, :width] = bgr
        found = self._request.infer({0: batch})
        # The network's outputs have the cells of one picture after those of the other.
        outputs = {name: found[name].reshape(count, -1, found[name].shape[-1]) for name in _OUTPUTS}
        return [read_outputs({name: o[i] for name, o in outputs.items()}, batch.shape[2]) for i in range(len(pictures))]

    def _by_opencv(self, bgr: Image) -> Array:
        height, width = bgr.shape[:2]
        if self._opencv is None:
            self._opencv = self._make()
        try:
            self._opencv.setInputSize((width, height))
            _, rows = self._opencv.detect(bgr)
        except cv2.error as error:
            raise self.file.error("OpenCV cannot run it as YuNet") from error
        return np.zeros((0, 15)) if rows is None else rows.astype(np.float64)

    def _make(self) -> Any:
        data = np.frombuffer(self.file.data, np.uint8)
        try:
            return cv2.FaceDetectorYN.create("onnx", data, np.empty(0, np.uint8), (320, 320), LEAST, OVERLAP, MOST)
        except (cv2.error, SystemError) as error:
            raise self.file.error("OpenCV cannot read it") from error


def read_outputs(outputs: dict[str, Any], width: int) -> Array:
    """Return the faces ``(N, 15)`` in a network's outputs, surest first, without doubles.

    Args:
        outputs: ``cls_S`` and ``obj_S (cells, 1)``, ``bbox_S (cells, 4)`` and ``kps_S (cells, 10)`` for strides S.
        width: of the picture in pixels, a multiple of 32.
    """
    parts = []
    for stride in _STRIDES:
        sure = np.clip(outputs[f"cls_{stride}"], 0, 1) * np.clip(outputs[f"obj_{stride}"], 0, 1)
        score = np.sqrt(sure[:, 0], dtype=np.float32)
        cells = np.flatnonzero(score >= LEAST)
        if not len(cells):
            continue
        place = np.stack([cells % (width // stride), cells // (width // stride)], axis=1).astype(np.float32)
        box, points = outputs[f"bbox_{stride}"][cells], outputs[f"kps_{stride}"][cells]
        sides = np.exp(box[:, 2:]) * stride
        corner = (place + box[:, :2]) * stride - sides / 2
        spots = (points.reshape(-1, 5, 2) + place[:, None]) * stride
        parts.append(np.concatenate([corner, sides, spots.reshape(-1, 10), score[cells, None]], axis=1))
    if not parts:
        return np.zeros((0, 15))
    rows = np.concatenate(parts)
    if len(rows) > 1:
        # Whole pixels, as OpenCV compares them.
        boxes = rows[:, :4].astype(int).tolist()
        rows = rows[np.asarray(cv2.dnn.NMSBoxes(boxes, rows[:, 14].tolist(), LEAST, OVERLAP, 1.0, MOST), int).ravel()]
    return rows.astype(np.float64)


def _request(file: YuNetFile) -> Any:
    """Return a request of the compiled network; None where it runs in OpenCV."""
    if not file.shipped or os.getpid() != _home or importlib.util.find_spec("openvino") is None:
        return None
    key = file.shipped, compute_threads()
    with _lock:
        if key not in _compiled:
            try:
                _compiled[key] = _compile(file.data, key[1])
            except (RuntimeError, ImportError):
                _compiled[key] = None
        network = _compiled[key]
    return None if network is None else network.create_infer_request()


def _compile(data: bytes, threads: int) -> Any:
    openvino = load_openvino()
    core = openvino.Core()
    model = core.read_model(data)
    # Any number and size of pictures: the first batch of a shape costs a few milliseconds more.
    model.reshape(openvino.PartialShape([-1, 3, -1, -1]))
    # Bytes in the order of a picture go in; OpenVINO turns them round and into numbers in less time than OpenCV.
    steps = openvino.preprocess.PrePostProcessor(model)
    steps.input().tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    steps.input().model().set_layout(openvino.Layout("NCHW"))
    model = steps.build()
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,
    }
    return core.compile_model(model, "CPU", settings)
