"""``--format coco``: one COCO keypoints file of all parts, written as they are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..faces.plain import Origin
from ..predict.outputs.base import in_folder
from ..predict.outputs.coco import NAME, coco_parts
from ..predict.streamed import write_parts
from ..schemes.sets import Scheme
from .parts import FACES, PHOTOGRAPHS, read_part
from .schema import FAILED

__all__ = ["write_coco"]


def write_coco(out: Path, chunks: Sequence[int], scheme: Scheme, origin: Origin) -> Path:
    """Write ``coco.json``; photographs that failed are left out, and of videos the frames without a face.

    A frame of a video is called ``VIDEO#NUMBER``.

    Args:
        out: folder of the results.
        chunks: numbers of the parts.
        scheme: the landmark set.
        origin: what made the points.

    Raises:
        PlaceLost: the disk is full.
        FiduciaError: a part is missing or damaged.
    """

    def tables() -> Iterator[dict[str, Any]]:
        for number in chunks:
            yield from _tables(out, number)

    write_parts(out / NAME, coco_parts(tables, scheme, origin))
    return out / NAME


def _tables(out: Path, number: int) -> Iterator[dict[str, Any]]:
    """Yield the photographs of a part, as results of ``detect``."""
    faces: dict[int, list[dict[str, Any]]] = {}
    for row in read_part(out, FACES, number).to_pylist():
        faces.setdefault(row["position"], []).append(row)
    for photograph in read_part(out, PHOTOGRAPHS, number).to_pylist():
        rows = faces.get(photograph["position"], [])
        name = in_folder(photograph["photograph"], out)
        if photograph["frames"] is not None:
            frames: dict[int, list[dict[str, Any]]] = {}
            for row in rows:
                frames.setdefault(row["frame"], []).append(row)
            for frame, there in frames.items():
                yield _table(f"{name}#{frame}", photograph, there)
        elif photograph["status"] != FAILED:
            yield _table(name, photograph, rows)


def _table(name: str, photograph: dict[str, Any], rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        "image": name,
        "width": photograph["width"],
        "height": photograph["height"],
        "faces": [
            {
                "box": [round(v, 3) for v in row["box"]],
                "score": round(row["score"], 4),
                "points": [
                    [round(x, 3), round(y, 3)] for x, y in zip(row["points"][::2], row["points"][1::2], strict=True)
                ],
                "confidence": [round(v, 4) for v in row["confidence"]],
                **({} if row["quality"] is None else {"quality": round(row["quality"], 4)}),
            }
            for row in rows
        ],
    }
