"""COCO keypoint JSON, read (``coco:FILE.json``) and written.

As the format has it: ``images`` (``id``, ``file_name`` below the file's folder), ``annotations`` (``keypoints`` as x, y, v
triples; v = 0 unlabelled, 1 occluded, 2 visible; ``bbox`` x y w h) and ``categories``. Coordinates are 0-based and taken
as they stand. Keys of our own keep what the format cannot say: ``box`` (x1 y1 x2 y2), ``tags``, a category's ``scheme``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import FiduciaError
from ...files import write_atomic
from ...images.pixels import read_image
from ...schemes.sets import get_scheme
from ...structures import Record
from ..source import DatasetSpec, Fault, datasets, existing_root
from .own import Placed, choose_scheme, choose_split, face_tags, relative_image, scan_list, whole_list

__all__ = ["read_coco", "scan_coco", "write_coco"]

_WHAT = "a COCO keypoint JSON file"


def read_coco(root: str, split: str = "all", scheme: str | None = None) -> list[Record]:
    """Read the faces of a COCO keypoint file, in its order.

    Args:
        root: the JSON file; photographs lie below its folder.
        split: ``all``, or one that images name under the key ``split``.
        scheme: the landmark set, by name or TOML file.

    Raises:
        FiduciaError: not JSON, a key that is missing, or a face with another number of points.
        UsageError: an unknown landmark set or split.
    """
    path = existing_root("coco", root, _WHAT)
    return choose_split(str(path), whole_list(_faces(path, scheme)), split)


def scan_coco(root: str, split: str = "all", scheme: str | None = None) -> Iterator[Record | Fault]:
    """Yield the faces of a COCO keypoint file, and a fault for each annotation that gives none."""
    path = existing_root("coco", root, _WHAT)
    yield from scan_list(str(path), _faces(path, scheme))


def _faces(path: Path, scheme: str | None) -> Iterator[Placed]:
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        images = {image["id"]: image for image in table["images"]}
        faces = [face for face in table["annotations"] if face.get("keypoints")]
        shown = [images.get(face.get("image_id"), {}) for face in faces]
        named = [str(image.get("file_name", "")) for image in shown]
        tags = [
            {**({"split": image["split"]} if "split" in image else {}), **(face.get("tags") or {})}
            for face, image in zip(faces, shown, strict=True)
        ]
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise FiduciaError(f"{path}: cannot be read as JSON ({error}); expected a COCO keypoint file") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FiduciaError(f"{path}: {error} is missing; expected images and annotations as COCO has them") from error
    if not faces:
        raise FiduciaError(f"{path}: no annotation has keypoints; expected x, y, v triples")
    count = len(faces[0]["keypoints"]) // 3
    declared = [c["scheme"] for c in table.get("categories", []) if isinstance(c, dict) and c.get("scheme")]
    if len(set(declared)) > 1:
        raise FiduciaError(
            f"{path}: its categories are of several landmark sets, {', '.join(dict.fromkeys(map(str, declared)))}; "
            "put each into a file of its own"
        )
    own = choose_scheme(str(path), count, scheme, declared[0] if declared else None)
    for number, (face, name, tag) in enumerate(zip(faces, named, face_tags(named, tags), strict=True), start=1):
        place = f"annotation {face.get('id', '?')}, the file's number {number}"
        try:
            yield place, _record(path, face, path.parent / name, count, own, tag)
        except FiduciaError as error:
            yield place, error


def write_coco(path: str | Path, records: Sequence[Record]) -> None:
    """Write faces of one landmark set as COCO keypoint JSON; :func:`read_coco` gives back equal records.

    Photographs stay where they are, are named relative to the file, and are opened for their size.

    Raises:
        FiduciaError: no face, faces of several landmark sets, or a photograph that cannot be read.
    """
    path = Path(path)
    names = sorted({record.scheme for record in records})
    if len(names) != 1:
        raise FiduciaError(f"{path}: a COCO file holds one landmark set; found {', '.join(names) or 'no face'}")
    scheme = get_scheme(names[0])
    numbers: dict[Path, int] = {}
    images: list[dict[str, Any]] = []
    faces: list[dict[str, Any]] = []
    for record in records:
        if record.image not in numbers:
            numbers[record.image] = len(numbers) + 1
            height, width = read_image(record.image).shape[:2]
            entry = {"id": numbers[record.image], "file_name": relative_image(record.image, path.parent)}
            images.append({**entry, "width": width, "height": height})
        faces.append(_annotation(record, len(faces) + 1, numbers[record.image]))
    category = {
        "id": 1,
        "name": "face",
        "supercategory": "person",
        "keypoints": list(scheme.names),
        "skeleton": [[a + 1, b + 1] for a, b in scheme.edges],
        "scheme": names[0],
    }
    table = {"images": images, "annotations": faces, "categories": [category]}
    write_atomic(path, (json.dumps(table, indent=1, default=str) + "\n").encode())


def _record(path: Path, face: dict[str, Any], image: Path, count: int, scheme: str, tags: dict[str, Any]) -> Record:
    if image == path.parent:
        raise FiduciaError(
            f"{path}: annotation {face.get('id', '?')}: the image {face.get('image_id')!r} or its file_name is missing "
            "in images; restore it, or take the annotation out"
        )
    where = f"{path}: annotation {face.get('id', '?')} ({image.name})"
    try:
        flat = np.array(face["keypoints"], dtype=np.float64)
        box = np.array(face.get("box", face.get("bbox", [])), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise FiduciaError(f"{where}: keypoints and bbox are lists of numbers ({error})") from error
    if flat.shape != (3 * count,):
        raise FiduciaError(f"{where}: {flat.size} keypoint numbers found, {3 * count} expected (x, y, v a point)")
    triples = flat.reshape(-1, 3)
    if not np.isin(triples[:, 2], (0, 1, 2)).all() or not np.isfinite(triples).all():
        raise FiduciaError(f"{where}: expected finite x and y, and v of 0, 1 or 2")
    if box.size not in (0, 4) or not np.isfinite(box).all():
        raise FiduciaError(f"{where}: a box is four finite numbers; found {box.tolist()}")
    if box.size and "box" not in face:
        box[2:] += box[:2]
    visible = triples[:, 2].astype(np.int8)
    xy = np.where(visible[:, None] > 0, triples[:, :2], np.nan)
    return Record(image=image, xy=xy, visible=visible, scheme=scheme, box=box if box.size else None, tags=tags)


def _annotation(record: Record, number: int, image: int) -> dict[str, Any]:
    labelled = np.asarray(np.isfinite(record.xy).all(axis=1))
    keypoints: list[float] = []
    for (x, y), v, known in zip(record.xy.tolist(), record.visible.tolist(), labelled, strict=True):
        keypoints += [x, y, v] if known else [0, 0, 0]
    face: dict[str, Any] = {"id": number, "image_id": image, "category_id": 1, "iscrowd": 0, "keypoints": keypoints}
    face["num_keypoints"] = int((record.visible[labelled] > 0).sum())
    if record.box is not None:
        x1, y1, x2, y2 = record.box.tolist()
        face |= {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "box": [x1, y1, x2, y2]}
    elif labelled.any():
        # COCO's own tools want a box; "box" stays away, so that reading gives None again.
        low, high = record.xy[labelled].min(axis=0), record.xy[labelled].max(axis=0)
        size = high - low
        face |= {"bbox": [*low.tolist(), *size.tolist()], "area": float(size.prod()), "box": []}
    return {**face, "tags": dict(record.tags)}


datasets.register("coco")(
    DatasetSpec(
        name="coco",
        summary="own faces: a COCO keypoint JSON file, photographs beside it",
        splits=(),
        read=read_coco,
        scan=scan_coco,
        parts=("all",),
        fetch="your own file",
    )
)
