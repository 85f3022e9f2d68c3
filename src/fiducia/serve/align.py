"""Upright face crops of one layout, from any landmark set that has eyes, nose and mouth."""

from __future__ import annotations

import base64

import cv2
import numpy as np
import numpy.typing as npt

from ..geometry import affine_invert
from ..images import crop
from ..schemes.sets import SchemeError, convert
from ..structures import Face
from .limits import Problem

__all__ = ["aligned_face", "similarity"]

_LAYOUT = np.array(
    [[0.3419, 0.4616], [0.6565, 0.4598], [0.5002, 0.6405], [0.3709, 0.8247], [0.6315, 0.8232]], dtype=np.float64
)
"""Where ArcFace (Deng et al. 2019) puts the five points, as a share of the side; ``five`` orders them in the same way."""


def similarity(source: npt.ArrayLike, target: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return the similarity ``(2, 3)`` (rotation, one scale, shift) that maps ``source`` to ``target`` with least squares.

    Args:
        source: points ``(N, 2)``, not all in one spot.
        target: points ``(N, 2)``.

    Raises:
        ValueError: the source points lie in one spot.
    """
    # A similarity is multiplication by a complex number and a shift, so least squares has a closed form.
    p, q = (np.asarray(xy, dtype=np.float64) @ [1, 1j] for xy in (source, target))
    centred = p - p.mean()
    spread = float((abs(centred) ** 2).sum())
    if not spread > 0:
        raise ValueError("the points lie in one spot")
    factor = (centred.conj() * (q - q.mean())).sum() / spread
    shift = q.mean() - factor * p.mean()
    return np.array([[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]])


def aligned_face(image: npt.NDArray[np.uint8], face: Face, size: int, form: str) -> dict[str, object]:
    """Return a face's upright crop as base64, and the affine back into the photograph.

    Args:
        image: uint8 ``(H, W, 3)`` RGB.
        face: with landmarks in its pixels.
        size: side of the crop in pixels.
        form: ``"png"`` or ``"jpeg"``.

    Raises:
        Problem: 422, the landmark set has no eyes, nose and mouth to align by.
    """
    try:
        five = convert(face.xy, face.scheme, "five")
        to_crop = similarity(five, _LAYOUT * size - 0.5)
    except (SchemeError, ValueError) as error:
        raise Problem(422, f"cannot be aligned: {error}", "align") from None
    picture = cv2.cvtColor(crop(image, to_crop, size), cv2.COLOR_RGB2BGR)
    _, buffer = cv2.imencode(".jpg" if form == "jpeg" else ".png", picture)
    return {"aligned": base64.b64encode(buffer.tobytes()).decode("ascii"), "to_image": affine_invert(to_crop).tolist()}
