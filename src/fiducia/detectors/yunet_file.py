"""YuNet's files: the two that are shipped, and a user's own, which is checked before OpenCV is asked to read it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from ..errors import FiduciaError, UsageError
from ..files import read_bytes
from .base import Array
from .yunet_constants import CALIBRATION, STEP

__all__ = ["YuNetFile", "own_file", "shipped_file"]

_OUTPUTS = [f"{name}_{stride}" for name in ("cls", "obj", "bbox", "kps") for stride in (8, 16, 32)]
_LARGEST = 100_000_000
"""Bytes; YuNet's own file has 230,000."""
_ADVICE = "get face_detection_yunet_2023mar.onnx from the OpenCV model zoo, or use --detector yunet"


@dataclass(frozen=True, eq=False)
class YuNetFile:
    """A network and the constants that were fitted to it.

    Attributes:
        name: what an error names.
        data: the ONNX file's bytes.
        step: ``(12, 4)``, see :data:`fiducia.detectors.yunet_constants.STEP`.
        calibration: slope and offset, see :data:`fiducia.detectors.yunet_constants.CALIBRATION`.
        shipped: which of the shipped networks it is; empty for another.
    """

    name: str
    data: bytes
    step: Array
    calibration: tuple[float, float]
    shipped: str = ""

    def error(self, reason: str) -> UsageError:
        """Return the error for a file that is not YuNet's, in one line."""
        return UsageError(f"--detector {self.name}: {reason}; {_ADVICE}")


def shipped_file(name: str) -> YuNetFile:
    """Return ``yunet_n`` or ``yunet_s`` of this package."""
    data = (files(__package__) / "files" / f"{name}.onnx").read_bytes()
    return YuNetFile(name, data, STEP[name], CALIBRATION[name], name)


def own_file(path: str | Path) -> YuNetFile:
    """Read a user's file. It gets the constants of the shipped network that it is a copy of, else those of ``yunet_s``.

    Raises:
        UsageError: no such file, or it is not a whole ONNX file with YuNet's outputs. OpenCV would say so on standard
            error, which is not ours to silence.
    """
    name = f"yunet:{path}"
    try:
        data = read_bytes(path, _LARGEST, "an ONNX file")
    except FiduciaError as error:
        raise UsageError(f"--detector yunet:{error}; {_ADVICE}") from None
    known = hashlib.sha256(data).digest()
    same = next((n for n in STEP if hashlib.sha256(shipped_file(n).data).digest() == known), "")
    alike = same or "yunet_s"
    file = YuNetFile(name, data, STEP[alike], CALIBRATION[alike], same)
    if not _is_whole(data):
        raise file.error("not an ONNX file, or cut short")
    if not all(output.encode() in data for output in _OUTPUTS):
        raise file.error("an ONNX file, but not of YuNet's network (2023 or later)")
    return file


def _is_whole(data: bytes) -> bool:
    """Return whether bytes are a protobuf message (the form of an ONNX file) that ends where its last field does."""
    place = 0
    try:
        while place < len(data):
            tag, place = _varint(data, place)
            kind = tag & 7
            if kind == 0:
                _, place = _varint(data, place)
            elif kind == 1:
                place += 8
            elif kind == 2:
                length, place = _varint(data, place)
                place += length
            elif kind == 5:
                place += 4
            else:
                return False
    except IndexError:
        return False
    return 0 < len(data) == place


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """Return the number that starts at a place, and the place after it; at most ten bytes."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
    raise IndexError
