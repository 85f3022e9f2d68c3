"""Upright face crops, as image files in base64."""

from __future__ import annotations

import base64

import cv2

from ..errors import FiduciaError
from ..faces import Face
from ..geometry import affine_invert
from ..images import Image
from ..schemes.sets import SchemeError
from .limits import Problem

__all__ = ["aligned_face"]


def aligned_face(image: Image, face: Face, size: int, form: str) -> dict[str, object]:
    """Return a face's upright crop as an image file, and the affine back into the photograph.

    Args:
        image: uint8 ``(H, W, 3)`` RGB.
        face: with landmarks in its pixels.
        size: side of the crop in pixels.
        form: ``"png"`` or ``"jpeg"``.

    Raises:
        Problem: 422, the landmark set has no eyes, nose and mouth to align by.
    """
    try:
        aligned = face.align(size, image=image)
    except (SchemeError, FiduciaError) as error:
        raise Problem(422, f"cannot be aligned: {error}", "align") from None
    _, buffer = cv2.imencode(".jpg" if form == "jpeg" else ".png", cv2.cvtColor(aligned.image, cv2.COLOR_RGB2BGR))
    to_image = affine_invert(aligned.matrix).tolist()
    return {"aligned": base64.b64encode(buffer.tobytes()).decode("ascii"), "to_image": to_image}
