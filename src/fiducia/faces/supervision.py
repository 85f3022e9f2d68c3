"""Faces as key points of the package supervision."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UsageError
from ..schemes.sets import Scheme

if TYPE_CHECKING:
    from .face import Face

__all__ = ["key_points"]


def key_points(faces: Sequence[Face], scheme: Scheme) -> Any:
    """Return ``supervision.KeyPoints``: ``xy (N, K, 2)``, the confidence ``(N, K)`` of the points, ``class_id`` 0.

    Its ``data`` hold ``id``, ``score`` and ``box`` of each face. To draw lines, give the scheme's edges, which count from
    1 there: ``supervision.EdgeAnnotator(edges=[(i + 1, j + 1) for i, j in faces.scheme.edges])``.

    Raises:
        UsageError: supervision is not installed.
    """
    try:
        import supervision
    except ImportError as error:
        raise UsageError("to_supervision needs the package supervision: pip install 'fiducia[interop]'") from error
    if not faces:
        return supervision.KeyPoints.empty()
    sure = np.stack([face.confidence for face in faces]).astype(np.float32)
    # Up to version 0.28 there was one confidence, that of the points.
    newer = "keypoint_confidence" in inspect.signature(supervision.KeyPoints).parameters
    words: dict[str, Any] = {"keypoint_confidence" if newer else "confidence": sure}
    return supervision.KeyPoints(
        xy=np.stack([face.xy for face in faces]).astype(np.float32),
        **words,
        class_id=np.zeros(len(faces), int),
        data={
            "id": np.array([face.id for face in faces]),
            "score": np.array([face.score for face in faces], np.float32),
            "box": np.stack([face.box for face in faces]).astype(np.float32),
        },
    )
