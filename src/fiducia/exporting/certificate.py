"""The parity certificate: what an exported file gives, beside what the network gives in torch, on the same faces."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .._version import __version__
from ..files import write_atomic
from ..geometry import affine_apply, affine_invert, box_to_crop, tight_box
from ..images import crop, read_image
from ..metrics.figures import score
from ..schemes.sets import Scheme, get_scheme
from ..structures import Record, Runtime
from ..weights.card import WeightCard

Array = npt.NDArray[np.float64]

__all__ = ["LIMITS", "SHARE_LIMIT", "certificate_path", "certify", "compare"]

LIMITS: dict[str, tuple[str, float]] = {
    "float32": ("pixels_mean", 0.01),
    "float16": ("pixels_mean", 0.01),
    "bfloat16": ("nme_change", 0.1),
    "int8": ("nme_change", 0.1),
}
"""Precision → figure and limit: mean distance in crop pixels, or change of the NME in percentage points, either way."""

SHARE_LIMIT = 0.003
"""Where a precision is judged by the NME and there are no annotated faces: mean distance of the points in sides of the crop."""

_BATCH = 32


def certificate_path(out: Path) -> Path:
    """Return where an exported file's certificate lies: beside it, ``.json`` added to its name."""
    return out.with_name(f"{out.name}.json")


def certify(
    out: Path,
    card: WeightCard,
    before: Runtime,
    after: Runtime,
    *,
    runtime: str,
    precision: str,
    faces: Sequence[Record],
    origin: dict[str, Any],
) -> dict[str, Any]:
    """Compare an exported file with its weights in torch, and write the result beside the file.

    Both see the same crops, the network as it was trained: its FF-Parsers by FFT, no norm folded.

    Args:
        out: the exported file.
        card: of the weights that it was exported from.
        before: the network in torch.
        after: the exported file in its runtime.
        runtime: that runtime's name.
        precision: of the export, which sets the limit.
        faces: annotated faces.
        origin: facts of the faces for the certificate: data, split.

    Returns:
        The certificate; ``passed`` tells whether it is within the limit.

    Raises:
        FiduciaError: a file that cannot be read.
    """
    scheme = before.scheme
    crops, to_crop = _crops(faces, card.size, card.scale, card.box_source)
    points = [_points(which, crops) for which in (before, after)]
    truth = None
    if get_scheme(faces[0].scheme).names == scheme.names:
        truth = np.stack([face.xy for face in faces])
    figures = compare(points[0], points[1], to_crop, truth, scheme)
    figure, limit = LIMITS[precision]
    if figures.get(figure) is None:
        # Faces of this landmark set are not at hand: the points' own distance is judged.
        figure, limit = "pixels_mean", SHARE_LIMIT * card.size
    files = [out, *([out.with_suffix(".bin")] if out.suffix.lower() == ".xml" else [])]
    certificate = {
        "format": 1,
        "passed": bool(abs(figures[figure]) <= limit),
        "limit": {"figure": figure, "at_most": limit},
        **figures,
        **origin,
        "faces": len(faces),
        "precision": precision,
        "runtime": runtime,
        "weights": {"name": card.name, "sha256": card.sha256, "decode": before.method or None, "size": card.size},
        "files": [
            {"name": f.name, "bytes": f.stat().st_size, "sha256": hashlib.sha256(f.read_bytes()).hexdigest()}
            for f in files
        ],
        "versions": {"fiducia": __version__, "python": platform.python_version(), **_versions()},
        "machine": platform.machine(),
    }
    write_atomic(certificate_path(out), (json.dumps(certificate, indent=2) + "\n").encode())
    return certificate


def compare(
    before: tuple[Array, Array], after: tuple[Array, Array], to_crop: Array, truth: Array | None, scheme: Scheme
) -> dict[str, Any]:
    """Return how far two sets of points lie apart, and the NME of each where the truth is known.

    Args:
        before: points ``(N, K, 2)`` in crop pixels and confidence ``(N, K)``.
        after: the same, of the export.
        to_crop: ``(N, 2, 3)``, photograph → crop.
        truth: ``(N, K, 2)`` in photograph pixels, or None.
        scheme: its landmark set.

    Returns:
        ``pixels_mean``, ``pixels_max`` (crop pixels; nan counts as infinitely far), ``confidence_max``; ``nme_metric``,
        ``nme_before``, ``nme_after`` and ``nme_change`` in percent, None without truth.
    """
    apart = np.linalg.norm(after[0] - before[0], axis=-1)
    apart = np.where(np.isfinite(apart), apart, np.inf)
    figures: dict[str, Any] = {
        "pixels_mean": float(apart.mean()),
        "pixels_max": float(apart.max()),
        "confidence_max": float(np.abs(after[1] - before[1]).max()),
        "nme_metric": None,
        "nme_before": None,
        "nme_after": None,
        "nme_change": None,
    }
    if truth is None:
        return figures
    back = affine_invert(to_crop)
    scores = [score(affine_apply(back, points), truth, scheme) for points, _ in (before, after)]
    kind = "ic" if "ic" in scores[0].nme else "box"
    first, second = (100 * float(np.nanmean(s.nme[kind])) for s in scores)
    return figures | {
        "nme_metric": f"nme_{kind}",
        "nme_before": first,
        "nme_after": second,
        "nme_change": second - first,
    }


def _crops(faces: Sequence[Record], size: int, scale: float, box_source: str) -> tuple[npt.NDArray[np.uint8], Array]:
    """Return the faces' crops, uint8 ``(N, 3, S, S)``, and the affines photograph → crop."""
    affines, crops = [], []
    for face in faces:
        box = face.box if box_source == "dataset" and face.box is not None else tight_box(face.xy)
        affines.append(box_to_crop(box, size, scale))
        crops.append(crop(read_image(face.image), affines[-1], size).transpose(2, 0, 1))
    return np.ascontiguousarray(np.stack(crops)), np.stack(affines)


def _points(runtime: Any, crops: npt.NDArray[np.uint8]) -> tuple[Array, Array]:
    parts = [runtime(crops[i : i + _BATCH]) for i in range(0, len(crops), _BATCH)]
    return np.concatenate([p for p, _ in parts]).astype(float), np.concatenate([c for _, c in parts]).astype(float)


def _versions() -> dict[str, str]:
    import torch

    found = {"torch": torch.__version__, "numpy": np.__version__}
    for name in ("onnx", "onnxscript", "onnxruntime", "openvino"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
