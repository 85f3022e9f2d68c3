"""Faces as plain values (numbers, texts, lists, tables), which every output format is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..schemes.sets import Scheme

if TYPE_CHECKING:
    from .face import Face

__all__ = [
    "Origin",
    "coco_annotation",
    "coco_category",
    "coco_table",
    "face_row",
    "face_table",
    "flat_measures",
    "point_rows",
]

Table = Mapping[str, Any]
_OF_POINTS = ("confidence", "sigma", "visible")
"""What a face's table has beside each point, where the weights tell it."""


@dataclass(frozen=True)
class Origin:
    """What made the points: the weights' name, the SHA-256 of their tensors, and what computed them; empty = not known."""

    weights: str = ""
    sha256: str = ""
    runtime: str = ""

    def marks(self) -> dict[str, str]:
        """Return the keys that mark machine-made labels in every format; readers keep them as tags."""
        return {"source": "auto", "weights": self.weights, "weights_sha256": self.sha256}

    def facts(self) -> dict[str, str]:
        """Return the marks, and ``runtime`` where it is known."""
        return {**self.marks(), **({"runtime": self.runtime} if self.runtime else {})}


def face_table(face: Face) -> dict[str, Any]:
    """Return a face as plain values: box, score, points and confidence, in pixels of the image to 1/1000."""
    return {
        "box": [round(float(v), 3) for v in face.box],
        "score": round(float(face.score), 4),
        "points": [[round(float(x), 3), round(float(y), 3)] for x, y in face.xy],
        "confidence": [round(float(c), 4) for c in face.confidence],
        "scheme": face.scheme.name,
        "id": int(face.id),
        **_trust(face),
    }


def _trust(face: Face) -> dict[str, Any]:
    """Return what calibrated weights tell beside: quality, expected error in pixels and percent, visibility."""
    table: dict[str, Any] = {} if face.quality is None else {"quality": round(float(face.quality), 4)}
    for name, values in (("sigma", face.sigma), ("sigma_percent", face.sigma_percent), ("visible", face.visible)):
        if values is not None:
            table[name] = [round(float(v), 3) for v in values]
    return table


def face_row(face: Table, names: Sequence[str], facts: Table) -> dict[str, Any]:
    """Return a flat row of a face: ``facts``, id, score, scheme, box, its measures, then x, y and confidence of each point.

    Calibrated weights add ``quality``, and ``sigma`` (pixels) and ``visible`` of each point.

    Args:
        face: as :func:`face_table` gives it; ``measures`` in it are spread out.
        names: of its points.
        facts: what goes first, such as the image's name.
    """
    row: dict[str, Any] = {**facts, **{key: face[key] for key in ("id", "score", "quality", "scheme") if key in face}}
    row |= dict(zip(("box_x1", "box_y1", "box_x2", "box_y2"), face["box"], strict=True))
    row |= flat_measures(face.get("measures", {}))
    for i, (name, (x, y)) in enumerate(zip(names, face["points"], strict=True)):
        row |= {f"{name}_x": x, f"{name}_y": y}
        row |= {f"{name}_{column}": face[column][i] for column in _OF_POINTS if column in face}
    return row


def flat_measures(measures: Mapping[str, float | list[float]]) -> dict[str, float]:
    """Return measures as single numbers: a place becomes ``NAME_x`` and ``NAME_y``."""
    flat: dict[str, float] = {}
    for name, value in measures.items():
        if isinstance(value, list):
            flat |= {f"{name}_{axis}": v for axis, v in zip("xy", value, strict=True)}
        else:
            flat[name] = value
    return flat


def point_rows(face: Table, names: Sequence[str], facts: Table) -> list[dict[str, Any]]:
    """Return a row for each point: ``facts``, the face's id, the point's index and name, x, y, confidence, and so on."""
    told = [column for column in _OF_POINTS if column in face]
    return [
        {**facts, "id": face["id"], "index": i, "point": name, "x": x, "y": y, **{key: face[key][i] for key in told}}
        for i, (name, (x, y)) in enumerate(zip(names, face["points"], strict=True))
    ]


def coco_category(scheme: Scheme) -> dict[str, Any]:
    """Return COCO's category of faces with the points of a landmark set."""
    return {
        "id": 1,
        "name": "face",
        "supercategory": "person",
        "keypoints": list(scheme.names),
        "skeleton": [[i + 1, j + 1] for i, j in scheme.edges],
        "scheme": scheme.name,
    }


def coco_annotation(face: Table, number: int, image: int) -> dict[str, Any]:
    """Return COCO's annotation of a face (:func:`face_table`): 0-based pixels, v = 2, and marked as machine-made."""
    x1, y1, x2, y2 = face["box"]
    w, h = round(x2 - x1, 3), round(y2 - y1, 3)
    return {
        "id": number,
        "image_id": image,
        "category_id": 1,
        "bbox": [x1, y1, w, h],
        "area": round(w * h, 3),
        "iscrowd": 0,
        "num_keypoints": len(face["points"]),
        "keypoints": [v for x, y in face["points"] for v in (x, y, 2)],
        "confidence": face["confidence"],
        "score": face["score"],
        **({"quality": face["quality"]} if "quality" in face else {}),
        "source": "auto",
    }


def coco_table(images: Sequence[Table], scheme: Scheme, info: Table) -> dict[str, Any]:
    """Return COCO keypoints of several images; each is a table with image, width, height and faces."""
    entries: list[Table] = []
    annotations: list[Table] = []
    for number, table in enumerate(images, 1):
        entries.append({"id": number, "file_name": table["image"], "width": table["width"], "height": table["height"]})
        annotations += [coco_annotation(face, len(annotations) + k, number) for k, face in enumerate(table["faces"], 1)]
    return {"info": dict(info), "images": entries, "annotations": annotations, "categories": [coco_category(scheme)]}
