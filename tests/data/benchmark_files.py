"""Benchmarks on disk in their official layouts, with small pictures or real ones."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.io import savemat

from fiducia.images import read_image, write_image


def photograph(path: Path, width: int = 60, height: int = 40) -> Path:
    """Write a small picture of which every pixel differs."""
    write_image(path, picture(width, height))
    return path


def picture(width: int = 60, height: int = 40) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 4, y * 6, (x + y) * 2], axis=2).astype(np.uint8)


def wflw_line(name: str, xy: np.ndarray, rect: Sequence[float] = (1, 2, 50, 35), flags: str = "0 0 0 0 0 0") -> str:
    return " ".join([*(f"{v:.6f}" for v in xy.ravel()), *(f"{v:g}" for v in rect), flags, name])


def write_wflw(root: Path, part: str, lines: Sequence[str]) -> Path:
    path = root / "WFLW_annotations" / "list_98pt_rect_attr_train_test" / f"list_98pt_rect_attr_{part}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    (root / "WFLW_images").mkdir(exist_ok=True)
    return path


def write_cofw(path: Path, split: str, pictures: Sequence[np.ndarray], phis: np.ndarray, boxes: np.ndarray) -> Path:
    """Write as Matlab's ``save -v7.3`` does: a userblock, cells as references into ``#refs#``, arrays transposed."""
    tail = "Tr" if split == "train" else "T"
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", userblock_size=512) as file:
        refs = file.create_group("#refs#")
        cells = file.create_dataset(f"Is{tail}", (1, len(pictures)), dtype=h5py.ref_dtype)
        cells.attrs["MATLAB_class"] = np.bytes_("cell")
        for i, rgb in enumerate(pictures):
            stored = refs.create_dataset(f"p{i}", data=np.transpose(rgb))
            stored.attrs["MATLAB_class"] = np.bytes_("uint8")
            cells[0, i] = stored.ref
        file.create_dataset(f"phis{tail}", data=np.asarray(phis, dtype=np.float64).T)
        file.create_dataset(f"bboxes{tail}", data=np.asarray(boxes, dtype=np.float64).T)
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")
    return path


def write_aflw(path: Path, faces: Sequence[Mapping[str, Any]], *, first: int = 20_000, **changes: Any) -> Path:
    """Write ``AFLWinfo_release.mat`` of ``first`` idle training faces and then ``faces`` (name, xy, box l r t b, mask).

    ``ra`` is turned about, so that a reader that ignores it is found out: row 1 of the table is the last of the order.
    """
    n = first + len(faces)
    names = np.empty((n, 1), dtype=object)
    names[:, 0] = "0/idle.jpg"
    data, mask = np.tile(np.arange(38.0), (n, 1)), np.ones((n, 19), dtype=np.uint8)
    boxes = np.tile([5.0, 30.0, 6.0, 31.0], (n, 1))
    for i, face in enumerate(reversed(faces)):
        names[i, 0] = face["name"]
        data[i], mask[i] = np.asarray(face["xy"]).T.ravel(), face.get("mask", np.ones(19))
        boxes[i] = face["box"]
    table: dict[str, Any] = {
        "bbox": boxes,
        "data": data,
        "mask_new": mask,
        "nameList": names,
        "ra": np.arange(n, 0, -1, dtype=np.float64)[None],
    }
    table |= changes
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {key: value for key, value in table.items() if value is not None})
    return path


def coco_faces(folder: Path) -> list[dict[str, Any]]:
    """Return the annotations of a COCO file as name, path, xy, v and box x y w h."""
    table = json.loads(next(folder.glob("*.json")).read_text())
    names = {image["id"]: image["file_name"] for image in table["images"]}
    faces = []
    for face in table["annotations"]:
        triples = np.array(face["keypoints"]).reshape(-1, 3)
        name = names[face["image_id"]]
        faces.append(
            {"name": name, "path": folder / name, "xy": triples[:, :2], "v": triples[:, 2], "box": face["bbox"]}
        )
    return faces


def real_cofw(shared: Path, root: Path) -> dict[int, dict[str, Any]]:
    """Build ``COFW_test_color.mat`` of the 507 faces, of which 421 and 460 are real; return the real ones."""
    real = {(421, 460)[i]: face for i, face in enumerate(coco_faces(shared / "coco_style" / "cofw"))}
    phis, boxes = np.tile(np.arange(87.0) % 29, (507, 1)), np.tile([0.0, 0, 30, 30], (507, 1))
    phis[:, 58:] = 0
    pictures = [np.full((32, 31), 90, dtype=np.uint8)] * 507
    for number, face in real.items():
        phis[number - 1] = np.concatenate([face["xy"][:, 0], face["xy"][:, 1], face["v"] == 1])
        boxes[number - 1] = face["box"]
        pictures[number - 1] = read_image(face["path"])
    write_cofw(root / "COFW_test_color.mat", "test", pictures, phis, boxes)
    return real


def real_aflw(shared: Path, root: Path) -> list[dict[str, Any]]:
    """Build ``AFLWinfo_release.mat`` and ``data/flickr`` of two real test faces; return them."""
    faces = coco_faces(shared / "coco_style" / "aflw")
    rows = []
    for face in faces:
        x, y, w, h = face["box"]
        rows.append({**face, "name": f"3/{face['name']}", "box": (x, x + w, y, y + h), "mask": face["v"] > 0})
        target = root / "data" / "flickr" / "3" / face["name"]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(face["path"].read_bytes())
    write_aflw(root / "AFLWinfo_release.mat", rows)
    return faces


def real_lapa(shared: Path, root: Path) -> list[dict[str, Any]]:
    """Build ``test/{images,landmarks}`` of two real faces; return them."""
    faces = coco_faces(shared / "coco_style" / "lapa")
    for face in faces:
        stem = Path(face["name"]).stem
        for folder in ("images", "landmarks"):
            (root / "test" / folder).mkdir(parents=True, exist_ok=True)
        (root / "test" / "images" / face["name"]).write_bytes(face["path"].read_bytes())
        lines = ["106", *(f"{x!r} {y!r}" for x, y in face["xy"].tolist())]
        (root / "test" / "landmarks" / f"{stem}.txt").write_text("\n".join(lines) + "\n")
    return faces


def real_merl(shared: Path, root: Path) -> None:
    """Lay MERL-RAV's two real labels out as published, with AFLW's photographs."""
    for path in sorted((shared / "merl_rav_sample").rglob("*.pts")):
        target = root / "merl_rav_labels" / path.relative_to(shared / "merl_rav_sample")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
        image = root / "aflw" / "flickr" / "3" / f"{path.stem}.jpg"
        image.parent.mkdir(parents=True, exist_ok=True)
        image.write_bytes((shared / "coco_style" / "aflw" / image.name).read_bytes())
