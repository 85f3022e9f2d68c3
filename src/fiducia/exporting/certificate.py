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
import torch

from .._version import __version__
from ..images import crop, read_image
from ..files import write_atomic
from ..data.source import datasets, find_dataset, load_records
from ..geometry import affine_apply, affine_invert, box_to_crop, tight_box
from ..metrics.figures import score
from ..weights.files import load_weights
from ..runtimes.torch_runtime import TorchRuntime, card_scheme, open_runtime
from ..errors import FiduciaError, UsageError
from ..structures import Record
from ..evaluation.subsets import default_split

Array = npt.NDArray[np.float64]

__all__ = ["LIMITS", "certificate_path", "certify", "check_faces", "compare"]

LIMITS: dict[str, tuple[str, float]] = {
    "float32": ("pixels_mean", 0.01),
    "float16": ("pixels_mean", 0.01),
    "bfloat16": ("nme_change", 0.1),
    "int8": ("nme_change", 0.1),
}
"""Precision → figure and limit: mean distance in crop pixels, or change of the NME in percentage points, either way."""

_BATCH = 32


def certificate_path(out: Path) -> Path:
    """Return where an exported file's certificate lies: beside it, ``.json`` added to its name."""
    return out.with_name(f"{out.name}.json")


def check_faces(source: str | None, split: str | None, count: int, scheme: str) -> tuple[str, str, list[Record]]:
    """Return the name, the split and the first ``count`` faces of the data that a certificate is measured on.

    Args:
        source: ``NAME:ROOT``; None = faces that fiducia draws.
        split: None = the test split.
        count: at most so many faces, evenly spread over the split.
        scheme: the landmark set of the weights; drawn faces carry it where they can.

    Raises:
        UsageError: an unknown data set or split.
        FiduciaError: no faces there.
    """
    wanted = None
    if source is None:
        source = f"synthetic:{4 * count}"
        wanted = scheme if scheme in datasets["synthetic"].schemes else None
    spec, _ = find_dataset(source)
    split = split or default_split(spec)
    records = load_records(source, split, wanted)
    if not records:
        raise FiduciaError(f"{source}: no face in split {split!r}; run: fiducia data check {source}")
    at = np.linspace(0, len(records) - 1, min(count, len(records))).round().astype(int)
    return spec.name, split, [records[i] for i in at]


def certify(
    out: Path, weights: str | Path, runtime: str, precision: str, faces: Sequence[Record], origin: dict[str, Any]
) -> dict[str, Any]:
    """Compare an exported file with its weights in torch, and write the result beside the file.

    Both see the same crops, the network as it was trained: its FF-Parsers by FFT, no norm folded.

    Args:
        out: the exported file.
        weights: what it was exported from.
        runtime: ``onnx`` or ``openvino``, which runs it.
        precision: of the export, which sets the limit.
        faces: annotated faces.
        origin: facts of the faces for the certificate: data, split.

    Returns:
        The certificate; ``passed`` tells whether it is within the limit.

    Raises:
        UsageError: the limit is one of NME and the faces are of another landmark set than the weights.
        FiduciaError: a file that cannot be read.
    """
    model, card = load_weights(weights)
    scheme = card_scheme(card)
    before = TorchRuntime(model, card, scheme, "cpu")
    after, _ = open_runtime(out, runtime)
    crops, to_crop = _crops(faces, card.size, card.scale, card.box_source)
    points = [_points(which, crops) for which in (before, after)]
    truth = None
    if faces[0].scheme == scheme.name:
        truth = np.stack([face.xy for face in faces])
    figures = compare(points[0], points[1], to_crop, truth, scheme)
    figure, limit = LIMITS[precision]
    if figures.get(figure) is None:
        raise UsageError(f"{precision} is judged by the NME, which needs faces in {scheme.name}: give --check-data")
    files = [out, *([out.with_suffix(".bin")] if out.suffix == ".xml" else [])]
    certificate = {
        "format": 1,
        "passed": bool(abs(figures[figure]) <= limit),
        "limit": {"figure": figure, "at_most": limit},
        **figures,
        **origin,
        "faces": len(faces),
        "precision": precision,
        "runtime": runtime,
        "weights": {"name": card.name, "sha256": card.sha256, "decode": card.decode, "size": card.size},
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
    before: tuple[Array, Array], after: tuple[Array, Array], to_crop: Array, truth: Array | None, scheme: Any
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
    found = {"torch": torch.__version__, "numpy": np.__version__}
    for name in ("onnx", "onnxscript", "onnxruntime", "openvino"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
