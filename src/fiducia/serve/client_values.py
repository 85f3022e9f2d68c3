"""What a request and an answer hold, as values of this package: the client's half of the API."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from ..detectors.boxes import given_boxes
from ..detectors.foreign import boxes_from, is_foreign
from ..errors import FiduciaError
from ..faces import Face, PhotoRef
from ..predict.inputs import open_photo
from ..schemes.sets import Scheme

if TYPE_CHECKING:
    import httpx

__all__ = ["aligned_of", "answer_table", "boxes_text", "face_of", "photograph_file", "wait_of"]

_LONGEST_WAIT = 60.0
"""Seconds; no server of this package asks for more."""


def photograph_file(photo: Any, number: int) -> tuple[str, bytes]:
    """Return a photograph's name and the bytes of its file; an array or a PIL image becomes a PNG.

    Raises:
        FiduciaError: it cannot be read.
    """
    if isinstance(photo, (bytes, bytearray, memoryview)):
        return f"image_{number}", bytes(photo)
    if isinstance(photo, (str, Path)):
        try:
            return Path(photo).name, Path(photo).read_bytes()
        except OSError as error:
            raise FiduciaError(f"{photo}: cannot be read ({error.strerror or error})") from None
    pixels = open_photo(photo).image
    _, buffer = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return f"image_{number}", buffer.tobytes()


def boxes_text(tables: Sequence[Any], names: Sequence[str]) -> str:
    """Return the boxes of photographs as JSON; they may be of any kind that a predictor takes.

    Args:
        tables: of each photograph, its boxes, or None for the server's detector.
        names: of the photographs, for errors.

    Raises:
        FiduciaError: not rows of four numbers, or a box without area.
        UsageError: boxes that are shares of the image, or another kind of object.
    """
    rows: list[list[list[float]] | None] = []
    for table, name in zip(tables, names, strict=True):
        own = boxes_from(table) if is_foreign(table) else table
        rows.append(None if own is None else [one.box.tolist() for one in given_boxes(own, name)])
    return json.dumps(rows)


def face_of(table: dict[str, Any], scheme: Scheme, photo: PhotoRef) -> Face:
    """Return a face of an answer."""

    def numbers(name: str) -> npt.NDArray[np.float32] | None:
        return None if table.get(name) is None else np.asarray(table[name], np.float32)

    return Face(
        xy=np.asarray(table["points"], np.float32).reshape(-1, 2),
        confidence=np.asarray(table["confidence"], np.float32),
        box=np.asarray(table["box"], np.float32),
        scheme=scheme,
        score=table["score"],
        id=table["id"],
        photo=photo,
        quality=table.get("quality"),
        sigma=numbers("sigma"),
        sigma_percent=numbers("sigma_percent"),
        visible=numbers("visible"),
    )


def aligned_of(table: dict[str, Any]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
    """Return the aligned crop uint8 ``(S, S, 3)`` RGB of a face in an answer, and the affine ``(2, 3)`` crop -> photograph.

    Raises:
        FiduciaError: it is no image.
    """
    image = cv2.imdecode(np.frombuffer(base64.b64decode(table["aligned"]), np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise FiduciaError("the server's aligned face is no image; do the versions of client and server fit?")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8), np.asarray(table["to_image"], np.float64)


def answer_table(url: str, answer: httpx.Response, *keys: str) -> dict[str, Any]:
    """Return the JSON object of an answer.

    Raises:
        FiduciaError: it is none, or lacks one of the keys: another program answers at this address.
    """
    try:
        table = answer.json()
    except ValueError:
        table = None
    if not isinstance(table, dict) or not set(keys) <= set(table):
        raise FiduciaError(f"{url}: {answer.status_code}, but no answer of fiducia serve; is another program there?")
    return table


def wait_of(answer: httpx.Response) -> float:
    """Return how many seconds a busy server asks to wait: 0 to 60, and 1 where it names no number, as a proxy may."""
    try:
        seconds = float(answer.headers.get("retry-after", "1"))
    except ValueError:
        return 1.0
    return min(max(seconds, 0.0), _LONGEST_WAIT) if math.isfinite(seconds) else 1.0
